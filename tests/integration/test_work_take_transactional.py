"""Transactions of batch handlers that took their messages, by real worker processes on a real server."""

from __future__ import annotations

import pytest
from support.workers import Bench

from changelane.contract.manifest import Retry
from changelane.contract.schema import SCHEMA_SQL

SEEN = """
    def look(change):
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
            query = "SELECT read_ct FROM pgmq.q_jobs WHERE msg_id = %s"
            return conn.execute(query, [change.msg_id]).fetchone()[0]

    def write(changes, tx):
        for change in changes:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
"""


@pytest.fixture
def taking(bench: Bench) -> Bench:
    """A bench whose database has schema ``changelane``, without which nothing is taken."""
    bench.conn.execute(SCHEMA_SQL.encode())
    return bench


def list_effects(bench: Bench) -> list[int]:
    return [msg_id for (msg_id,) in bench.rows("SELECT msg_id FROM effects ORDER BY msg_id")]


def test_effects_commit_with_what_was_taken(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        write(changes, tx)
        note(look(changes[0]))
        """,
        mode="transactional",
        claim="take",
        batch=5,
    )
    ids = taking.send(*map(str, range(20)))
    taking.drain()
    assert list_effects(taking) == ids
    assert "0" in taking.notes
    assert (len(taking.notes), taking.queued) == (4, 0)


def test_a_failed_part_is_rolled_back_and_counted_by_lease(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        write(changes, tx)
        note([[change.attempt, look(change)] for change in changes])
        if any(change.new["value"] == 3 for change in changes):
            raise Failed({change: ValueError("bad") for change in changes if change.new["value"] == 3})
        """,
        mode="transactional",
        claim="take",
        batch=5,
        concurrency=1,
        retry=Retry(attempts=2, first=0.1),
    )
    ids = taking.send(*map(str, range(5)))
    taking.drain()
    assert list_effects(taking) == [item for item in ids if item != ids[3]]
    assert [headers["dead_letter"]["attempts"] for headers in taking.dead] == [2]
    assert taking.notes[0] == "[[1, 0], [1, 0], [1, 0], [1, 0], [1, 0]]"
    assert "[[2, 2]]" in taking.notes
    assert taking.queued == 0


def test_a_message_that_the_handler_cannot_take_is_not_lost_with_the_others(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        write(changes, tx)
        """,
        mode="transactional",
        claim="take",
    )
    ids = taking.send("1", "2")
    taking.conn.execute("SELECT pgmq.send('jobs', '[1]'::jsonb)")
    taking.drain()
    assert (list_effects(taking), len(taking.dead), taking.queued) == (ids, 1, 0)


def test_a_handler_that_sets_its_isolation_gets_leased_messages(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        tx.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        write(changes, tx)
        note(changes[0].attempt)
        """,
        mode="transactional",
        batch=5,
        concurrency=1,
    )
    ids = taking.send(*map(str, range(20)))
    taking.drain()
    assert list_effects(taking) == ids
    assert (set(taking.notes), taking.dead) == ({"1"}, [])
    assert "the handler sets up its transaction" in taking.log


def test_a_call_past_its_timeout_counts_an_attempt(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        write(changes, tx)
        note(changes[0].attempt)
        tx.execute("SELECT pg_sleep(600)")
        """,
        mode="transactional",
        claim="take",
        timeout=1.0,
        retry=Retry(attempts=2, first=0.1),
    )
    taking.send("1")
    taking.drain(timeout=60)
    assert (taking.notes, list_effects(taking), taking.queued) == (["1", "2"], [], 0)
    assert [headers["dead_letter"]["attempts"] for headers in taking.dead] == [2]


def test_a_lost_connection_leaves_no_effect_twice(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        write(changes, tx)
        if not Path("ended").exists():
            Path("ended").touch()
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
                conn.execute("SELECT pg_terminate_backend(%s, 5000)", [tx.info.backend_pid])
        tx.execute("SELECT")
        """,
        mode="transactional",
        claim="take",
        batch=5,
        concurrency=2,
    )
    ids = taking.send(*map(str, range(20)))
    taking.drain()
    assert (list_effects(taking), taking.queued, taking.dead) == (ids, 0, [])


def test_the_session_of_a_take_keeps_nothing_of_a_handler(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        query = "SELECT current_setting('search_path'), current_setting('work_mem')"
        note([tx.execute(query).fetchone(), look(changes[0])])
        tx.execute("SET search_path = pg_temp")
        tx.execute("SET work_mem = '1MB'")
        tx.execute("CREATE TEMP TABLE left_behind (n int)")
        tx.row_factory = psycopg.rows.dict_row
        """,
        mode="transactional",
        claim="take",
        batch=1,
        concurrency=1,
    )
    taking.send(*map(str, range(4)))
    taking.drain()
    assert len(taking.notes) == 4
    assert len(set(taking.notes)) == 1
    assert '"$user", public' in taking.notes[0]


def test_a_handler_that_commits_by_itself_loses_no_message(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        note(changes[0].attempt)
        tx.execute("COMMIT")
        """,
        mode="transactional",
        claim="take",
        retry=Retry(attempts=2, first=0.1),
    )
    taking.send("1")
    taking.drain()
    assert taking.notes == ["1", "2"]
    assert [headers["dead_letter"]["attempts"] for headers in taking.dead] == [2]
