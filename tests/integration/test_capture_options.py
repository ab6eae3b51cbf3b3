"""The options of a route and of its payload, on a live server."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from support.captures import MANY_TYPES, WAYS, Rig, name_way

from changelane.errors import PreflightError
from changelane.runner.apply.plan import plan
from changelane.runner.live.observe import observe

ways = pytest.mark.parametrize("way", WAYS, ids=name_way)
TRACE = f"00-{'ab' * 16}-{'cd' * 8}-01"


@pytest.fixture
def rig(rig: Rig) -> Rig:
    rig.run(*MANY_TYPES)
    return rig


@ways
@pytest.mark.parametrize("named", [None, ["id", "status", "total"]], ids=["all", "columns"])
def test_old_holds_changed_columns_or_nothing_as_declared(
    rig: Rig, way: dict[str, str], named: list[str] | None
) -> None:
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
    # 1.5 equals 1.50 as a number, but not as text.
    rig.run("UPDATE t SET total = 1.50", "UPDATE t SET total = 1.5")
    assert str(rig.changes("changed")[-1].old) == "{'total': Decimal('1.50')}"


@ways
def test_extra_expressions_are_sent_with_every_event(rig: Rig, way: dict[str, str]) -> None:
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
def test_a_message_over_max_bytes_is_truncated_to_its_key(
    rig: Rig, way: dict[str, str], key: list[str]
) -> None:
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
def test_the_declared_columns_are_the_key(rig: Rig, way: dict[str, str]) -> None:
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
def test_a_delay_and_the_trace_header_are_sent(rig: Rig, way: dict[str, str]) -> None:
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
    # A later version, of which only this form is known.
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
    """A route for every trigger that the templates can render: each combination of their branches."""
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
        # The other options in turn, because they do not interact in the templates.
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
