"""Specs with schedules, workers that run them, and the runs that were sent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.work.process.clock import Clock
from changelane.runner.work.process.log import open_log
from support.deployment import Declared, bring, declare

HEAD = """
version: 1
project: shop
queues: {jobs: {}, beats: {}}
consumers: {jobs: {handler: "handlers:handle"}}
schedules:
"""
EVERY_SECOND = HEAD + "  beat: {every: 1s, queue: beats, body: {kind: beat}}\n"
YEARLY = HEAD + '  new_year: {cron: "0 0 1 1 *", queue: beats, body: [1, 1, null]}\n'
HANDLER = "from changelane import Change\ndef handle(change: Change) -> None: ...\n"
RUNS = "SELECT headers, message FROM pgmq.q_beats ORDER BY msg_id"
ROW = "SELECT next_at, last_at, runs, passed_over, paused_at, since FROM changelane.schedules"
"""The state of a test's only schedule."""


def apply_spec(conn: psycopg.Connection[Any], folder: Path, spec: str, **options: Any) -> Declared:
    """Apply a spec whose handler does nothing."""
    (folder / "handlers.py").write_text(HANDLER)
    declared = declare(conn, folder, spec)
    bring(conn, declared, **options)
    return declared


@contextmanager
def open_clock(url: str) -> Iterator[Callable[[], None]]:
    """One look at the schedules, as each worker of project shop takes it."""
    reconnecting = ReconnectingConnection(url, name="test clock")
    one = Clock(project="shop", declared=True, log=open_log("error"))
    yield lambda: one.tick(reconnecting)
    reconnecting.close()


@contextmanager
def work(folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DATABASE_URL": url}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "changelane", "work"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def one(conn: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = conn.execute(query.encode()).fetchone()
    assert found is not None
    return found


def list_runs(conn: psycopg.Connection[Any]) -> list[datetime]:
    """When the messages in queue beats were scheduled."""
    return [datetime.fromisoformat(headers["scheduled_at"]) for headers, _ in conn.execute(RUNS.encode())]


def wait(condition: Callable[..., Any], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def account(conn: psycopg.Connection[Any]) -> None:
    """Check that each run since the declaration was sent once, or was counted as passed over."""
    runs = list_runs(conn)
    _, last, count, passed_over, _, since = one(conn, ROW)
    assert runs == sorted(set(runs))
    assert all(run.microsecond == 0 for run in runs)
    assert count == len(runs)
    assert last == runs[-1]
    assert (last - since.replace(microsecond=0)) / timedelta(seconds=1) == count + passed_over


def set_next(conn: psycopg.Connection[Any], interval: str) -> datetime:
    """Set the next run to now plus the interval; returns its time."""
    found = one(
        conn,
        f"UPDATE changelane.schedules SET next_at = date_trunc('second', now()) + interval '{interval}' "
        "RETURNING next_at",
    )
    assert isinstance(found[0], datetime)
    return found[0]
