"""Large values and many rows: capture makes no write fail and keeps its memory small."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.captures import WAYS, Rig, name_way

ways = pytest.mark.parametrize("way", WAYS, ids=name_way)


GIANT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"capture": "statement", "payload": {"mask": {"a": "sha256"}, "old": "changed"}}, {"id": 1}),
    ({"capture": "row", "send": "inline", "key": ["a", "n"]}, {"a": None, "n": 1}),
]


@pytest.mark.parametrize("part", range(2))
def test_a_text_of_300_megabytes_does_not_fail_the_write(rig: Rig, part: int) -> None:
    route, key = GIANT[part]
    rig.run("CREATE TABLE t (id int PRIMARY KEY, a text, n int)")
    rig.capture(route)
    rig.run(
        "INSERT INTO t VALUES (1, repeat('x', 300000000), 1)",
        # Stored, it is compressed and looks small.
        "UPDATE t SET n = 2",
        "DELETE FROM t",
    )
    found = [message for message, _ in rig.messages()]
    assert [message["truncated"] for message in found] == [True] * 3
    assert found[0]["key"] == key
    assert found[0]["new"] == key
    assert found[2]["new"] is None


@pytest.mark.parametrize("way", [WAYS[0], WAYS[3]], ids=name_way)
def test_rows_above_1_gigabyte_grown_column_by_column(rig: Rig, way: dict[str, str]) -> None:
    rig.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text, c bytea, n int)",
        "INSERT INTO t VALUES (1, NULL, NULL, NULL, 1)",
        "UPDATE t SET a = repeat('x', 380000000)",
        "UPDATE t SET b = a",
        "UPDATE t SET c = convert_to(a, 'UTF8')",
        "INSERT INTO t VALUES (2, 'x', 'y', 'z', 2)",
    )
    with pytest.raises(psycopg.Error):
        rig.rows("SELECT t FROM t WHERE id = 1")
    rig.capture(
        {**way, "payload": {"old": "changed"}}, {**way, "queue": "some", "payload": {"columns": ["id", "n"]}}
    )
    rig.run("UPDATE t SET n = n + 1", "DELETE FROM t WHERE id = 1")
    for queue, cut in (("events", True), ("some", None)):
        messages = [(m["key"]["id"], m["op"], m.get("truncated")) for m, _ in rig.messages(queue)]
        first = [message for message in messages if message[0] == 1]
        assert first == [(1, "update", cut), (1, "delete", cut)]
        assert [message for message in messages if message[0] == 2] == [(2, "update", None)]


AMPLIFIED = {
    # jsonb holds no array of so many elements.
    "nulls int[]": "array_fill(NULL::int, '{36000000}')",
    "numbers numeric[]": "array_fill(1e131071::numeric, '{140}')",
    "prices prices": "array_fill(1e131071::numeric, '{140}')",
    "pairs pair": "ROW(array_fill(1e131071::numeric, '{140}'))::pair",
    "spans nummultirange": "(SELECT range_agg(numrange(n * 1e100000, n * 1e100000 + 1, '[]'))"
    " FROM generate_series(1, 85) AS n)",
    "names regprocedure[]": "array_fill('pg_catalog.jsonb_path_query_array_tz(jsonb,jsonpath,jsonb,boolean)'"
    "::regprocedure, '{400000}')",
}
"""Columns, and values that are small as stored and large as JSON."""


@pytest.mark.parametrize("way", [WAYS[0], WAYS[3]], ids=name_way)
def test_values_that_are_small_as_stored_and_huge_as_text(rig: Rig, way: dict[str, str]) -> None:
    rig.run(
        "CREATE DOMAIN prices AS numeric[]",
        "CREATE TYPE pair AS (xs numeric[])",
    )
    for column, value in AMPLIFIED.items():
        name = column.partition(" ")[0]
        rig.run(f"CREATE TABLE t (id int PRIMARY KEY, {column}, n int)")
        rig.capture(
            way,
            {**way, "queue": "named", "payload": {"columns": ["id", name]}},
            {**way, "queue": "other", "payload": {"columns": ["id", "n"]}},
        )
        rig.run(f"INSERT INTO t VALUES (1, {value}, 1)", "UPDATE t SET n = 2", "DELETE FROM t")
        for queue, cut in (("events", True), ("named", True), ("other", None)):
            truncated = [message.get("truncated") for message, _ in rig.messages(queue)]
            assert truncated == [cut] * 3, column
        rig.run("DROP TABLE t")


@ways
def test_many_large_rows_in_one_statement(rig: Rig, way: dict[str, str]) -> None:
    rig.run("CREATE TABLE t (id int PRIMARY KEY, a text)", "ALTER TABLE t ALTER a SET STORAGE EXTERNAL")
    rig.capture({**way, "events": ["insert", "update"], "payload": {"old": "none"}})
    rig.run("INSERT INTO t SELECT n, repeat('x', 2000000) FROM generate_series(1, 60) AS n")
    assert rig.value("SELECT count(*) FROM pgmq.q_events WHERE message ? 'truncated'") == 0
    assert rig.value("SELECT sum(length(message -> 'new' ->> 'a')) FROM pgmq.q_events") == 120000000
    rig.run("TRUNCATE pgmq.q_events", "UPDATE t SET a = repeat('y', 18000000) WHERE id <= 5")
    assert rig.value("SELECT count(*) FROM pgmq.q_events WHERE message ? 'truncated'") == 5


def measure(conn: psycopg.Connection[object], statement: str) -> int:
    """The most private memory in kB that the connection's server process used while the statement ran."""
    status = Path(f"/proc/{conn.info.backend_pid}/status")

    def read() -> int:
        return int(status.read_text().partition("RssAnon:")[2].split()[0])

    before = most = read()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(conn.execute, statement.encode())
        while not running.done():
            most = max(most, read())
            time.sleep(0.005)
        running.result()
    return most - before


@pytest.mark.parametrize(
    "route",
    [
        {"send": "pgmq"},
        {"send": "inline"},
        {"send": "pgmq", "payload": {"old": "changed", "mask": {"a": "sha256"}, "max_bytes": "1 kB"}},
    ],
    ids=["pgmq", "inline", "changed"],
)
def test_a_million_rows_in_one_statement_take_at_most_64_megabytes_more(
    rig: Rig, route: dict[str, Any]
) -> None:
    used = []
    for captured in (False, True):
        rig.clear()
        rig.run("CREATE UNLOGGED TABLE t (id int, a text)")
        rig.run("INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 1000000) AS n")
        if captured:
            rig.capture({**route, "events": ["update"]})
        with rig.session(autocommit=True) as session:
            used.append(measure(session, "UPDATE t SET a = a || '!'"))
    assert used[1] - used[0] <= 64 * 1024
    assert rig.value("SELECT count(*) FROM pgmq.q_events") == 1000000
