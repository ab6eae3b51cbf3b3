"""The id of a change: one for each change and route, in all queues of the route, never used again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.deployment import bring, declare

SPEC = """
version: 1
project: ids
queues: {{one: {{}}, copy: {{}}, keyed: {{}}, other: {{}}}}
routes:
  - {{name: things, table: app.t, queues: [one, copy], capture: {capture}, send: {send},
     events: [insert, update, delete{truncate}]}}
  - {{name: alone, table: app.t, queue: other, capture: {capture}, send: {send},
     events: [insert, update, delete{truncate}]}}
  - {{name: moves, table: app.t, queue: keyed, capture: {capture}, send: {send},
     events: [insert, update, delete]}}
consumers:
  keyed: {{handler: "handlers:handle", ordering: key}}
"""
CHANGES = (
    "INSERT INTO app.t VALUES (1, 'a')",
    "INSERT INTO app.t SELECT n, 'b' FROM generate_series(2, 1200) AS n",
    "UPDATE app.t SET v = 'c' WHERE id = 1",
    "UPDATE app.t SET v = 'd' WHERE id < 100",
    "UPDATE app.t SET id = -id WHERE id = 7",
    "UPDATE app.t SET id = -id WHERE id BETWEEN 10 AND 20",
    "INSERT INTO app.t VALUES (2000, repeat('x', 20000000))",
    "DELETE FROM app.t WHERE id = 2000",
    "DELETE FROM app.t WHERE id > 100",
)


@pytest.fixture(params=[(capture, send) for capture in ("statement", "row") for send in ("pgmq", "inline")])
def captured(
    request: pytest.FixtureRequest, conn: psycopg.Connection[Any], tmp_path: Path
) -> psycopg.Connection[Any]:
    capture, send = request.param
    conn.execute("CREATE SCHEMA app")
    conn.execute("CREATE TABLE app.t (id int PRIMARY KEY, v text)")
    truncate = ", truncate" if capture == "statement" else ""
    bring(conn, declare(conn, tmp_path, SPEC.format(capture=capture, send=send, truncate=truncate)))
    return conn


def read_ids(conn: psycopg.Connection[Any], queue: str) -> list[str | None]:
    query = f"SELECT message->>'id' FROM pgmq.q_{queue} ORDER BY msg_id"
    return [id for (id,) in conn.execute(query.encode())]


def test_each_change_has_an_id_of_its_own_which_all_queues_of_its_route_share(
    captured: psycopg.Connection[Any],
) -> None:
    # A session that sets the seed of random() gets new ids all the same.
    for change in CHANGES:
        captured.execute("SELECT setseed(0.5)")
        captured.execute(change.encode())
    with captured.transaction():
        for number in range(3000, 3020):
            captured.execute("SELECT setseed(0.5)")
            captured.execute("INSERT INTO app.t VALUES (%s, 'e')", [number])
    captured.execute("TRUNCATE app.t")
    found = {queue: read_ids(captured, queue) for queue in ("one", "copy", "other", "keyed")}
    assert found["one"] == found["copy"]
    every = [id for queue in ("one", "other", "keyed") for id in found[queue]]
    assert len(every) > 3 * 2400
    assert all(every)
    assert len(set(every)) == len(every)


def test_the_two_messages_of_a_changed_key_differ_in_their_ids(captured: psycopg.Connection[Any]) -> None:
    captured.execute("INSERT INTO app.t SELECT n FROM generate_series(1, 3) AS n")
    captured.execute("TRUNCATE pgmq.q_keyed")
    captured.execute("UPDATE app.t SET id = 9 WHERE id = 1")
    captured.execute("UPDATE app.t SET id = -id")
    ids = read_ids(captured, "keyed")
    assert len(set(ids)) == len(ids) == 8


def test_a_copy_of_the_database_goes_on_with_other_ids(captured: psycopg.Connection[Any]) -> None:
    """The same transaction number and seed, as two copies of a database have them."""
    ids = [
        captured.execute("SELECT changelane.new_id() FROM (SELECT setseed(0.25)) AS seeded").fetchone()
        for _ in range(50)
    ]
    texts = [id[0].split("-", 1)[1] for id in ids if id]
    assert len(set(texts)) == 50
    assert all(first < second for first, second in pairwise(texts))


@pytest.mark.parametrize(
    "payload", ["columns: [v], mask: {v: redact}", "old: none, mask: {id: redact, v: redact}"]
)
@pytest.mark.parametrize("extra", ["", ", extra: {now: 'clock_timestamp()'}"])
@pytest.mark.parametrize("send", ["pgmq", "inline"])
def test_messages_that_show_nothing_of_their_rows_have_ids_of_their_own(
    conn: psycopg.Connection[Any], tmp_path: Path, send: str, extra: str, payload: str
) -> None:
    conn.execute("CREATE TABLE t (id int, v text)")
    spec = f"""
version: 1
project: ids
queues: {{one: {{}}}}
routes:
  - {{name: things, table: public.t, queue: one, send: {send}, events: [insert, update, delete],
     payload: {{{payload}, max_bytes: 2 kB{extra}}}}}
"""
    bring(conn, declare(conn, tmp_path, spec))
    conn.execute("INSERT INTO t SELECT n, 'a' FROM generate_series(1, 20) AS n")
    conn.execute("UPDATE t SET v = 'b'")
    conn.execute("DELETE FROM t")
    ids = read_ids(conn, "one")
    assert len(set(ids)) == len(ids) == 60
