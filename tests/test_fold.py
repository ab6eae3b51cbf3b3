from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pglast import parse_sql
from pglast.parser import scan

from changelane.generator.render.fold import WIDTH, fold, quote_lines

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
    f"DO $b$ {LONG} $b$",
    f"AS $b$ BEGIN PERFORM '{LONG}', $c$ {LONG} $c$; DO $d$ {LONG} $d$; END $b$",
]


def read(sql: str) -> list[str]:
    """The tokens, comments among them, as they are written; a body after DO or AS is read, too."""
    tokens: list[str] = []
    for token in scan(sql):
        text = sql[token.start : token.end + 1]
        tag = re.match(r"\$\w*\$", text)
        if tag and tokens and tokens[-1] in ("DO", "AS"):
            tokens += [tag[0], *read(text.removeprefix(tag[0]).removesuffix(tag[0])), tag[0]]
        else:
            tokens.append(text)
    return tokens


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


def test_a_body_is_folded_and_a_literal_in_dollar_quotes_within_it_is_not() -> None:
    columns = ", ".join(f"column_{n}" for n in range(30))
    folded = fold(
        f"DO $do$\nBEGIN\n    PERFORM {columns} FROM t;\n    EXECUTE $$SELECT {columns}$$;\nEND\n$do$;"
    )
    long = [line for line in folded.split("\n") if len(line) > WIDTH]
    assert long == [f"    EXECUTE $$SELECT {columns}$$;"] or long == [f"        $$SELECT {columns}$$;"]
    assert folded.count("\n") > 5


def test_literals_that_must_not_be_joined_stay_on_one_line() -> None:
    assert fold(f"SELECT '{LONG}' '{LONG}'") == f"SELECT\n    '{LONG}' '{LONG}'"


def test_a_literal_over_several_lines_reads_as_one() -> None:
    value = "changelane:1 project=p queues=" + ",".join(f"it's_{n}" for n in range(60))
    text = quote_lines(value, 8)
    assert max(map(len, f"        {text}".split("\n"))) <= WIDTH
    select: Any = parse_sql(f"SELECT {text}")[0].stmt
    assert select.targetList[0].val.val.sval == value
