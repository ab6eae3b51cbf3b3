"""Schedules on a real server: each run is sent once, also when workers or the server are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.deployment import bring, declare
from support.schedules import (
    EVERY_SECOND,
    HANDLER,
    HEAD,
    ROW,
    RUNS,
    YEARLY,
    account,
    apply_spec,
    list_runs,
    one,
    open_clock,
    set_next,
    wait,
    work,
)

from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.local import server
from changelane.runner.work.process.clock import Clock
from changelane.runner.work.process.log import open_log


@pytest.fixture
def apply(conn: psycopg.Connection[Any], tmp_path: Path) -> Callable[..., Any]:
    return partial(apply_spec, conn, tmp_path)


@pytest.fixture
def clock(database: str) -> Iterator[Callable[[], None]]:
    with open_clock(database) as look:
        yield look


def test_each_run_is_sent_once_though_workers_are_killed_around_it(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    apply(EVERY_SECOND)
    chance = random.Random(11)
    processes = []
    for _ in range(3):
        manager = work(tmp_path, database)
        processes.append((manager, manager.__enter__()))
    try:
        wait(lambda: list_runs(conn))
        killed = 0
        deadline = time.monotonic() + 300
        while killed < 12 or len(list_runs(conn)) < 20:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            # Just before a run, or while it is sent.
            time.sleep(max(0.0, 1 - time.time() % 1 - chance.uniform(-0.03, 0.03)))
            place = chance.randrange(len(processes))
            processes[place][1].send_signal(signal.SIGKILL)
            processes[place][0].__exit__(None, None, None)
            killed += 1
            manager = work(tmp_path, database)
            processes[place] = (manager, manager.__enter__())
    finally:
        for manager, _ in processes:
            manager.__exit__(None, None, None)
    account(conn)
    ((headers, message), *_) = conn.execute(RUNS.encode()).fetchall()
    assert message == {"kind": "beat"}
    assert headers.keys() == {"schedule", "scheduled_at"}
    assert headers["schedule"] == "beat"


def test_a_server_that_is_stopped_at_once_loses_no_run_and_repeats_none(tmp_path: Path) -> None:
    root = tmp_path / "server"
    root.mkdir()
    url = server.start(root)
    try:
        from changelane.runner.live import pgmq

        with psycopg.connect(url, autocommit=True) as conn:
            pgmq.install(conn)
            (tmp_path / "handlers.py").write_text(HANDLER)
            bring(conn, declare(conn, tmp_path, EVERY_SECOND))
        with work(tmp_path, url), work(tmp_path, url):
            for count in (3, 6, 9):
                with psycopg.connect(url, autocommit=True) as conn:
                    wait(lambda conn=conn, count=count: len(list_runs(conn)) >= count)
                from changelane.runner.local import postmaster

                running = postmaster.find(root / "data")
                assert running is not None
                os.kill(running.pid, signal.SIGQUIT)
                wait(lambda pid=running.pid: not postmaster.is_postmaster(pid, root / "data"))
                server.start(root)
            with psycopg.connect(url, autocommit=True) as conn:
                wait(lambda: len(list_runs(conn)) >= 12)
        with psycopg.connect(url, autocommit=True) as conn:
            account(conn)
    finally:
        server.stop(root)


def test_two_that_look_at_the_same_run_send_one(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], database: str
) -> None:
    apply(YEARLY)
    reconnecting = ReconnectingConnection(database, name="test clock")
    clocks = [Clock(project="shop", declared=True, log=open_log("error")) for _ in range(2)]
    clocks[0].tick(reconnecting)
    run = set_next(conn, "-1 second")
    with psycopg.connect(database) as other:
        # Another worker holds the row, so this one neither waits nor sends.
        other.execute("SELECT FROM changelane.schedules FOR UPDATE")
        clocks[0].tick(reconnecting)
        assert list_runs(conn) == []
    for clock in clocks:
        clock.tick(reconnecting)
    reconnecting.close()
    assert list_runs(conn) == [run]
    assert one(conn, "SELECT message FROM pgmq.q_beats") == ([1, 1, None],)


@pytest.mark.parametrize("missed", ["once", "skip"])
def test_after_a_time_without_workers_missed_runs_follow_the_policy(
    missed: str, apply: Callable[..., Any], conn: psycopg.Connection[Any], clock: Callable[[], None]
) -> None:
    apply(HEAD + f"  beat: {{cron: '0 0 1 1 *', queue: beats, missed: {missed}}}\n")
    clock()
    assert list_runs(conn) == []
    (now,) = one(conn, "SELECT now()")
    conn.execute("UPDATE changelane.schedules SET next_at = %s", [datetime(now.year - 5, 1, 1, tzinfo=UTC)])
    clock()
    following, last, runs, passed_over, *_ = one(conn, ROW)
    run = datetime(now.year, 1, 1, tzinfo=UTC)
    if missed == "once":
        assert list_runs(conn) == [run]
        assert (last, runs, passed_over) == (run, 1, 5)
    else:
        assert list_runs(conn) == []
        assert (last, runs, passed_over) == (None, 0, 6)
    assert following == datetime(now.year + 1, 1, 1, tzinfo=UTC)


def test_skip_sends_a_run_that_is_hardly_late(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], clock: Callable[[], None]
) -> None:
    apply(HEAD + "  beat: {cron: '0 0 1 1 *', queue: beats, missed: skip}\n")
    clock()
    run = set_next(conn, "-10 seconds")
    clock()
    assert list_runs(conn) == [run]


def test_runs_count_from_the_apply_and_not_from_the_first_worker(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], clock: Callable[[], None]
) -> None:
    apply(HEAD + "  beat: {every: 1h, queue: beats}\n")
    conn.execute("UPDATE changelane.schedules SET since = since - interval '3 hours'")
    clock()
    clock()
    assert len(list_runs(conn)) == 1


def test_new_times_count_from_now_and_a_new_body_leaves_the_next_run(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], clock: Callable[[], None]
) -> None:
    apply(HEAD + "  beat: {every: 2h, queue: beats}\n")
    clock()
    before = one(conn, ROW)
    apply(HEAD + "  beat: {every: 2h, queue: beats, body: new}\n")
    assert one(conn, ROW) == before
    late = set_next(conn, "-1 day")
    apply(HEAD + "  beat: {cron: '0 0 1 1 *', queue: beats}\n")
    clock()
    following, *_ = one(conn, ROW)
    assert following == datetime(late.year + 1, 1, 1, tzinfo=UTC) or following > late
    assert list_runs(conn) == []


def test_a_worker_that_saw_the_old_times_sends_nothing(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], clock: Callable[[], None]
) -> None:
    apply(HEAD + "  beat: {every: 2h, queue: beats}\n")
    clock()
    run = set_next(conn, "-1 second")
    since, spec = one(conn, "SELECT since, spec FROM changelane.schedules")
    apply(HEAD + "  beat: {every: 3h, queue: beats}\n")
    conn.execute("UPDATE changelane.schedules SET next_at = %s", [run])
    ask = "SELECT changelane.advance_schedule('shop', 'beat', %s, %s, %s, %s, 0, now() + interval '1 h')"
    assert conn.execute(ask, [spec, since, run, run]).fetchone() == (False,)
    assert list_runs(conn) == []


def test_a_clock_set_back_repeats_no_run(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], clock: Callable[[], None]
) -> None:
    apply(HEAD + "  beat: {every: 1h, queue: beats}\n")
    clock()
    # As if the run of this hour had been sent, and the clock then stepped back before it.
    conn.execute("UPDATE changelane.schedules SET last_at = next_at, next_at = next_at + interval '1 hour'")
    clock()
    assert list_runs(conn) == []


def test_one_schedule_without_its_queue_holds_back_no_other(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], clock: Callable[[], None]
) -> None:
    apply(HEAD + "  lost: {every: 1h, queue: jobs}\n  found: {every: 2h, queue: beats}\n")
    clock()
    conn.execute("SELECT pgmq.drop_queue('jobs')")
    set_next(conn, "-1 second")
    clock()
    assert len(list_runs(conn)) == 1
    assert one(conn, "SELECT runs FROM changelane.schedules WHERE name = 'lost'") == (0,)
    conn.execute("SELECT pgmq.create('jobs')")
    clock()
    assert one(conn, "SELECT count(*) FROM pgmq.q_jobs") == (1,)


def test_a_role_that_may_only_work_runs_schedules(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], database: str
) -> None:
    apply(YEARLY)
    role = f"worker_{os.getpid()}_{time.time_ns()}"
    conn.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA changelane TO {role}".encode())
    try:
        reconnecting = ReconnectingConnection(f"{database}&options=-c%20role%3D{role}", name="test clock")
        clock = Clock(project="shop", declared=True, log=open_log("error"))
        clock.tick(reconnecting)
        run = set_next(conn, "-1 second")
        clock.tick(reconnecting)
        reconnecting.close()
        assert list_runs(conn) == [run]
    finally:
        conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_a_worker_inside_another_program_runs_schedules(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    apply(YEARLY)
    run = datetime(2020, 1, 1, tzinfo=UTC)
    conn.execute("UPDATE changelane.schedules SET next_at = %s", [run])
    program = "import sys; from changelane import run_worker; sys.exit(run_worker(drain=True))"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": database}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0
    assert len(list_runs(conn)) == 1
