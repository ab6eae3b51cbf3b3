"""The reports of workers on themselves and on their queues, and their response to requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.workers import Bench

from changelane.contract.manifest import Retry
from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.live.history import WAITED, WORKED, find_quantile
from changelane.runner.live.worker_states import WorkerState, list_workers

PATIENCE = 60.0


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    conn.execute(SCHEMA_SQL.encode())
    return Bench(conn=conn, url=database, folder=tmp_path)


def find_worker(bench: Bench) -> WorkerState | None:
    found = list_workers(bench.conn)
    assert found is not None
    assert len(found) <= 1
    return found[0] if found else None


def test_a_worker_tells_what_it_runs_and_stops_when_asked(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change):
            if change.new["value"] == 1:
                raise ValueError("an order that nobody can pay")
            while not Path("go").exists():
                time.sleep(0.05)
        """,
        retry=Retry(attempts=1),
    )
    bench.send("1", "2")
    with bench.worker() as process:
        bench.wait(lambda: (state := find_worker(bench)) and state.calls and state.error, seconds=PATIENCE)
        state = find_worker(bench)
        assert state is not None
        assert (state.pid, state.queues, state.state, state.stale) == (
            process.pid,
            ["jobs"],
            "working",
            False,
        )
        assert state.process == f"{state.host}:{process.pid}"
        assert state.error == "ValueError: an order that nobody can pay"
        assert [(call.queue, call.ids, call.messages) for call in state.calls] == [("jobs", [2], 1)]
        assert state.calls[0].seconds > 0
        assert bench.rows("SELECT changelane.ask_worker('elsewhere:1', 'stop')") == [(False,)]
        assert bench.rows(f"SELECT changelane.ask_worker('{state.process}', 'explode')") == [(False,)]
        assert bench.rows(f"SELECT changelane.ask_worker('{state.process}', 'stop')") == [(True,)]
        bench.wait(lambda: (state := find_worker(bench)) and state.state == "stopping", seconds=PATIENCE)
        bench.send("3")
        (bench.folder / "go").touch()
        assert process.wait(PATIENCE) == 0
    assert find_worker(bench) is None, "what ended in order is gone"
    assert bench.queued == 1, "what came after it was asked waits for another"
    assert bench.rows("SELECT sum(handled), sum(failed), sum(retried) FROM changelane.history") == [(1, 1, 0)]


def test_a_worker_drains_when_asked(bench: Bench) -> None:
    bench.declare("def handle(change): time.sleep(0.2)")
    with bench.worker() as process:
        bench.wait(lambda: find_worker(bench), seconds=PATIENCE)
        bench.send(*map(str, range(30)))
        bench.conn.execute("SELECT changelane.ask_worker(process, 'drain') FROM changelane.workers")
        assert process.wait(PATIENCE) == 0
    assert bench.queued == 0
    ((handled, inserted, waited, worked),) = bench.rows(
        "SELECT sum(handled), max(inserted), array_agg(waited), array_agg(worked) FROM changelane.history "
        "WHERE handled > 0"
    )
    assert handled == 30
    assert 0 <= inserted <= 30, "by the statistics, which a session reports within a second"
    assert sum(map(sum, waited)) == sum(map(sum, worked)) == 30
    median = find_quantile([sum(counts) for counts in zip(*worked, strict=True)], WORKED, 0.5)
    assert median is not None
    assert 0.1 <= median <= 0.5


def test_neither_a_delay_nor_an_old_change_counts_as_waiting(bench: Bench) -> None:
    bench.declare("def handle(change): pass", batch=50)
    bench.send("1", delay=3)
    bench.send("2")
    bench.conn.execute("UPDATE pgmq.q_jobs SET enqueued_at = now() - interval '1 day'")
    bench.conn.execute("SELECT pgmq.send('jobs', '{}')")
    bench.conn.execute("UPDATE pgmq.q_jobs SET vt = '-infinity' WHERE msg_id = 3")
    bench.drain()
    rows = bench.rows("SELECT waited FROM changelane.history WHERE handled > 0")
    high = find_quantile([sum(counts) for counts in zip(*(row[0] for row in rows), strict=True)], WAITED, 1.0)
    assert high is not None
    assert high <= 2.5, "its time in the queue was a day"


def test_a_worker_works_over_a_schema_without_these_tables(bench: Bench) -> None:
    bench.declare("def handle(change): pass")
    bench.conn.execute("DROP FUNCTION changelane.tell_worker(text, jsonb)")
    bench.conn.execute("DROP TABLE changelane.workers, changelane.history")
    bench.send("1")
    bench.drain()
    assert bench.log.count("no state of this worker in the database") == 1
    assert list_workers(bench.conn) is None


def test_minutes_of_a_day_ago_become_quarters_and_a_week_later_they_go(bench: Bench) -> None:
    bench.conn.execute(
        "INSERT INTO changelane.history "
        "SELECT 'jobs', 60, date_trunc('hour', now()) - age + n * interval '1 minute', 1, 2, 1, n, n, "
        "ARRAY[n, 1], '{}' FROM generate_series(0, 29) AS n, "
        "unnest(ARRAY[interval '30 minutes', '26 hours']) AS age"
    )
    bench.conn.execute(
        "INSERT INTO changelane.history VALUES "
        "('jobs', 900, now() - interval '7 days', 1, 0, 0, 1, 1, '{}', '{}'), "
        "('jobs', 900, now() - interval '9 days', 1, 0, 0, 1, 1, '{}', '{}')"
    )
    bench.conn.execute("SELECT changelane.fold_history()")
    assert bench.rows(
        "SELECT seconds, handled, failed, retried, depth, inserted, waited FROM changelane.history "
        "WHERE at < now() - interval '25 hours' ORDER BY at"
    ) == [
        (900, 1, 0, 0, 1, 1, []),
        (900, 15, 30, 15, 14, 14, [105, 15]),
        (900, 15, 30, 15, 29, 29, [330, 15]),
    ]
    assert bench.rows("SELECT count(*) FROM changelane.history WHERE seconds = 60") == [(30,)]


def test_the_reports_that_a_role_writes_are_bounded(bench: Bench) -> None:
    told = '[{"queue": "none", "handled": 1, "failed": 0, "retried": 0, "waited": [], "worked": []}]'
    bench.conn.execute("SELECT changelane.tell_history(%s)", [told])
    assert bench.count("changelane.history") == 0, "queues that are not there have no history"
    bench.conn.execute(
        "SELECT changelane.tell_worker('w' || n, jsonb_build_object('host', repeat('x', 999), 'pid', n, "
        "'version', 'v', 'since', now(), 'queues', '[]'::jsonb, 'state', 'working', 'running', '7'::jsonb)) "
        "FROM generate_series(1, 1010) AS n"
    )
    found = list_workers(bench.conn)
    assert found is not None
    assert (len(found), len(found[0].host), found[0].calls) == (1000, 200, [])
    bench.conn.execute("UPDATE changelane.workers SET told_at = now() - interval '25 hours'")
    bench.conn.execute("SELECT changelane.tell_worker('w1', NULL)")
    assert bench.count("changelane.workers") == 0
