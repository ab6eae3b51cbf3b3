"""The changes that a route asks for, by `update_of`, `when` and other expressions, on a live server."""

from __future__ import annotations

import json

import pytest
from support.captures import ALL, MANY_TYPES, WAYS, Rig, name_way

from changelane.errors import ProblemsError, SpecError

ways = pytest.mark.parametrize("way", WAYS, ids=name_way)


@pytest.fixture
def rig(rig: Rig) -> Rig:
    rig.run(*MANY_TYPES)
    return rig


def ops(rig: Rig) -> list[str]:
    return [change.op for change in rig.changes()]


@ways
def test_update_of_asks_for_a_real_change_of_value(rig: Rig, way: dict[str, str]) -> None:
    rig.capture({**way, "events": ["insert", "update"], "update_of": ["status", "place", "doc"]})
    rig.run("INSERT INTO t (id, place, doc) VALUES (1, '(1,2)', '{}'), (2, NULL, NULL)")
    assert ops(rig) == ["insert", "insert"]
    rig.run(
        "UPDATE t SET status = status, place = place, doc = doc",
        "UPDATE t SET total = 5",
        "UPDATE t SET total = 6, place = '(1,2)', doc = '{}' WHERE id = 1",
    )
    assert ops(rig) == []
    # Neither point nor json has an equality operator.
    rig.run("UPDATE t SET place = '(1,3)' WHERE id = 1", "UPDATE t SET doc = '{\"a\":1}' WHERE id = 1")
    assert ops(rig) == ["update", "update"]
    rig.run("UPDATE t SET status = 'x'", "UPDATE t SET status = NULL", "UPDATE t SET status = NULL")
    assert ops(rig) == ["update"] * 4


@pytest.mark.parametrize("quote", ["'", "$long$"])
@ways
def test_a_long_text_in_an_expression_stays_as_it_was_written(
    rig: Rig, way: dict[str, str], quote: str
) -> None:
    text = "a, " * 30 + "b AND " * 20 + "/* c, " * 10
    rig.capture(
        {**way, "when": f"new.status = {quote}{text}{quote}", "payload": {"extra": {"e": "$e$f, g$e$"}}}
    )
    rig.run(f"INSERT INTO t (id, status) VALUES (1, '{text}'), (2, 'other')", "INSERT INTO t (id) VALUES (3)")
    assert [change.key for change in rig.changes()] == [{"id": 1}]


@ways
def test_when_sees_new_old_and_op_and_null_is_false(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {**way, "when": "op = 'delete' OR new.status = 'paid' AND old.status IS DISTINCT FROM new.status"}
    )
    rig.run(
        "INSERT INTO t (id, status) VALUES (1, NULL), (2, 'paid'), (3, 'new')",
        "INSERT INTO t (id) VALUES (4)",
        "UPDATE t SET status = 'paid'",
        "UPDATE t SET status = 'paid', total = 1",
        "TRUNCATE t",
    )
    assert ops(rig) == ["insert", "update", "update", "update"]
    rig.run("INSERT INTO t (id) VALUES (1)", "DELETE FROM t")
    assert ops(rig) == ["delete"]


@ways
def test_one_wanted_row_among_many_and_no_wanted_row_are_told_apart(rig: Rig, way: dict[str, str]) -> None:
    both = "old.total IS DISTINCT FROM new.total AND new.status = 'paid'"
    rig.capture(
        {"queue": "new", **way, "when": "new.status = 'paid'"},
        {"queue": "old", **way, "when": "old.status = 'paid'"},
        {"queue": "both", **way, "when": both},
        {"queue": "column", **way, "events": ["update"], "update_of": ["status"]},
    )

    def ids(queue: str) -> list[int]:
        return sorted((change.new or change.old or {})["id"] for change in rig.changes(queue))

    rig.run("INSERT INTO t (id, status, total) VALUES (1, 'a', 1), (2, 'paid', 1), (3, 'b', 1), (4, 'c', 1)")
    assert [ids(queue) for queue in ("new", "old", "both")] == [[2], [], [2]]
    # First one wanted row among many; then only the wanted row; then only an unwanted one.
    rig.run("UPDATE t SET status = CASE id WHEN 3 THEN 'paid' WHEN 2 THEN 'x' ELSE status END")
    assert [ids(queue) for queue in ("new", "old", "both", "column")] == [[3], [2], [], [2, 3]]
    rig.run("UPDATE t SET total = 2 WHERE id = 3", "UPDATE t SET total = 2 WHERE id = 1")
    assert [ids(queue) for queue in ("new", "old", "both", "column")] == [[3], [3], [3], []]
    rig.run("UPDATE t SET total = total", "UPDATE t SET total = 5 WHERE false", "DELETE FROM t")
    assert [ids(queue) for queue in ("new", "old", "both", "column")] == [[], [3], [], []]


@ways
def test_a_condition_that_calls_a_function_is_asked_once_a_row(rig: Rig, way: dict[str, str]) -> None:
    rig.run("CREATE SEQUENCE calls")
    rig.capture({**way, "when": "nextval('app.calls') % 2 = 1"})
    rig.run(
        "INSERT INTO t (id) VALUES (1)",
        "INSERT INTO t (id) VALUES (2)",
        "INSERT INTO t (id) VALUES (3), (4), (5)",
        "UPDATE t SET total = 1 WHERE id = 1",
        "UPDATE t SET total = 1 WHERE id = 2",
        "DELETE FROM t WHERE id = 3",
    )
    sent = [(change.op, (change.new or change.old or {})["id"]) for change in rig.changes()]
    assert sent == [("insert", 1), ("insert", 3), ("insert", 5), ("update", 2)]
    assert rig.value("SELECT last_value FROM app.calls") == 8


EXPRESSIONS = [
    "old.mood IS DISTINCT FROM new.mood",
    "(old.home).city IS DISTINCT FROM (new.home).city",
    "new.mood = 'sad'::app.mood OR old.mood = ANY ('{sad}'::app.mood[])",
    "new.tags[1] = 2 OR old.tags[1:2] IS NULL",
    "coalesce(old.total, 0) < new.total OR old.place IS NULL OR op = 'x'",
    "new.doc ->> 'a' IS NULL",
    "new.status LIKE '%' OR new.status ~ '^$' OR new.status IS NULL OR old.status SIMILAR TO 'x'",
    "CASE op WHEN 'insert' THEN new.id ELSE old.id END > 0",
    "new.id IN (1, 2) OR old.id = ANY (ARRAY[1, 2])",
    "current_setting('app.actor', true) IS NULL OR session_user <> ''",
    "new.id IS NOT NULL OR old.id IS NOT NULL",
    "extract(epoch FROM now()) > 0 AND position('a' in 'abc') = 1 AND (1, 2) < (1, 3)",
    "new.total BETWEEN 0 AND 10 OR NOT (old.total > 5) IS TRUE",
    "E'\\\\' = '\\' OR U&'\\0061' = 'a'",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions_of_every_sort_work_for_every_event(rig: Rig, text: str) -> None:
    rig.capture(
        *(
            {**way, "queue": f"q{number}", "when": f"({text}) OR true", "payload": {"extra": {"x": text}}}
            for number, way in enumerate(WAYS)
        )
    )
    rig.run(
        "INSERT INTO t (id) VALUES (1), (2)",
        "INSERT INTO t (id) VALUES (3)",
        "UPDATE t SET total = 1",
        "UPDATE t SET total = 2 WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        "DELETE FROM t",
        "TRUNCATE t",
    )
    for number in range(4):
        assert len(rig.changes(f"q{number}")) == 3 + 4 + 3 + 1


@pytest.mark.parametrize(
    ("text", "offset", "what"),
    [
        ("new.statis = 'paid'", 0, "app.t has no column statis"),
        ("new.id = 1 AND old.nothing", 15, "app.t has no column nothing"),
        ("status = 'paid'", 0, "expressions see new, old and op only"),
        ("new.id = (SELECT 1)", 9, "a sub-select"),
        ("EXISTS (SELECT FROM app.t)", 0, "a sub-select"),
        ("new.id = 1; DELETE FROM app.t", 0, "not an SQL expression"),
        ("new.id = 1) OR (true", 0, "not an SQL expression"),
        ("true, false", 0, "more than one expression"),
        ("count(*) > 1", 0, "an aggregate"),
        ("row_number() OVER () > 1", 0, "an aggregate"),
        ("new.id = $1", 9, "the parameter"),
        ("new.* IS NULL", 0, "only one column"),
        ("new.id = 1 -- comment", 11, "a comment"),
    ],
)
def test_a_wrong_expression_is_refused_at_its_place(rig: Rig, text: str, offset: int, what: str) -> None:
    for place in ({"when": text}, {"payload": {"extra": {"x": text}}}):
        with pytest.raises(SpecError) as refused:
            rig.generate(place)
        problem = refused.value.diagnostics[0]
        assert what in problem.summary
        if offset:
            line = json.dumps(place)
            # The text stands in the file as it stands in JSON.
            start = problem.source.index(json.dumps(text)) + 1 if hasattr(problem, "source") else None
            assert start is None or problem.span.column == start + offset + 1, line


@pytest.mark.parametrize(
    "text",
    [
        "lower(new.id)",
        "new.status > 5",
        "public.nothing(new.id)",
        "(new.home).nothing = 'x'",
        "pg_catalog.sum(new.id) > 1",
        "generate_series(1, new.id) > 1",
        "new.mood = 'furious'",
        "new.status",
    ],
)
def test_an_expression_that_does_not_suit_the_table_fails_apply_and_not_a_write(rig: Rig, text: str) -> None:
    rig.run("SET client_min_messages = warning", "SELECT pgmq.create('events')")
    # A truncation has no rows, so no text is cast to a mood.
    for event in ALL[:3] if "mood" in text else ALL:
        with pytest.raises(ProblemsError) as caught:
            rig.capture({"when": text, "events": [event]})
        assert "an expression of route route0 does not hold" in str(caught.value.problems[0])
        rig.run("INSERT INTO t (id) VALUES (1)", "UPDATE t SET id = 2", "DELETE FROM t", "TRUNCATE t")
    assert rig.sent() == []
