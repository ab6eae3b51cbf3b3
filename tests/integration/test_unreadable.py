"""Messages that no client can read go to the dead letters alone, and can be seen, sent back and discarded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.command_line import RunChangelane
from support.dashboard import open_panel
from support.workers import Bench
from test_encodings import lend_encoded

from changelane.contract.coalesce import Coalesce
from changelane.contract.manifest import Retry
from changelane.runner.dashboard.data.message_search import Search, browse
from changelane.runner.live import database as databases
from changelane.runner.live import pgmq
from changelane.runner.queue.identity import Queue

HANDLE = """
def handle(change: Change) -> None:
    note(change.new["value"])
"""
GIANT = "to_jsonb(array_fill(1e131071::numeric, '{8200}'))"
"""100 kB as stored, 1 GB as text."""


@pytest.fixture
def bench(server: str, tmp_path: Path) -> Iterator[Bench]:
    """In a database of an encoding that has characters which UTF8 lacks."""
    for url in lend_encoded(server, "WIN1252"):
        with databases.connect(url) as conn:
            pgmq.install(conn)
            yield Bench(conn=conn, url=url, folder=tmp_path)


def spoil(bench: Bench, msg_id: int, *, value: str = "to_jsonb(chr(129))", table: str = "q_jobs") -> None:
    """Make the message one that cannot be read."""
    bench.conn.execute(
        sql.SQL("UPDATE {} SET message = jsonb_set(message, '{{new,value}}', {}) WHERE msg_id = {}").format(
            sql.Identifier("pgmq", table),
            sql.SQL(value),
            sql.Literal(msg_id),
        )
    )


@pytest.mark.parametrize("rule", [{}, {"ordering": "key"}, {"coalesce": Coalesce()}])
def test_the_rest_of_a_batch_goes_on(bench: Bench, rule: dict[str, Any]) -> None:
    bench.declare(HANDLE, **rule, batch=100, retry=Retry(attempts=3, first=0.05))
    if rule:
        bench.conn.execute(
            "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs"
            " ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
        )
    ids = bench.send(*map(str, range(30)), headers={"route": "things", "x-pgmq-group": "a"})
    for number in (0, 7, 8, 29):
        spoil(bench, ids[number])
    # Only its headers cannot be read.
    bench.conn.execute(
        "UPDATE pgmq.q_jobs SET headers = headers || jsonb_build_object('x', chr(129)) WHERE msg_id = %s",
        [ids[20]],
    )
    bench.drain()
    readable = [number for number in range(30) if number not in (0, 7, 8, 20, 29)]
    if "coalesce" in rule:
        assert list(map(int, bench.notes)) == sorted(set(readable).intersection(map(int, bench.notes)))
        assert bench.notes[-1] == "28"
    else:
        assert sorted(map(int, bench.notes)) == readable
    assert bench.queued == 0
    dead = bench.rows("SELECT headers->'dead_letter' FROM pgmq.q_jobs_dlq ORDER BY msg_id")
    assert sorted(letter["msg_id"] for (letter,) in dead) == [ids[number] for number in (0, 7, 8, 20, 29)]
    assert all("cannot be read" in letter["error"] for (letter,) in dead)
    assert bench.log.count('"event": "dead letter"') + bench.log.count("dead letter") >= 5


def test_a_message_that_is_longer_as_text_than_the_server_can_make(bench: Bench) -> None:
    bench.declare(HANDLE)
    ids = bench.send("1", "2", "3")
    spoil(bench, ids[1], value=GIANT)
    seen, after, pages = [], None, 0
    while pages == 0 or after is not None:
        with bench.conn.transaction():
            page = browse(bench.conn, Queue("jobs", ()), Search(text='"value": ', after=after))
        seen += [message.id for message in page.messages]
        # A page ends when its time is up.
        after, pages = page.next, pages + 1
    assert seen == [ids[0], ids[2]]
    bench.drain(timeout=120)
    assert sorted(bench.notes) == ["1", "3"]
    ((letter,),) = bench.rows("SELECT headers->'dead_letter' FROM pgmq.q_jobs_dlq")
    assert letter["msg_id"] == ids[1]
    assert "cannot be read" in letter["error"]


def test_it_can_be_seen_sent_back_and_discarded(
    bench: Bench, run_changelane: RunChangelane, tmp_path: Path
) -> None:
    bench.declare(HANDLE)
    ids = bench.send("1", "2", "3", "4")
    spoil(bench, ids[1])
    env = {"DATABASE_URL": bench.url}

    def run(*arguments: str) -> str:
        done = run_changelane(*arguments, env=env)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    assert run("peek", "jobs").count("available") == 4
    assert "cannot be read" in run("peek", "jobs", "--format", "json")
    with open_panel(tmp_path, bench.url) as panel:
        assert "cannot be read" in panel.open("/queues/jobs").words
        assert "cannot be read" in panel.open(f"/queues/jobs/messages/{ids[1]}").words
        bench.drain()
        assert sorted(bench.notes) == ["1", "3", "4"]
        assert "cannot be read" in panel.open("/dead-letters/jobs").words
    assert "cannot be read" in run("dead-letter", "list", "jobs")
    assert "cannot be read" in run("dead-letter", "show", "jobs")
    run("dead-letter", "redrive", "jobs")
    assert (bench.queued, bench.dead) == (1, [])
    bench.drain()
    run("dead-letter", "discard", "jobs", "--yes")
    assert (bench.queued, bench.dead) == (0, [])


def test_bytes_that_are_no_text_in_the_encoding_of_the_database(server: str, tmp_path: Path) -> None:
    for url in lend_encoded(server, "SQL_ASCII"):
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        with psycopg.connect(url, autocommit=True) as conn:
            pgmq.install(conn)
            bench = Bench(conn=conn, url=url, folder=tmp_path)
            bench.declare(HANDLE)
            bench.send("1", "2", "3")
            conn.execute(
                "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,value}',"
                " to_jsonb(convert_from('\\xff'::bytea, 'SQL_ASCII'))) WHERE msg_id = 2"
            )
            # As a server that was given bytes by an older one may be.
            conn.execute("UPDATE pg_database SET encoding = 6 WHERE datname = %s", [name])
        with databases.connect(url) as conn:
            bench.conn = conn
            bench.drain()
            assert sorted(bench.notes) == ["1", "3"]
            assert conn.execute("SELECT count(*) FROM pgmq.q_jobs_dlq").fetchone() == (1,)
