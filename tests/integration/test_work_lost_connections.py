"""Lost connections, cancelled statements, and queues that are gone or locked: what a worker does."""

from __future__ import annotations

import signal
import time

import pytest
from psycopg import sql
from support.workers import Bench

from changelane.contract.manifest import Retry


def test_a_lost_connection_in_the_handler_spends_no_attempt(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.attempt])
            if not Path("once").exists():
                Path("once").touch()
                note(tx.info.backend_pid)
                time.sleep(0.5)
                try:
                    tx.execute("SELECT 1")
                except Exception:
                    raise RuntimeError("told otherwise") from None
        """,
        mode="transactional",
        retry=Retry(attempts=1),
    )
    bench.send("1")
    with bench.worker("--drain") as process:
        bench.wait(lambda: bench.notes)
        bench.conn.execute("SELECT pg_terminate_backend(%s)", [int(bench.notes[0])])
        assert process.wait(20) == 0
    assert bench.rows("SELECT value FROM effects") == [(1,)]
    assert bench.dead == []


def test_serialization_failures_spend_no_attempt(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            note(change.attempt)
            if not Path("once").exists():
                Path("once").touch()
                tx.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
            tx.execute("INSERT INTO effects VALUES (1, 1)")
        """,
        mode="transactional",
        retry=Retry(attempts=1),
    )
    bench.send("1")
    bench.drain()
    assert bench.notes == ["1", "1"]
    assert bench.count("effects") == 1


def test_the_worker_outlives_the_loss_of_all_its_connections(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            time.sleep(0.005)
        """,
        mode="transactional",
        lease=2,
        retry=Retry(attempts=1),
    )
    ids = bench.send(*map(str, range(300)))
    with bench.worker("--drain") as process:
        for threshold in (20, 100, 180):
            bench.wait(lambda at=threshold: bench.count("effects") >= at or process.poll() is not None)
            bench.conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE 'changelane work%'"
            )
        assert process.wait(30) == 0, bench.log
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in ids]
    assert bench.dead == []


@pytest.mark.parametrize("kind", ["", "async "])
@pytest.mark.parametrize(
    "setting", ["idle_session_timeout = '300ms'", "idle_in_transaction_session_timeout = '1s'"]
)
def test_sessions_that_the_server_ends_cost_nothing(bench: Bench, setting: str, kind: str) -> None:
    name = sql.Identifier(bench.conn.info.dbname)
    bench.conn.execute(sql.SQL("ALTER DATABASE {} SET ").format(name) + sql.SQL(setting))
    wait = "await " if kind else ""
    bench.declare(
        f"""
        {kind}def handle(change: Change, tx) -> None:
            {wait}tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            if change.new["value"] == 1 and not Path("slow").exists():
                Path("slow").touch()
                {"await asyncio" if kind else "time"}.sleep(1.5)
        """,
        mode="transactional",
        retry=Retry(attempts=1),
    )
    with bench.worker() as process:
        for count in (3, 6, 9):
            bench.send("1", "2", "3")
            bench.wait(lambda at=count: bench.count("effects") >= at)
            time.sleep(0.5)
        assert process.poll() is None
    assert bench.rows("SELECT count(*), count(DISTINCT msg_id) FROM effects") == [(9, 9)]
    assert bench.dead == []


def test_a_worker_whose_statements_are_cancelled_goes_on(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            time.sleep(0.01)
        """,
        mode="transactional",
        retry=Retry(attempts=1000, first=0.01, max=0.02),
    )
    bench.send(*map(str, range(200)))
    with bench.worker("--drain") as process:
        # One that is cancelled while it starts ends with an error, for whoever started it.
        bench.wait(lambda: '"working"' in bench.log)
        while process.poll() is None and bench.count("effects") < 150:
            bench.conn.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE 'changelane work%'"
            )
            time.sleep(0.02)
        assert process.wait(30) == 0, bench.log
    assert bench.rows("SELECT count(*), count(DISTINCT msg_id) FROM effects") == [(200, 200)]


@pytest.mark.parametrize("kind", ["", "async "])
def test_an_ack_that_waits_too_long_for_a_lock_spends_no_attempt(bench: Bench, kind: str) -> None:
    name = sql.Identifier(bench.conn.info.dbname)
    bench.conn.execute(sql.SQL("ALTER DATABASE {} SET lock_timeout = '100ms'").format(name))
    wait = "await " if kind else ""
    bench.declare(
        f"""
        {kind}def handle(change: Change, tx) -> None:
            {wait}tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            note("began")
            while not Path("go").exists():
                {"await asyncio" if kind else "time"}.sleep(0.02)
        """,
        mode="transactional",
        retry=Retry(attempts=1),
    )
    bench.send("1", "2")
    with bench.worker("--drain") as process:
        bench.wait(lambda: len(bench.notes) == 2)
        with bench.conn.transaction():
            bench.conn.execute("LOCK pgmq.q_jobs IN SHARE MODE")
            (bench.folder / "go").touch()
            bench.wait(lambda: "lock timeout" in bench.log)
        assert process.wait(30) == 0, bench.log
    assert bench.rows("SELECT count(*), count(DISTINCT msg_id) FROM effects") == [(2, 2)]
    assert bench.dead == []


def test_a_message_whose_dead_letter_queue_is_gone_stays_and_its_handler_does_not_run_again(
    bench: Bench,
) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note("ran")
            raise ValueError("no such thing")
        """,
        retry=Retry(attempts=1),
    )
    with bench.worker() as process:
        bench.wait(lambda: '"working"' in bench.log)
        bench.conn.execute("SELECT pgmq.drop_queue('jobs_dlq')")
        bench.send("1")
        bench.wait(lambda: "could not move a message" in bench.log and '"attempts": 1' in bench.headers)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    bench.conn.execute("SELECT pgmq.create('jobs_dlq')")
    bench.conn.execute("UPDATE pgmq.q_jobs SET vt = now()")
    bench.drain()
    assert bench.notes == ["ran"]
    assert [headers["dead_letter"]["error"] for headers in bench.dead] == ["ValueError: no such thing"]


def test_a_queue_dropped_under_the_worker_ends_it_with_a_reason(bench: Bench) -> None:
    bench.declare("def handle(change: Change) -> None: ...")
    with bench.worker() as process:
        bench.wait(lambda: '"working"' in bench.log)
        bench.conn.execute("SELECT pgmq.drop_queue('jobs')")
        assert process.wait(20) == 1
    assert 'error: queue jobs: relation "pgmq.q_jobs" does not exist' in bench.log
    assert "Traceback" not in bench.log
