"""The time from a commit to the handler, and the cost of wake-ups for writers.

    python benchmarks/bench_wake.py --database-url URL [--seconds 10] [--rounds 3]

The database is a scratch one, in which project ``bench_wake`` is applied and destroyed. First 100 changes a
second meet an idle worker; a latency is from before COMMIT is sent to the handler's first line. Then 8
clients write as fast as they can, with the capture function as generated and, in turn, with its notification
cut out.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from changelane.runner.live import pgmq
from changelane.runner.local import server

SPEC = """
version: 1
project: bench_wake
queues: {bench_wake: {}}
routes:
  - {name: bench_wake, table: public.bench_wake, events: [insert], queue: bench_wake}
consumers:
  bench_wake: {handler: "handlers:handle", batch: 100}
"""
HANDLER = """
import time
from changelane import Change
log = open("begun", "a", buffering=1)
def handle(change: Change) -> None:
    log.write(f"{change.new['id']} {time.time()}\\n")
"""
BATCH_HANDLER = "from changelane import Change\ndef handle(changes: list[Change]) -> None: ...\n"
NAME = """
    SELECT proname FROM pg_proc
    WHERE proname ~ '^bench_wake_insert' AND pronamespace = 'changelane'::regnamespace
"""


def run(folder: Path, url: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "changelane", "--database-url", url, *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def worker(folder: Path, url: str, handler: str) -> Iterator[None]:
    (folder / "handlers.py").write_text(handler)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "changelane", "work"],
            cwd=folder, env={**os.environ, "DATABASE_URL": url}, stderr=log,
        )  # fmt: skip
        try:
            while '"working"' not in (folder / "log").read_text():
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            time.sleep(1)
            yield
        finally:
            process.terminate()
            process.wait()


def measure_latency(
    conn: psycopg.Connection[tuple[object, ...]], folder: Path, *, seconds: int
) -> list[float]:
    """Milliseconds from commit to handler, sorted."""
    committed = {}
    for number in range(seconds * 100):
        time.sleep(max(0.0, 0.01 - (time.time() % 0.01)))
        conn.execute("BEGIN")
        conn.execute("INSERT INTO bench_wake (id) VALUES (%s)", [number])
        committed[number] = time.time()
        conn.execute("COMMIT")
    time.sleep(2)
    begun = [line.split() for line in (folder / "begun").read_text().splitlines()]
    return sorted((float(at) - committed[int(number)]) * 1000 for number, at in begun)


def measure_throughput(url: str, folder: Path, *, seconds: int) -> float:
    (folder / "write.sql").write_text("INSERT INTO bench_wake (id) VALUES (1);\n")
    command = [str(server.find_binary("pgbench")), "-n", "-c8", "-j2", f"-T{seconds}", "-fwrite.sql", url]
    found = re.search(
        r"tps = ([0-9.]+)",
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout,
    )
    assert found is not None
    return float(found[1])


NOTIFIES = re.compile(r"\(SELECT pg_notify\([^)]*\)\s+FROM changelane\.sleepers\s[^)]*\(\)\)")
"""The part of a capture function that notifies a worker that sleeps."""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    url = options.database_url
    with psycopg.connect(url, autocommit=True) as conn, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pgmq.install(conn)
        conn.execute("DROP TABLE IF EXISTS bench_wake; CREATE TABLE bench_wake (id bigint)")
        (folder / "pipelines.yaml").write_text(SPEC)
        for command in (["inspect"], ["generate"], ["apply", "--yes"]):
            run(folder, url, *command)
        with worker(folder, url, HANDLER):
            took = measure_latency(conn, folder, seconds=options.seconds)
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        print(f"commit to handler: p50 {p50:.1f} ms (target 5), p99 {p99:.1f} ms (target 25)", flush=True)
        found = conn.execute(NAME).fetchone()
        assert found is not None
        defined = conn.execute("SELECT pg_get_functiondef(('changelane.' || %s)::regproc)", found).fetchone()
        assert defined is not None
        wakes = str(defined[0])
        silent = re.sub(
            r"\(SELECT pg_notify\([^)]*\)\s+FROM changelane\.sleepers\s[^)]*\(\)\)", "NULL", wakes
        )
        assert silent != wakes
        rates: dict[str, list[float]] = {wakes: [], silent: []}
        with worker(folder, url, BATCH_HANDLER):
            for turn in range(options.rounds):
                for function in (wakes, silent) if turn % 2 else (silent, wakes):
                    conn.execute(function.encode())
                    conn.execute("TRUNCATE bench_wake, pgmq.q_bench_wake; CHECKPOINT")
                    rates[function].append(measure_throughput(url, folder, seconds=options.seconds))
        with_it, without = statistics.median(rates[wakes]), statistics.median(rates[silent])
        conn.execute(wakes.encode())
        print(f"8 clients writing: {with_it:.0f} tps with wake-up, {without:.0f} without: "
              f"{with_it / without:.2f} (target 0.90)")  # fmt: skip
        run(folder, url, "destroy", "--yes", "--drop-queues", "--discard-messages", "bench_wake")


if __name__ == "__main__":
    main()
