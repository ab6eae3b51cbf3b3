"""Wake-up, pause and rate: when messages are claimed."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.tcp_proxy import run_proxy
from support.workers import Bench

from changelane.contract.manifest import Retry
from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.work.process import wakeup as bells
from changelane.runner.work.process.log import flush, open_log
from changelane.runner.work.process.wakeup import Wakeup

WAKE = (
    "SELECT pg_notify('changelane_jobs', '') FROM changelane.sleepers WHERE queue = 'jobs' AND until > now()"
)
ASLEEP = "SELECT FROM changelane.sleepers WHERE queue = 'jobs' AND until > now()"


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    conn.execute(SCHEMA_SQL.encode())
    return bench


NOTE = "def handle(change: Change) -> None: note(change.new['value'])"


def test_a_sleeping_worker_is_woken_by_a_notification(bench: Bench) -> None:
    bench.declare(NOTE)
    with bench.worker():
        for value in ("1", "2", "3"):
            bench.wait(lambda: bench.rows(ASLEEP))
            # By now it polls once a second.
            time.sleep(2)
            began = time.monotonic()
            with bench.conn.transaction():
                bench.send(value)
                bench.conn.execute(WAKE)
            bench.wait(lambda at=int(value): len(bench.notes) == at)
            if time.monotonic() - began < 0.3:
                return
    raise AssertionError("three times in a row it was the poll that found the message")


def test_under_load_nobody_is_notified(bench: Bench) -> None:
    bench.declare("def handle(changes: list[Change]) -> None: ...", batch=100)
    with bench.worker():
        bench.wait(lambda: bench.rows(ASLEEP))
        deadline = time.monotonic() + 20
        while bench.rows(ASLEEP):
            assert time.monotonic() < deadline
            with bench.conn.transaction():
                bench.send(*map(str, range(50)))
                bench.conn.execute(WAKE)
        bench.wait(lambda: bench.rows(ASLEEP))
        bench.wait(lambda: bench.queued == 0)


def test_a_worker_that_polls_needs_no_notification(bench: Bench) -> None:
    bench.declare(NOTE)
    with bench.worker():
        bench.wait(lambda: bench.rows(ASLEEP))
        bench.send("1")
        bench.wait(lambda: bench.notes == ["1"])


def assert_calm(process: subprocess.Popen[str]) -> None:
    """A worker that waits lets its threads sleep; one that never rests wakes them hundreds of times a second.

    The server's count of commits would not do: a session also commits when changes of schemas reach it, those
    of other databases, too.
    """
    before = count_switches(process.pid)
    time.sleep(5)
    assert count_switches(process.pid) - before < 5 * 50


def count_switches(pid: int) -> int:
    """How often the threads of a process waited for something until now."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[0]) for text in texts)


def test_an_idle_worker_asks_little_for_its_wake_up(bench: Bench) -> None:
    bench.declare(NOTE)
    with bench.worker() as process:
        bench.wait(lambda: bench.rows(ASLEEP))
        time.sleep(2)
        assert_calm(process)


def test_a_worker_whose_keys_all_wait_asks_little(bench: Bench) -> None:
    bench.conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    bench.declare("def handle(change: Change) -> None: raise Retry(after=3600)", ordering="key", batch=100)
    for _ in range(2):
        for key in "abcdefgh":
            bench.send("1", headers={"route": "things", "x-pgmq-group": key})
    later = "SELECT count(*) FROM pgmq.q_jobs WHERE vt > now() + interval '30 minutes'"
    with bench.worker() as process:
        bench.wait(lambda: bench.rows(later) == [(8,)])
        time.sleep(2)
        assert_calm(process)


def test_missing_notifications_are_reported_once(
    bench: Bench, bare_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wakeup = Wakeup(queues=["jobs"], conninfo=bare_database, log=open_log())
    for _ in range(2):
        wakeup.attach(bench.conn)
    assert not wakeup.works
    flush()
    assert capsys.readouterr().err.count("notifications do not arrive") == 1
    wakeup.close()


def test_a_worker_asks_for_no_notification_where_transactions_can_be_prepared(
    bench: Bench, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.conn.execute("SET changelane.wake = off")
    wakeup = Wakeup(queues=["jobs"], conninfo=database, log=open_log())
    for _ in range(2):
        wakeup.attach(bench.conn)
        assert not wakeup.update(bench.conn, asleep=["jobs"], awake=[])
    flush()
    assert capsys.readouterr().err.count("lets transactions be prepared") == 1
    assert bench.rows(ASLEEP) == []
    bench.conn.execute("SET changelane.wake = on")
    wakeup = Wakeup(queues=["jobs"], conninfo=database, log=open_log())
    wakeup.attach(bench.conn)
    assert wakeup.update(bench.conn, asleep=["jobs"], awake=[])
    with bench.conn.transaction(force_rollback=True):
        bench.conn.execute(WAKE)
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="NOTIFY"):
            bench.conn.execute("PREPARE TRANSACTION 'woken'")
    wakeup.close()


def test_a_bell_outlives_its_connection(bench: Bench, database: str) -> None:
    wakeup = Wakeup(queues=["jobs"], conninfo=database, log=open_log())
    wakeup.attach(bench.conn)
    assert wakeup.update(bench.conn, asleep=["jobs"], awake=[])
    bench.conn.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'changelane worker wake-up' AND datname = current_database()"
    )
    bench.wait(lambda: not wakeup.wait(0.1) and not wakeup.works)
    wakeup.attach(bench.conn)
    assert wakeup.update(bench.conn, asleep=["jobs"], awake=[])
    bench.conn.execute(WAKE)
    assert wakeup.wait(5) == {"jobs": 1}
    assert not wakeup.update(bench.conn, asleep=[], awake=["jobs"])
    assert bench.rows(ASLEEP) == []
    wakeup.close()


def test_a_paused_queue_rests_until_it_is_resumed(bench: Bench, run_changelane: RunChangelane) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(change.attempt)
            time.sleep(0.1)
        """,
        concurrency=1,
        retry=Retry(attempts=1),
    )
    bench.send(*map(str, range(40)))
    with bench.worker() as process:
        bench.wait(lambda: bench.notes)
        assert "Queue jobs is paused." in run_changelane("pause", "jobs").stdout
        bench.wait(lambda: '"paused"' in bench.log)
        bench.wait(lambda: not bench.rows("SELECT FROM pgmq.q_jobs WHERE vt > now() + '5 s'"))
        done = len(bench.notes)
        time.sleep(0.5)
        assert len(bench.notes) == done < 40
        assert "Queue jobs is resumed." in run_changelane("resume", "jobs").stdout
        bench.wait(lambda: len(bench.notes) == 40)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert set(bench.notes) == {"1"}
    assert bench.dead == []


def test_a_paused_queue_is_not_drained_and_a_strange_one_not_paused(
    bench: Bench, run_changelane: RunChangelane
) -> None:
    bench.declare(NOTE)
    bench.send("1")
    run_changelane("pause", "jobs")
    assert "was paused already" in run_changelane("pause", "jobs").stdout
    drained = run_changelane("work", "--drain")
    assert drained.returncode == 1
    assert "queue jobs is paused, so it cannot be drained" in drained.stderr
    assert bench.notes == []
    with bench.worker():
        bench.wait(lambda: '"working"' in bench.log)
        time.sleep(0.5)
    assert bench.notes == []
    strange = run_changelane("pause", "job")
    assert strange.returncode == 1
    assert "did you mean `jobs`?" in strange.stderr


def test_a_blocked_queue_is_not_drained(bench: Bench, run_changelane: RunChangelane) -> None:
    bench.conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    bench.declare(
        "def handle(change: Change) -> None: raise ValueError('no')",
        ordering="key",
        on_exhausted="block",
        retry=Retry(attempts=1),
    )
    bench.send("1", "2", headers={"route": "things", "x-pgmq-group": "a"})
    drained = run_changelane("work", "--drain")
    assert drained.returncode == 1
    assert "not drained: in queue jobs" in drained.stderr


def test_a_consumer_keeps_to_its_rate(bench: Bench) -> None:
    bench.declare(
        "def handle(change: Change, tx: psycopg.Connection) -> None:\n"
        "        tx.execute('INSERT INTO notes (note) SELECT extract(epoch FROM clock_timestamp())')",
        mode="transactional",
        rate=50.0,
    )
    bench.send(*map(str, range(80)))
    bench.drain()
    times = sorted(map(float, bench.notes))
    assert all(later - earlier > 0.8 for earlier, later in zip(times, times[55:], strict=False))


def test_a_wake_up_connection_that_fell_silent_is_made_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "QUIET", 0.2)
    monkeypatch.setattr(bells, "FLAG", 1.0)
    with run_proxy(bench.url) as proxy:
        wakeup = Wakeup(queues=["jobs"], conninfo=proxy.url, log=open_log())

        def look() -> bool:
            wakeup.wait(0.05)
            wakeup.update(bench.conn, asleep=[], awake=[])
            return wakeup.works

        wakeup.attach(bench.conn)
        assert all(look() for _ in range(20))
        proxy.silence(new=False)
        bench.wait(lambda: not look())
        wakeup.attach(bench.conn)
        bench.conn.execute("SELECT pg_notify('changelane_jobs', '')")
        bench.wait(lambda: wakeup.wait(0.05)["jobs"])
        wakeup.close()
