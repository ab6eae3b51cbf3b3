"""``run_worker``: a worker inside of another program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.workers import Bench

HANDLER = """
def handle(change: Change, tx) -> None:
    tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
"""

IN_A_THREAD = """
import threading, time
import changelane

stop, codes = threading.Event(), []
thread = threading.Thread(target=lambda: codes.append(changelane.run_worker("jobs", stop=stop)))
thread.start()
print("up", flush=True)
input()
stop.set()
thread.join()
print(codes, flush=True)
"""

IN_THE_MAIN_THREAD = """
import changelane
print(changelane.run_worker(), flush=True)
"""


@pytest.fixture
def bench(conn: psycopg.Connection[TupleRow], database: str, tmp_path: Path) -> Bench:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    bench.declare(HANDLER, mode="transactional")
    return bench


def start(bench: Bench, program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=bench.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(bench.folder), "DATABASE_URL": bench.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(bench.folder / "log").open("w"),
        text=True,
    )


def test_a_worker_in_a_thread_works_until_its_event_is_set(bench: Bench) -> None:
    program = start(bench, IN_A_THREAD)
    bench.send("1", "2")
    bench.wait(lambda: bench.count("effects") == 2)
    bench.send("3")
    bench.wait(lambda: bench.count("effects") == 3)
    out, _ = program.communicate("\n", timeout=60)
    assert out == "up\n[0]\n", bench.log
    assert program.returncode == 0
    assert bench.queued == 0


def test_a_worker_in_the_main_thread_obeys_signals(bench: Bench) -> None:
    program = start(bench, IN_THE_MAIN_THREAD)
    bench.send("1")
    bench.wait(lambda: bench.count("effects") == 1)
    time.sleep(0.1)
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=60)
    assert (out, program.returncode) == ("130\n", 0), bench.log


def test_draining_returns_when_the_queues_are_empty(bench: Bench) -> None:
    bench.send("1", "2", "3")
    program = start(bench, "import changelane\nprint(changelane.run_worker('jobs', drain=True))")
    out, _ = program.communicate(timeout=60)
    assert (out, bench.count("effects"), bench.queued) == ("0\n", 3, 0), bench.log


def test_an_unknown_queue_is_a_changelane_error(bench: Bench) -> None:
    program = start(
        bench,
        "import changelane\ntry: changelane.run_worker('nothing')\n"
        "except changelane.ChangelaneError as error: print(error)",
    )
    out, _ = program.communicate(timeout=60)
    assert "queue nothing has no consumer" in out
