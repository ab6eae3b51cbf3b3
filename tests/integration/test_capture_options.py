"""What a route may ask for, fired on a live server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from support.captures import ALL, WAYS, Rig, lend_rig, name_way

from changelane.errors import PreflightError, ProblemsError, SpecError
from changelane.runner.apply.plan import plan
from changelane.runner.live.observe import observe

ways = pytest.mark.parametrize("way", WAYS, ids=name_way)
COLUMNS = ("id", "status", "total", "place", "doc", "mood", "home", "email", "tags")
TRACE = f"00-{'ab' * 16}-{'cd' * 8}-01"


@pytest.fixture(scope="module")
def shared(server: str, template: str) -> Iterator[Rig]:
    yield from lend_rig(server, template)


@pytest.fixture
def rig(shared: Rig) -> Rig:
    shared.clear()
    shared.run(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TYPE address AS (city text, zip int)",
        "CREATE TABLE t (id int PRIMARY KEY, status text, total numeric, place point, doc json, mood mood,"
        " home address, email text, tags int[])",
    )
    return shared


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
def test_one_wanted_row_among_many_and_none_are_told_apart(rig: Rig, way: dict[str, str]) -> None:
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
    # Of many rows one is wanted; then the wanted one alone, and an unwanted one alone.
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
    # A truncation has no rows, of which any text is a mood.
    for event in ALL[:3] if "mood" in text else ALL:
        with pytest.raises(ProblemsError) as caught:
            rig.capture({"when": text, "events": [event]})
        assert "an expression of route route0 does not hold" in str(caught.value.problems[0])
        rig.run("INSERT INTO t (id) VALUES (1)", "UPDATE t SET id = 2", "DELETE FROM t", "TRUNCATE t")
    assert rig.sent() == []


@ways
def test_columns_exclude_and_what_an_update_holds_of_them(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {**way, "queue": "columns", "payload": {"columns": ["status", "id"]}},
        {
            **way,
            "queue": "exclude",
            "payload": {"exclude": ["doc", "mood", "home", "email", "place", "tags"]},
        },
    )
    rig.run("INSERT INTO t (id, status, total) VALUES (1, 'x', 5)", "UPDATE t SET doc = '{}'", "TRUNCATE t")
    first, second, third = rig.changes("columns")
    assert first.new == {"status": "x", "id": 1}
    assert (second.old, second.new) == ({"status": "x", "id": 1},) * 2
    assert third.op == "truncate"
    assert rig.changes("exclude")[0].new == {"status": "x", "id": 1, "total": 5}


@ways
@pytest.mark.parametrize("named", [None, ["id", "status", "total"]], ids=["all", "columns"])
def test_old_changed_and_none(rig: Rig, way: dict[str, str], named: list[str] | None) -> None:
    columns = {"columns": named} if named else {}
    rig.capture(
        {**way, "queue": "changed", "payload": {"old": "changed", **columns}},
        {**way, "queue": "none", "payload": {"old": "none", **columns}},
    )
    rig.run(
        "INSERT INTO t (id, status, total) VALUES (1, 'x', 5), (2, 'y', 5)",
        "UPDATE t SET status = 'z', total = NULL WHERE id = 1",
        "UPDATE t SET total = coalesce(total, 0) + 1",
        "DELETE FROM t WHERE id = 1",
    )
    # The row that was updated first lies last.
    assert [change.old for change in rig.changes("changed")[2:5]] == [
        {"status": "x", "total": 5},
        {"total": 5},
        {"total": None},
    ]
    none = rig.changes("none")
    assert [change.old for change in none] == [None] * 6
    assert none[-1].key == {"id": 1}
    # A number equals another of more digits, and reads otherwise.
    rig.run("UPDATE t SET total = 1.50", "UPDATE t SET total = 1.5")
    assert str(rig.changes("changed")[-1].old) == "{'total': Decimal('1.50')}"


@ways
def test_masks(rig: Rig, way: dict[str, str]) -> None:
    rig.capture({**way, "payload": {"mask": {"email": "sha256", "total": "sha256", "status": "redact"}}})
    rig.run("INSERT INTO t (id, email, total, status) VALUES (1, 'ä@b', 1.50, 'x'), (2, NULL, NULL, NULL)")
    first, second = rig.changes()
    assert first.new is not None
    assert second.new is not None
    assert first.new["email"] == hashlib.sha256("ä@b".encode()).hexdigest()
    assert first.new["total"] == hashlib.sha256(b"1.50").hexdigest()
    assert (first.new["status"], second.new["status"]) == ("[redacted]", "[redacted]")
    assert (second.new["email"], second.new["total"]) == (None, None)


@ways
def test_nothing_of_a_masked_value_is_anywhere_in_a_message(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {
            **way,
            "key": ["email"],
            "payload": {"mask": {"email": "sha256"}, "old": "changed", "max_bytes": "1 kB"},
        }
    )
    rig.run(
        "INSERT INTO t (id, email) VALUES (1, 'secret')",
        "UPDATE t SET email = 'secret2', status = repeat('x', 5000)",
        "UPDATE t SET status = 'x'",
        "DELETE FROM t",
    )
    found = rig.messages()
    assert len(found) == 4
    assert "secret" not in json.dumps(found)
    assert found[1][0]["key"] == {"email": hashlib.sha256(b"secret2").hexdigest()}
    assert found[1][0]["truncated"] is True


@ways
def test_what_the_catalog_does_not_know_is_not_sent_beside_a_mask_or_an_exclusion(
    rig: Rig, way: dict[str, str]
) -> None:
    payloads: list[dict[str, Any]] = [
        {"exclude": ["email"]}, {"mask": {"email": "sha256"}}, {"mask": {"email": "redact"}},
        {"exclude": ["email"], "mask": {"place": "redact"}}, {"exclude": ["email"], "old": "changed"},
    ]  # fmt: skip
    rig.capture(
        *(
            {**way, "queue": f"q{number}", "payload": payload}
            for number, payload in enumerate([*payloads, {"exclude": list(COLUMNS)}])
        )
    )
    with rig.session(autocommit=True) as session:
        session.execute("INSERT INTO t (id, email) VALUES (1, 'secret')")
        rig.run("ALTER TABLE t RENAME COLUMN email TO mail", "ALTER TABLE t ADD COLUMN pin text")
        session.execute("UPDATE t SET pin = 'secret', mail = 'secret too'")
        session.execute(
            "INSERT INTO t (id, mail, pin) SELECT n, 'secret', 'secret' FROM generate_series(2, 3) AS n"
        )
        session.execute("DELETE FROM t")
    for number in range(len(payloads)):
        messages = [message for message, _ in rig.messages(f"q{number}")]
        assert [message["key"]["id"] for message in messages] == [1, 1, 2, 3, 1, 2, 3]
        assert "secret" not in json.dumps(messages)
        assert all({"pin", "mail"}.isdisjoint(message["new"] or {}) for message in messages)
    assert all({} in (message["new"], message["old"]) for message, _ in rig.messages(f"q{len(payloads)}"))


@ways
def test_updates_that_change_nothing_are_sent_where_they_are_wanted(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {**way, "unchanged": True, "payload": {"old": "changed"}},
        {**way, "queue": "some", "unchanged": True, "when": "new.total > 1"},
        {**way, "queue": "changed"},
    )
    rig.run(
        "INSERT INTO t (id, total) VALUES (1, 1), (2, 2), (3, 3)", "UPDATE t SET id = id",
        "UPDATE t SET total = total WHERE id = 2", "UPDATE t SET id = id WHERE false",
    )  # fmt: skip
    assert [(change.op, change.old) for change in rig.changes()[3:]] == [("update", {})] * 4
    some = [(change.op, change.key["id"]) for change in rig.changes("some") if change.key]
    assert some == [("insert", 2), ("insert", 3), ("update", 2), ("update", 3), ("update", 2)]
    assert [change.op for change in rig.changes("changed")] == ["insert"] * 3


def test_a_mask_that_hides_nothing_or_a_key_is_refused(rig: Rig) -> None:
    for route, what in (
        ({"payload": {"columns": ["id"], "mask": {"email": "redact"}}}, "the payload leaves it out"),
        ({"payload": {"exclude": ["email"], "mask": {"email": "redact"}}}, "the payload leaves it out"),
        ({"key": ["email"], "payload": {"mask": {"email": "redact"}}}, "tells no rows apart"),
        # The primary key is the key where the route names none.
        ({"payload": {"mask": {"id": "redact"}}}, "tells no rows apart"),
    ):
        with pytest.raises(SpecError) as refused:
            rig.generate(route)
        assert what in refused.value.diagnostics[0].summary


def test_a_masked_key_that_the_payload_leaves_out_is_a_hash_in_the_key(rig: Rig) -> None:
    rig.capture({"payload": {"columns": ["status"], "mask": {"id": "sha256"}}})
    rig.run("INSERT INTO t (id, status) VALUES (7, 'x')")
    (change,) = rig.changes()
    assert (change.key, change.new) == ({"id": hashlib.sha256(b"7").hexdigest()}, {"status": "x"})


@ways
def test_extra(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {
            **way,
            "payload": {
                "extra": {
                    "actor": "current_setting('app.actor', true)",
                    "grown": "new.total - old.total",
                    "op": "upper(op)",
                    "who": "session_user",
                }
            },
        }
    )
    rig.run(
        "SET app.actor = 'ada'",
        "INSERT INTO t (id, total) VALUES (1, 5)",
        "UPDATE t SET total = 7",
        "RESET app.actor",
        "TRUNCATE t",
    )
    found = [message["extra"] for message, _ in rig.messages()]
    assert found == [
        {"actor": "ada", "grown": None, "op": "INSERT", "who": "postgres"},
        {"actor": "ada", "grown": 2, "op": "UPDATE", "who": "postgres"},
        {"actor": "", "grown": None, "op": "TRUNCATE", "who": "postgres"},
    ]


@ways
def test_a_line_break_in_a_literal_stays_as_it_is(rig: Rig, way: dict[str, str]) -> None:
    text = "one\n\n two 'three'\n"
    literals = ("'one\n\n two ''three''\n'", "$x$one\n\n two 'three'\n$x$", "E'one\\n\n two \\'three''\n'")
    rig.capture({**way, "payload": {"extra": dict(zip("abc", literals, strict=True))}})
    rig.run(
        "INSERT INTO t (id) VALUES (1), (2)",
        "UPDATE t SET total = 1 WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
    )
    assert [message["extra"] for message, _ in rig.messages()] == [dict.fromkeys("abc", text)] * 4


@ways
def test_extra_is_not_made_for_rows_that_are_not_wanted(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {
            **way,
            "events": ["insert", "update"],
            "when": "new.total <> 0",
            "payload": {"extra": {"x": "1 / new.total"}},
        }
    )
    rig.run(
        "INSERT INTO t (id, total) VALUES (1, 0), (2, 4)",
        "INSERT INTO t (id, total) VALUES (3, 0)",
        "UPDATE t SET status = 'x'",
        "UPDATE t SET status = 'y' WHERE id = 1",
        "UPDATE t SET status = 'z' WHERE id IN (1, 3)",
    )
    assert [message["extra"] for message, _ in rig.messages()] == [{"x": 0.25}] * 2


@ways
@pytest.mark.parametrize("key", [["id"], [], ["status", "total"]], ids=["primary", "none", "own"])
def test_max_bytes(rig: Rig, way: dict[str, str], key: list[str]) -> None:
    if not key:
        rig.run("ALTER TABLE t DROP CONSTRAINT t_pkey")
    route = {**way, "payload": {"max_bytes": "1 kB", "extra": {"a": "1"}}}
    rig.capture({**route, "key": key} if key else route)
    rig.run(
        "INSERT INTO t (id, status, email) VALUES (1, 's', 'x'), (2, 's', repeat('x', 2000))",
        "INSERT INTO t (id, status, email) VALUES (3, 's', repeat('x', 2000))",
        "UPDATE t SET status = 'u' WHERE id = 3",
        "DELETE FROM t",
    )
    expected = {"id": 3} if key == ["id"] else {"status": "u", "total": None} if key else None
    found = [message for message, _ in rig.messages()]
    assert [message.get("truncated") for message in found[:4]] == [None, True, True, True]
    assert found[3]["new"] == expected
    assert "extra" not in found[3]
    assert {message["op"]: message for message in found[1:]}["delete"]["new"] is None
    assert all(message["extra"] == {"a": 1} for message in found if "truncated" not in message)


@ways
def test_key(rig: Rig, way: dict[str, str]) -> None:
    rig.capture({**way, "key": ["status", "total"], "events": ["insert", "update", "delete"]})
    rig.run("INSERT INTO t (id, status) VALUES (1, 'x')", "UPDATE t SET status = 'y'", "DELETE FROM t")
    assert [change.key for change in rig.changes()] == [
        {"status": "x", "total": None},
        {"status": "y", "total": None},
        {"status": "y", "total": None},
    ]


@ways
def test_fan_out_sends_the_same_message_to_every_queue(rig: Rig, way: dict[str, str]) -> None:
    rig.capture({**way, "queues": ["one", "two", "three"]})
    rig.run("INSERT INTO t (id) VALUES (1)", "INSERT INTO t (id) VALUES (2), (3)", "UPDATE t SET total = 1")
    rig.run("UPDATE t SET total = 2 WHERE id = 1", "DELETE FROM t", "TRUNCATE t")
    one, two, three = (rig.messages(queue) for queue in ("one", "two", "three"))
    assert len(one) == 11
    assert one == two == three


@ways
def test_delay_and_headers(rig: Rig, way: dict[str, str]) -> None:
    rig.capture({**way, "delay": "90s"}, {**way, "queue": "soon"})
    rig.run(
        "INSERT INTO t (id) VALUES (1), (2)",
        f"SET changelane.traceparent = '{TRACE}'",
        "INSERT INTO t (id) VALUES (3)",
        "UPDATE t SET total = 1",
        "RESET changelane.traceparent",
        "TRUNCATE t",
    )
    seconds = rig.rows("SELECT extract(epoch FROM vt - enqueued_at) FROM pgmq.q_events ORDER BY msg_id")
    assert all(85 < value < 95 for (value,) in seconds)
    assert len(seconds) == 7
    assert rig.value("SELECT count(*) FROM pgmq.q_soon WHERE vt <= clock_timestamp()") == 7
    headers = [headers for _, headers in rig.messages()]
    assert headers == (
        [{"route": "route0"}] * 2 + [{"route": "route0", "traceparent": TRACE}] * 4 + [{"route": "route0"}]
    )


NO_TRACES = [
    "x", "00-abc-def-01", TRACE.upper(), f"{TRACE}0", f" {TRACE}", f"{TRACE}\n", f"{TRACE}-more",
    TRACE.replace("00-", "ff-"), f"00-{'0' * 32}-{'cd' * 8}-01", f"00-{'ab' * 16}-{'0' * 16}-01",
    "\N{GRINNING FACE}", "a" * 1_000_000,
]  # fmt: skip


@ways
def test_only_a_traceparent_of_the_form_of_w3c_is_sent(rig: Rig, way: dict[str, str]) -> None:
    rig.capture({**way, "events": ["insert"]})
    for number, text in enumerate(NO_TRACES):
        rig.rows("SELECT set_config('changelane.traceparent', '" + text + "', false)")
        rig.run(f"INSERT INTO t (id) VALUES ({number * 3})")
        rig.run(f"INSERT INTO t (id) VALUES ({number * 3 + 1}), ({number * 3 + 2})")
    assert [headers for _, headers in rig.messages()] == [{"route": "route0"}] * 3 * len(NO_TRACES)
    # Of a later version, of which no more is known than this form.
    rig.run(f"SET changelane.traceparent = '{TRACE.replace('00-', '01-')}'", "INSERT INTO t VALUES (-1)")
    ((_, headers),) = rig.messages()
    assert headers["traceparent"] == TRACE.replace("00-", "01-")


@ways
def test_a_queue_row_is_as_pgmq_makes_it(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(way)
    rig.run("INSERT INTO t (id) VALUES (1), (2)")
    rows = rig.rows(
        "SELECT read_ct, enqueued_at IS NOT NULL, vt <= clock_timestamp(), msg_id FROM pgmq.q_events"
    )
    assert [row[:3] for row in rows] == [(0, True, True)] * 2
    assert len(rig.rows("SELECT * FROM pgmq.read('events', 30, 10)")) == 2


def test_several_routes_on_one_table_each_send_their_own(rig: Rig) -> None:
    rig.capture(*({**way, "when": f"new.id > {number}"} for number, way in enumerate(WAYS)))
    rig.run("INSERT INTO t (id) VALUES (2)")
    assert [change.route for change in rig.changes()] == ["route0", "route1"]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE pgmq.q_odd ADD COLUMN more int NOT NULL",
        "ALTER TABLE pgmq.q_odd RENAME COLUMN headers TO head",
        "ALTER TABLE pgmq.q_odd ALTER COLUMN read_ct DROP DEFAULT",
        "ALTER TABLE pgmq.q_odd ADD COLUMN priority int DEFAULT 0",
    ],
)
def test_inline_is_refused_where_the_queue_is_of_no_known_shape(rig: Rig, change: str) -> None:
    rig.run("DO $$ BEGIN PERFORM pgmq.drop_queue('odd'); EXCEPTION WHEN others THEN NULL; END $$")
    rig.run("SELECT pgmq.create('odd')", change)
    with pytest.raises(PreflightError) as refused:
        rig.capture({"queue": "odd", "send": "inline"})
    assert "odd" in str(refused.value.problems[0])
    rig.run("SELECT pgmq.drop_queue('odd')", "SELECT pgmq.create('odd')")
    manifest = rig.capture({"queue": "odd", "send": "inline"})
    rig.run(change)
    differences = plan(manifest, observe(rig.conn, manifest)).differences
    assert any("odd" in f"{thing.name} {thing.detail}" for thing in differences)
    rig.clear()
    rig.run("SELECT pgmq.drop_queue('odd')")


def list_templates() -> Iterator[dict[str, Any]]:
    """A route for every trigger that the templates can render: all their branches, crossed."""
    for way, fan, bounded, named, old, limit, extra, mask in product(
        WAYS, (1, 2), (True, False), (True, False), ("full", "changed", "none"), (None, "1 kB"),
        (False, True), (False, True),
    ):  # fmt: skip
        payload: dict[str, Any] = {"old": old}
        if named:
            payload["columns"] = ["id", "a"]
        if limit:
            payload["max_bytes"] = limit
        if extra:
            payload["extra"] = {"x": "coalesce(old.a, new.a)"}
        if mask:
            payload["mask"] = {"a": "sha256" if fan == 1 else "redact"}
        yield {
            **way,
            "tables": ["app.small" if bounded else "app.large"],
            "queues": ["one", "two"][:fan],
            "payload": payload,
        }


FILTERS: list[dict[str, Any]] = [
    {},
    {"when": "op <> 'x'"},
    {"update_of": ["a"]},
    {"when": "op <> 'x'", "update_of": ["a"]},
]


@pytest.mark.parametrize("part", range(8))
def test_every_trigger_that_the_templates_render_fires(rig: Rig, part: int) -> None:
    routes = [route for number, route in enumerate(list_templates()) if number % 8 == part]
    for number, route in enumerate(routes):
        # The rest of the choices in turn, as they meet no other in the templates.
        route.update(FILTERS[number // 2 % 4])
        own_key = {} if route["payload"].get("mask") == {"a": "redact"} else {"key": ["a"]}
        others: list[dict[str, Any]] = [{}, own_key, {"delay": "1s"}]
        route.update(others[number // 3 % 3])
    rig.run(
        "CREATE TABLE small (id int PRIMARY KEY, a int, b timestamptz)",
        "CREATE TABLE large (id int PRIMARY KEY, a text, b jsonb, c json)",
    )
    rig.capture(*routes)
    for table in ("small", "large"):
        rig.run(
            f"INSERT INTO {table} (id, a) VALUES (1, '1')",
            f"INSERT INTO {table} (id, a) VALUES (2, '2'), (3, '3')",
            f"UPDATE {table} SET a = '10' WHERE id = 1",
            f"UPDATE {table} SET a = '11' WHERE id > 1",
            f"DELETE FROM {table} WHERE id = 1",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        )
    assert len(rig.changes("one")) == 10 * len(routes)
    assert len(rig.changes("two")) == 10 * sum(route["queues"] == ["one", "two"] for route in routes)
