"""Messages that are taken in the transaction that handles them, by real worker processes on a real server."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.pgbouncer import run_pooler
from support.workers import Bench

from changelane.contract.manifest import Archive, Retry
from changelane.contract.manifest import Consumer as Spec
from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.queue.worked import open_worked
from changelane.runner.work.handlers.plan import HandlerPlan
from changelane.runner.work.handlers.signature import Handler
from changelane.runner.work.process.consumer import Consumer
from changelane.runner.work.process.log import open_log
from changelane.runner.work.sinks.connection_shares import ConnectionShares

SEEN = """
    def look(change):
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
            query = "SELECT read_ct FROM pgmq.q_jobs WHERE msg_id = %s"
            return conn.execute(query, [change.msg_id]).fetchone()[0]
"""
NOTE = (
    SEEN
    + """
    def handle(change: Change) -> None:
        note(look(change))
"""
)
"""``look`` is the count of deliveries that others see while a handler runs: 0 for a taken message."""

OPEN = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'
"""


@pytest.fixture
def taking(bench: Bench) -> Bench:
    """A bench whose database has schema ``changelane``, without which nothing is taken."""
    bench.conn.execute(SCHEMA_SQL.encode())
    return bench


def holds_none(bench: Bench) -> bool:
    return bench.rows(OPEN) == [(0,)]


@pytest.mark.parametrize("claim", ["take", "auto"])
def test_messages_are_handled_once_and_gone(taking: Bench, claim: str) -> None:
    taking.declare(NOTE, claim=claim)
    taking.send(*map(str, range(20)))
    taking.drain()
    # Where the machine is slow, some of them became leases.
    assert "0" in taking.notes
    assert (taking.queued, len(taking.notes), taking.dead) == (0, 20, [])
    # It ended in order, so it leaves no note.
    assert taking.count("changelane.takers") == 0


def test_a_batch_is_taken_and_what_fails_counts_its_attempts_by_lease(taking: Bench) -> None:
    taking.declare(
        SEEN
        + """
    def handle(changes: list[Change]) -> None:
        note([[look(changes[0]), [change.attempt for change in changes]]])
        bad = {change: ValueError("bad") for change in changes if change.new["value"] == 3}
        if bad:
            raise Failed(bad)
        """,
        claim="take",
        batch=5,
        concurrency=1,
        retry=Retry(attempts=2, first=0.1),
    )
    taking.send(*map(str, range(5)))
    taking.drain()
    assert taking.notes == ["[[0, [1, 1, 1, 1, 1]]]", "[[2, [2]]]"]
    (dead,) = taking.dead
    assert (dead["dead_letter"]["attempts"], dead["dead_letter"]["error"]) == (2, "ValueError: bad")
    assert taking.queued == 0


def test_single_failures_reach_the_dead_letters_and_the_rest_is_handled(taking: Bench) -> None:
    taking.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] % 10 == 3:
                raise ValueError("bad")
            note(change.msg_id)
        """,
        claim="take",
        retry=Retry(attempts=2, first=0.1),
    )
    ids = taking.send(*map(str, range(50)))
    taking.drain()
    assert sorted(map(int, taking.notes)) == [item for n, item in enumerate(ids) if n % 10 != 3]
    assert [headers["dead_letter"]["attempts"] for headers in taking.dead] == [2] * 5


def test_what_was_claimed_before_is_never_taken(taking: Bench) -> None:
    taking.declare(NOTE, claim="take")
    taking.send("1", "2", "3")
    taking.conn.execute("SELECT pgmq.read('jobs', 0, 1)")
    taking.drain()
    assert sorted(taking.notes) == ["1", "1", "2"]


def test_a_lease_that_was_asked_for_is_a_lease(taking: Bench) -> None:
    taking.declare(NOTE, claim="lease")
    taking.send("1", "2")
    taking.drain()
    assert taking.notes == ["1", "1"]


def test_a_slow_handler_leaves_no_transaction_open(taking: Bench) -> None:
    taking.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 1:
                while not Path("go").exists():
                    time.sleep(0.01)
            note(change.attempt)
        """,
        claim="take",
        concurrency=2,
    )
    taking.send("1", "2", "3")
    with taking.worker("--drain") as process:
        taking.wait(lambda: taking.rows("SELECT count(*) FROM pgmq.q_jobs WHERE read_ct = 1") == [(1,)])
        taking.wait(lambda: holds_none(taking))
        assert taking.notes == ["1", "1"]
        (taking.folder / "go").touch()
        assert process.wait(30) == 0, taking.log
    assert (taking.queued, taking.notes) == (0, ["1"] * 3)


def test_a_stalled_worker_loses_what_it_took_and_commits_nothing(taking: Bench) -> None:
    taking.declare(
        """
        def handle(change: Change) -> None:
            note(os.getpid())
            if not Path("stalled").exists():
                Path("stalled").touch()
                os.kill(os.getpid(), signal.SIGSTOP)
                # Until all threads stand still.
                time.sleep(0.1)
        """,
        claim="take",
        lease=2.0,
    )
    (msg_id,) = taking.send("1")
    with taking.worker() as stalled:
        taking.wait((taking.folder / "stalled").exists)
        with taking.worker() as other:
            taking.wait(lambda: taking.notes == [str(stalled.pid), str(other.pid)])
            taking.wait(lambda: taking.queued == 0)
            # The same message again: the stalled worker must not take away what it took once.
            taking.conn.execute(
                "INSERT INTO pgmq.q_jobs (msg_id, vt, message) OVERRIDING SYSTEM VALUE "
                "VALUES (%s, clock_timestamp() + interval '1 hour', '{}')",
                [msg_id],
            )
            stalled.send_signal(signal.SIGCONT)
            taking.wait(lambda: " lost: " in taking.log)
            assert taking.queued == 1


def test_a_message_that_kills_processes_reaches_the_dead_letters(taking: Bench) -> None:
    taking.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            note(change.msg_id)
        """,
        claim="take",
        lease=1.0,
        concurrency=1,
        retry=Retry(attempts=2, first=0.1),
    )
    ids = taking.send(*map(str, range(10)))
    for _ in range(12):
        with taking.worker("--drain") as process:
            if process.wait(60) == 0:
                break
    assert taking.queued == 0, taking.log
    (dead,) = taking.dead
    assert dead["dead_letter"]["msg_id"] == ids[5]
    assert {int(text) for text in taking.notes} == set(ids) - {ids[5]}


@pytest.mark.parametrize("order", ["SIGTERM", "pause"])
def test_the_end_and_a_pause_give_back_what_was_taken(taking: Bench, order: str) -> None:
    taking.declare(
        """
        def handle(change: Change) -> None:
            while not Path("go").exists():
                time.sleep(0.01)
            note(change.msg_id)
        """,
        claim="take",
        concurrency=1,
        batch=10,
    )
    ids = taking.send(*map(str, range(10)))
    with taking.worker() as process:
        taking.wait(
            lambda: not holds_none(taking) or taking.rows("SELECT 1 FROM pgmq.q_jobs WHERE read_ct = 1")
        )
        if order == "SIGTERM":
            process.terminate()
        else:
            taking.conn.execute("SELECT changelane.pause('jobs')")
        # Nine go back at once; the tenth runs on, under a lease.
        due = "SELECT count(*) FROM pgmq.q_jobs WHERE read_ct = 1 AND vt <= clock_timestamp()"
        taking.wait(lambda: taking.rows(due) == [(9,)])
        assert holds_none(taking)
        (taking.folder / "go").touch()
        taking.wait(lambda: taking.queued == 9)
        if order == "pause":
            taking.conn.execute("SELECT changelane.resume('jobs')")
            taking.wait(lambda: taking.queued == 0)
            process.terminate()
        assert process.wait(30) == 0, taking.log
    assert taking.count("changelane.takers") == 0
    taking.drain()
    assert sorted(map(int, taking.notes)) == ids


def test_without_the_schema_messages_are_leased(bench: Bench) -> None:
    bench.declare(NOTE, claim="take")
    bench.send("1", "2")
    bench.drain()
    assert bench.notes == ["1", "1"]
    assert "no process can note that it takes" in bench.log


def test_a_message_that_no_handler_can_take_is_a_dead_letter(taking: Bench) -> None:
    taking.declare("def handle(change: Change) -> None:\n    note(change.msg_id)\n", claim="take")
    taking.send("1", "2")
    taking.conn.execute("SELECT pgmq.send('jobs', '[1]'::jsonb)")
    taking.drain()
    assert (len(taking.notes), len(taking.dead), taking.queued) == (2, 1, 0)


def test_taken_messages_are_archived_where_the_queue_keeps_them(taking: Bench) -> None:
    taking.declare(NOTE, claim="take", archive=Archive(keep=86400))
    ids = taking.send("1", "2")
    taking.drain()
    assert "0" in taking.notes
    kept = taking.rows("SELECT msg_id, read_ct, message -> 'new' ->> 'value' FROM pgmq.a_jobs ORDER BY 1")
    assert kept == [(ids[0], 1, "1"), (ids[1], 1, "2")]
    assert taking.queued == 0


def test_an_idle_consumer_that_may_take_rests(taking: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changelane.runner.work.process.consumer.HEARTBEAT", 0.2)
    spec = Spec(queue="jobs", handler="no:ne", dead_letter="jobs_dlq", claim="take")
    (queue,) = open_worked(taking.conn, [spec])
    consumer = Consumer(
        spec=spec,
        queue=queue,
        plan=HandlerPlan(spec, Handler(function=lambda change: None, asynchronous=False, transaction=False)),
        conninfo=taking.url,
        alone=threading.Lock(),
        shares=ConnectionShares(),
        log=open_log(),
    )
    turns: list[float] = []
    turn = consumer._turn

    def count(connection: psycopg.Connection[Any]) -> None:
        turns.append(time.monotonic())
        turn(connection)

    monkeypatch.setattr(consumer, "_turn", count)
    taking.send("1")
    consumer.start()
    try:
        taking.wait(lambda: consumer.counts["handled"] == 1 and consumer.idle)
        time.sleep(1)
        turns.clear()
        time.sleep(1)
        # One for each heartbeat, and a few more.
        assert 0 < len(turns) < 50
    finally:
        consumer.stop(deadline=time.monotonic() + 5)
        consumer.join(timeout=20)
    assert taking.count("changelane.takers") == 0


def test_a_note_of_another_role_makes_workers_lease_and_does_no_more(taking: Bench) -> None:
    taking.declare(NOTE, claim="take")
    taking.send(*map(str, range(5)))
    taking.conn.execute("INSERT INTO changelane.takers VALUES (1, 'jobs', '-infinity')")
    taking.conn.execute("GRANT USAGE ON SCHEMA changelane TO pg_signal_backend")
    with psycopg.connect(taking.url, autocommit=True) as stranger:
        stranger.execute("SET ROLE pg_signal_backend")
        stranger.execute("SELECT changelane.begin_taking('jobs', 2), changelane.end_taking(1)")
        for statement in (
            "DELETE FROM changelane.takers",
            "UPDATE changelane.takers SET vanished_at = NULL",
            "SELECT lock FROM changelane.takers FOR UPDATE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                stranger.execute(statement)
        assert taking.count("changelane.takers") == 2
    taking.wait(lambda: taking.rows("SELECT pg_try_advisory_xact_lock(2)") == [(True,)])
    taking.drain()
    assert taking.notes == ["1"] * 5
    taking.send(*map(str, range(5)))
    taking.drain()
    assert "0" in taking.notes
    assert (taking.queued, len(taking.notes), taking.dead) == (0, 10, [])


def test_through_a_pooler_messages_are_leased(taking: Bench, database: str, tmp_path: Path) -> None:
    taking.declare(NOTE, claim="take")
    taking.send("1", "2")
    with run_pooler(database, tmp_path, size=10) as taking.url:
        taking.drain()
    assert taking.notes == ["1", "1"]
    assert "no process can note that it takes: a pooler is in between" in taking.log
