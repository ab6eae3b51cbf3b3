"""From commit to handled at a steady rate of changes: whether the worker keeps up, and the latencies.

    python benchmarks/bench_flow.py [--rate 2000] [--seconds 60] [--json FILE]

A server of its own is started, with fsync on, and removed. pgbench changes a captured table in single-row
transactions, by 16 clients at that rate in all; a real worker handles each change by noting the time. A
latency is from the change's capture, which is before its commit, to the handler's end. The backlog is counted
every second.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from bench_work import launch

from changelane.runner.local import server

SPEC = """
version: 1
project: bench_flow
queues: {bench_flow: {}}
routes:
  - {name: bench_flow, table: public.bench_flow, events: [update], queue: bench_flow}
consumers:
  bench_flow: {handler: "handlers:handle", batch: 100}
"""
HANDLER = """
import atexit
import time
from pathlib import Path

from changelane import Change

# A list, for threads share it; a file would tear their lines.
took = []
atexit.register(lambda: Path("handled").write_text("\\n".join(map(str, took))))


def handle(change: Change) -> None:
    took.append(time.time() - change.at.timestamp())
"""
TABLE = """
    CREATE TABLE bench_flow (id bigint PRIMARY KEY, name text, n bigint, at timestamptz, pad text);
    INSERT INTO bench_flow
    SELECT i, 'name ' || i, 0, now(), repeat('x', 60) FROM generate_series(1, 10000) AS i;
"""
SCRIPT = "\\set id random(1, 10000)\nUPDATE bench_flow SET n = n + 1 WHERE id = :id;\n"
LIMIT = 0.1
CLIENTS = 16
"""Enough to write at the rate where a commit takes long, as on a disk that others use."""


def run(folder: Path, url: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "changelane", "--database-url", url, *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def measure(url: str, folder: Path, *, rate: int, seconds: int) -> dict[str, Any]:
    (folder / "pipelines.yaml").write_text(SPEC)
    (folder / "handlers.py").write_text(HANDLER)
    (folder / "write.sql").write_text(SCRIPT)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(TABLE)
        for command in (["inspect"], ["generate"], ["apply", "--yes"]):
            run(folder, url, *command)
        with (folder / "log").open("w") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "changelane", "work"],
                cwd=folder, env={**os.environ, "DATABASE_URL": url}, stderr=log,
            )  # fmt: skip
        try:
            while '"working"' not in (folder / "log").read_text():
                assert worker.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            command = [
                str(server.find_binary("pgbench")),
                "-n",
                f"-c{CLIENTS}",
                "-j2",
                f"-T{seconds}",
                f"--rate={rate}",
            ]
            writer = subprocess.Popen([*command, "-fwrite.sql", url], cwd=folder, stdout=subprocess.DEVNULL)
            backlog = []
            while writer.poll() is None:
                time.sleep(1)
                row = conn.execute("SELECT count(*) FROM pgmq.q_bench_flow").fetchone()
                assert row is not None
                backlog.append(row[0])
            time.sleep(1)
            row = conn.execute("SELECT last_value FROM pgmq.q_bench_flow_msg_id_seq").fetchone()
            assert row is not None
            written = row[0]
        finally:
            worker.terminate()
            worker.wait()
    took = sorted(map(float, (folder / "handled").read_text().split()))
    half = len(backlog) // 2
    return {
        "format_version": 1,
        "asked_per_second": rate,
        "written_per_second": written / seconds,
        "handled_per_second": len(took) / seconds,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "backlog_first_half": statistics.median(backlog[:half]),
        "backlog_second_half": statistics.median(backlog[half:]),
        "backlog_most": max(backlog),
    }


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with launch() as url, tempfile.TemporaryDirectory() as folder:
        report = measure(url, Path(folder), rate=options.rate, seconds=options.seconds)
    p99 = "met" if report["p99_ms"] <= LIMIT * 1000 else "MISSED"
    handled, written = report["handled_per_second"], report["written_per_second"]
    print(
        f"{handled:,.0f} changes a second handled, of {written:,.0f} written and {options.rate:,} asked for"
    )
    print(
        f"capture to handled: p50 {report['p50_ms']:.1f} ms, p99 {report['p99_ms']:.1f} ms  target 100  {p99}"
    )
    halves = f"{report['backlog_first_half']:.0f} and {report['backlog_second_half']:.0f}"
    print(f"backlog: medians of its halves {halves}, at most {report['backlog_most']}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
