from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pglast.parser import scan

from changelane.generator.render.fold import WIDTH, fold

LONG = "a" * 40 + ", " + "b" * 40 + " AND " + "c" * 20 + ", it''s d"
WHOLE = [f"'{LONG}'", f"$x${LONG}$x$", f"E'{LONG}'", f'"{LONG}"', f"/* {LONG} */ 1", f"/* don't */ '{LONG}'"]
PARTS = [
    *WHOLE,
    "AND b",
    "OR c",
    ", d",
    "( e",
    ") f",
    "|| 'g'",
    "FROM h",
    "-- it's, i\n",
    "$y$ j,\nk $y$",
    "x$y$z",
]


def read(sql: str) -> list[str]:
    """The tokens, comments among them, as they are written."""
    return [sql[token.start : token.end + 1] for token in scan(sql)]


@pytest.mark.parametrize("text", WHOLE)
def test_a_long_line_is_never_broken_within_a_literal_a_name_or_a_comment(text: str) -> None:
    folded = fold(f"SELECT first_column, {text} FROM some_table WHERE one = 1 AND other = 2")
    assert text in folded
    assert "\n" in folded


def test_a_long_line_without_long_tokens_fits_the_width() -> None:
    folded = fold("SELECT " + ", ".join(f"column_{n}" for n in range(60)) + " FROM t")
    assert max(map(len, folded.split("\n"))) <= WIDTH


@given(st.lists(st.sampled_from(PARTS), max_size=12).map(" ".join))
def test_folding_leaves_every_token_as_it_is(sql: str) -> None:
    assert read(fold(sql)) == read(sql)
