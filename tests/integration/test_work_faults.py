"""Killed, stopped and cut-off workers: nothing is lost, nothing is done twice, nobody is blamed wrongly."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.workers import Bench

from changelane.contract.manifest import Retry


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    return Bench(conn=conn, url=database, folder=tmp_path)


SLOW_ONCE = """
    def handle(change: Change, tx: psycopg.Connection) -> None:
        tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
        try:
            Path("once").touch(exist_ok=False)
        except FileExistsError:
            return
        note("slow")
        time.sleep(SLEEP)
"""


def test_a_killed_worker_leaves_its_messages_to_be_done_exactly_once(bench: Bench) -> None:
    bench.declare(SLOW_ONCE.replace("SLEEP", "60"), mode="transactional", lease=1, batch=10, concurrency=2)
    ids = bench.send(*map(str, range(10)))
    with bench.worker() as process:
        bench.wait(lambda: bench.count("effects") >= 5)
        process.kill()
    bench.drain()
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in ids]
    assert bench.dead == []


def test_a_worker_stopped_past_its_lease_acks_nothing_of_what_another_did(bench: Bench) -> None:
    bench.declare(SLOW_ONCE.replace("SLEEP", "0.5"), mode="transactional", lease=1, concurrency=1)
    bench.send("1")
    with bench.worker() as stale:
        bench.wait(lambda: bench.notes)
        stale.send_signal(signal.SIGSTOP)
        bench.drain()
        assert bench.count("effects") == 1
        stale.send_signal(signal.SIGCONT)
        stale.send_signal(signal.SIGTERM)
        assert stale.wait(30) == 0
    assert bench.count("effects") == 1
    assert '"lost": 1' in bench.log


def test_a_stale_worker_leaves_alone_a_message_that_another_still_holds(bench: Bench) -> None:
    bench.declare(SLOW_ONCE.replace("SLEEP", "0.5"), mode="transactional", lease=1, concurrency=1)
    (msg_id,) = bench.send("1")
    with bench.worker() as stale:
        bench.wait(lambda: bench.notes)
        stale.send_signal(signal.SIGSTOP)
        bench.wait(lambda: bench.rows("SELECT FROM pgmq.q_jobs WHERE vt < clock_timestamp()"))
        # Another holder, by pgmq's own means.
        bench.conn.execute("SELECT pgmq.read('jobs', 3600, 1)")
        held = bench.rows("SELECT msg_id, read_ct, vt, headers FROM pgmq.q_jobs")
        stale.send_signal(signal.SIGCONT)
        stale.send_signal(signal.SIGTERM)
        assert stale.wait(30) == 0
    assert bench.rows("SELECT msg_id, read_ct, vt, headers FROM pgmq.q_jobs") == held
    assert bench.count("effects") == 0
    assert held[0][:2] == (msg_id, 2)


def test_a_handler_longer_than_its_lease_keeps_its_message(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(change.msg_id)
            time.sleep(2.5)
        """,
        lease=1,
        batch=4,
        concurrency=1,
    )
    ids = bench.send("1", "2")
    with bench.worker("--drain") as first, bench.worker("--drain") as second:
        assert (first.wait(20), second.wait(20)) == (0, 0)
    assert sorted(bench.notes) == [str(msg_id) for msg_id in ids]


def test_sigterm_gives_back_what_no_handler_took_and_spends_no_attempt(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(change.attempt)
            time.sleep(1)
        """,
        batch=10,
        concurrency=1,
        lease=3600,
        retry=Retry(attempts=1),
    )
    first, *rest = bench.send(*map(str, range(5)))
    for begun in (1, 2):
        with bench.worker() as process:
            bench.wait(lambda begun=begun: len(bench.notes) == begun)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    assert set(bench.notes) == {"1"}
    left = bench.rows("SELECT msg_id, headers->'changelane'->'attempts', vt <= now() FROM pgmq.q_jobs")
    assert len(left) >= 2
    assert {row[0] for row in left} < set(rest)
    assert {row[1:] for row in left} == {(0, True)}
    assert bench.dead == []
    assert first not in {row[0] for row in left}


def test_past_the_grace_a_running_async_handler_is_cancelled_and_released(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(change: Change) -> None:
            note("began")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                note("cancelled")
                raise
        """,
        lease=3600,
    )
    bench.send("1")
    with bench.worker("--grace", "0.2") as process:
        bench.wait(lambda: bench.notes)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert bench.notes == ["began", "cancelled"]
    assert bench.rows("SELECT vt <= now(), headers->'changelane'->'released' FROM pgmq.q_jobs") == [(True, 1)]


def test_a_second_signal_ends_a_blocked_worker_at_once(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (1, 1)")
            note("began")
            time.sleep(60)
        """,
        mode="transactional",
        lease=3600,
    )
    bench.send("1")
    with bench.worker() as process:
        bench.wait(lambda: bench.notes)
        process.send_signal(signal.SIGINT)
        bench.wait(lambda: '"stopping"' in bench.log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert bench.rows("SELECT FROM pgmq.q_jobs WHERE vt <= now()")
    assert bench.count("effects") == 0


def test_a_message_that_kills_its_worker_reaches_the_dead_letter_and_takes_no_other_along(
    bench: Bench,
) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 0:
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGKILL)
            note(change.msg_id)
        """,
        lease=1,
        batch=10,
        concurrency=2,
        retry=Retry(attempts=2, first=0.1),
    )
    _, *others = bench.send("0", "1", "2", "3")
    assert drain_despite_deaths(bench) == 4
    assert {str(msg_id) for msg_id in others} == set(bench.notes)
    (headers,) = bench.dead
    assert headers["dead_letter"]["attempts"] == 2
    assert "vanished" in headers["dead_letter"]["error"]


def test_a_message_that_kills_its_worker_blames_no_slow_one_that_runs_beside_it(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 0:
                time.sleep(0.2)
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.6)
            note(change.attempt)
        """,
        lease=1,
        batch=10,
        concurrency=3,
        retry=Retry(attempts=2, first=0.1),
    )
    bench.send("0", "1", "2")
    drain_despite_deaths(bench)
    assert bench.notes == ["1", "1"]
    assert [headers["dead_letter"]["msg_id"] for headers in bench.dead] == [1]


def drain_despite_deaths(bench: Bench) -> int:
    """Drain with a new worker after each that died; returns how many did."""
    for deaths in range(10):
        with bench.worker("--drain") as process:
            code = process.wait(30)
        if code == 0:
            return deaths
    raise AssertionError(bench.log)


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


def test_suspects_are_handled_while_other_work_keeps_coming(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 0 and not Path("died").exists():
                Path("died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            note(change.new["value"])
            if change.new["value"] == 0:
                Path("done").touch()
            elif not Path("done").exists():
                with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
                    conn.execute("SELECT pgmq.send('jobs', %s::jsonb, %s::jsonb)", [COPY, ROUTE])

        COPY = '''{"op": "insert", "schema": "public", "table": "things", "new": {"value": 1},
            "txid": "7", "at": "2026-11-22T18:54:03+00:00"}'''
        ROUTE = '{"route": "things"}'
        """,
        lease=1,
        batch=4,
        concurrency=1,
    )
    bench.send("0")
    with bench.worker() as process:
        process.wait(20)
    bench.send("1", "1", "1", "1", "1", "1", "1", "1")
    bench.drain()
    assert bench.notes.count("0") == 1


def test_new_messages_are_taken_while_a_long_handler_runs(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 1:
                note("long began")
                while not Path("quick").exists():
                    time.sleep(0.05)
                note("long ended")
            else:
                note("quick")
                Path("quick").touch()
        """
    )
    bench.send("1")
    with bench.worker("--drain") as process:
        bench.wait(lambda: bench.notes)
        bench.send("2")
        assert process.wait(20) == 0
    assert bench.notes == ["long began", "quick", "long ended"]


def test_a_queue_dropped_under_the_worker_ends_it_with_a_reason(bench: Bench) -> None:
    bench.declare("def handle(change: Change) -> None: ...")
    with bench.worker() as process:
        bench.wait(lambda: '"working"' in bench.log)
        bench.conn.execute("SELECT pgmq.drop_queue('jobs')")
        assert process.wait(20) == 1
    assert 'error: queue jobs: relation "pgmq.q_jobs" does not exist' in bench.log
    assert "Traceback" not in bench.log


def test_children_end_when_their_parent_is_killed(bench: Bench) -> None:
    bench.declare("def handle(change: Change) -> None: note(os.getpid())")
    with bench.worker("--processes", "2") as process:
        bench.wait(lambda: bench.log.count('"working"') == 2)
        process.kill()
    bench.wait(lambda: bench.log.count('"stopped"') == 2)


def test_a_signal_that_comes_once_more_while_it_ends_does_not_change_how(bench: Bench) -> None:
    bench.declare(
        """
        import atexit

        @atexit.register
        def last():
            for number in (signal.SIGTERM, signal.SIGINT):
                note(signal.getsignal(number) is signal.SIG_IGN)

        def handle(change: Change) -> None:
            note("handled")
        """
    )
    bench.send("1")
    with bench.worker() as process:
        bench.wait(lambda: bench.notes)
        process.terminate()
        assert process.wait(20) == 0
    assert bench.notes == ["handled", "True", "True"]
