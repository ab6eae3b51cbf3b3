"""The cost of an open transaction for the worker: vacuum cannot remove rows that are deleted meanwhile.

    python benchmarks/bench_held.py [--seconds 60] [--rounds 3]

A server of its own; a writer keeps a queue filled, one worker process works it, of plain handlers in batches.
In turn without and with a snapshot that is held for the whole run, on a queue of its own each time; what
counts is what was handled, with to without, median of the rounds. The target is 0.5.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from changelane.contract.manifest import Consumer, Manifest
from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.local import server

TARGET = 0.5
AHEAD = 100_000
"""Messages that are waiting all the time."""

HANDLER = """
from changelane import Change


def handle(changes: list[Change]) -> None: ...
"""
MESSAGE = (
    '{"op": "insert", "schema": "public", "table": "things", "key": {"id": 1}, "new": {"id": 1, "value": 1}, '
    '"old": null, "txid": "7", "at": "2026-11-22T18:54:03.120311+00:00"}'
)
FILL = """
    SELECT pgmq.send_batch(%s, array_fill(%s::jsonb, size), array_fill('{"route": "things"}'::jsonb, size))
    FROM (VALUES (ARRAY[%s])) AS given (size)
"""


def run(url: str, folder: Path, queue: str, *, seconds: float, held: bool) -> float:
    """Messages handled a second."""
    (folder / "handlers.py").write_text(HANDLER)
    spec = Consumer(queue=queue, handler="handlers:handle", dead_letter=f"{queue}_dlq", batch=100)
    manifest = Manifest(project="held", files={}, queues=(), captures=(), consumers=(spec,))
    (folder / "sql_out").mkdir(exist_ok=True)
    (folder / "sql_out" / "manifest.json").write_text(manifest.dump())
    environment = {**os.environ, "DATABASE_URL": url}
    with ExitStack() as stack:
        conn = stack.enter_context(connect(url))
        conn.execute("SELECT pgmq.create(%s), pgmq.create(%s)", [queue, f"{queue}_dlq"])
        # `changelane apply` sets this for every queue.
        conn.execute(
            psycopg.sql.SQL(
                "ALTER TABLE {} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)"
            ).format(psycopg.sql.Identifier("pgmq", f"q_{queue}"))
        )
        for _ in range(AHEAD // 1000):
            conn.execute(FILL, [queue, MESSAGE, 1000])
        if held:
            holder = stack.enter_context(psycopg.connect(url))
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            holder.execute("SELECT 1")
        process = subprocess.Popen(
            [sys.executable, "-m", "changelane", "work"],
            cwd=folder,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        done = threading.Event()
        filler = threading.Thread(target=fill, args=(url, queue, done))
        filler.start()
        try:
            first = wait_for_first(conn, queue)
            time.sleep(seconds)
            handled = count(conn, queue) - first
        finally:
            done.set()
            filler.join()
            process.send_signal(signal.SIGTERM)
            process.wait()
    return handled / seconds


def fill(url: str, queue: str, done: threading.Event) -> None:
    """Keep so many messages waiting."""
    with connect(url) as conn:
        sent = AHEAD
        while not done.wait(0.05):
            missing = AHEAD - (sent - count(conn, queue))
            if missing > 0:
                conn.execute(FILL, [queue, MESSAGE, missing])
                sent += missing


def count(conn: psycopg.Connection[Any], queue: str) -> int:
    """Messages that left the queue: by the statistics, for a count of rows steps over the dead ones, too."""
    row = conn.execute("SELECT pg_stat_get_tuples_deleted(%s::regclass)", [f"pgmq.q_{queue}"]).fetchone()
    return int(row[0]) if row and row[0] else 0


def wait_for_first(conn: psycopg.Connection[Any], queue: str) -> int:
    deadline = time.monotonic() + 30
    while not (found := count(conn, queue)):
        if time.monotonic() > deadline:
            sys.exit("the worker handles nothing")
        time.sleep(0.1)
    return found


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory(prefix="changelane-bench-") as name:
        folder = Path(name)
        url = server.start(folder / "server")
        try:
            with connect(url) as conn:
                pgmq.install(conn)
            for number in range(options.rounds):
                free = run(url, folder, f"free{number}", seconds=options.seconds, held=False)
                held = run(url, folder, f"held{number}", seconds=options.seconds, held=True)
                ratios.append(held / free)
                print(f"{free:,.0f}/s without, {held:,.0f}/s with: {held / free:.2f}", flush=True)
        finally:
            server.remove(folder / "server")
    median = statistics.median(ratios)
    print(f"median {median:.2f}  target {TARGET}  {'met' if median >= TARGET else 'MISSED'}")
    return int(median < TARGET)


if __name__ == "__main__":
    sys.exit(main())
