from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changelane.generator.sql.expression import ExpressionError, parse_expression, parse_message_expression

WORDS = """
    new.a old.b op ( ) 'x' ' = and $$ $1 -- /* */ ; select 1 ::text [1] , " E'\\'' é 😀 case when end array[ ]
"""
FRAGMENTS = st.sampled_from([*WORDS.split(), " ", "\n", "\0"])


@given(st.one_of(st.text(max_size=40), st.lists(FRAGMENTS, max_size=12).map(" ".join)))
def test_any_text_is_an_expression_or_an_error_within_it(text: str) -> None:
    try:
        expression = parse_expression(text)
    except ExpressionError as error:
        assert 0 <= error.start <= max(0, len(text) - 1)
    else:
        assert expression.bind(lambda found: text[found.start : found.end]) == f"({text})"


@pytest.mark.parametrize(
    ("text", "what", "start"),
    [
        ("new.status =", "it ends too early", 11),
        ("(new.a = 1", "it ends too early", 9),
        ("new.status = 1)", "this parenthesis closes nothing", 14),
        ("new.a, new.b", "more than one expression", 0),
        ("1) FROM (SELECT 2", "this parenthesis closes nothing", 1),
        ("new.a -- x", "a comment inside an expression", 6),
        ("exists (select 1)", "a sub-select is not allowed", 0),
        ("new.é = 'ü' and newx.y", "newx.y: expressions see new, old and op only", 16),
        ("new.* is null", "only one column of a row can be named", 0),
        ("count(*) > 1", "an aggregate or window call is not allowed", 0),
        ("$1", "the parameter $1 is not allowed", 0),
        ("new.a = current_user", "current_user, which is the owner", 8),
        ("user = new.a", "user, which is the owner", 0),
        ("CURRENT_ROLE is null", "current_role, which is the owner", 0),
        ("current_schema <> 'x'", "current_schema, which is the capture function's own", 0),
        ("new.a = pg_catalog.current_schema()", "current_schema()", 8),
        ("'x' = any (current_schemas(true))", "current_schemas()", 11),
        ("current_setting('SEARCH_PATH') = 'x'", "the setting search_path", 0),
        ("pg_catalog.current_setting('TimeZone'::text, true) = 'x'", "the setting timezone", 0),
        ("has_table_privilege('t', 'select')", "has_table_privilege() of 2 arguments", 0),
        ("pg_has_role('x', 'usage')", "pg_has_role() of 2 arguments", 0),
        ("pg_table_is_visible(new.a)", "pg_table_is_visible()", 0),
    ],
)
def test_text_that_is_no_expression_over_one_change_is_refused_at_its_place(
    text: str, what: str, start: int
) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert what in caught.value.what
    assert caught.value.start == start


@pytest.mark.parametrize(
    "text",
    [
        "new.a = session_user",
        "current_setting('role') = 'x'",
        "current_setting('app.user', true) = 'x'",
        "has_table_privilege(session_user, 't', 'select')",
        "app.current_schema() = 'x'",
    ],
)
def test_expressions_on_the_writing_session_are_accepted(text: str) -> None:
    assert parse_expression(text).text == text


def test_a_message_may_be_compared_with_the_current_user_for_a_policy_runs_as_it() -> None:
    text = "message ->> 'owner' = current_user"
    assert parse_message_expression(text, columns=["message"]).text == text


def test_references_are_replaced_wherever_they_stand() -> None:
    expression = parse_expression("""NEW."We ird" = 'new.x' and (old.b).c > 1 and op <> 'é'""")
    bound = expression.bind(lambda found: f"<{found.row}|{found.column}>")
    assert bound == "(<new|We ird> = 'new.x' and (<old|b>).c > 1 and <op|> <> 'é')"


def test_an_expression_may_be_long_and_not_without_end() -> None:
    parts = ["new.id = 1"] * 7000
    assert len(parse_expression(" or ".join(parts)).references) == 7000
    with pytest.raises(ExpressionError, match="more than 100,000 characters"):
        parse_expression(" or ".join(parts + parts))
