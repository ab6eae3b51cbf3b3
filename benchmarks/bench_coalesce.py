"""How many calls the last state takes: one row is updated 10,000 times in a minute.

    python benchmarks/bench_coalesce.py [--updates 10000] [--seconds 60] [--json FILE]

A server of its own is started, with fsync on, and removed. One session updates the row at a steady rate; a
real worker handles the merged changes with ``quiet: 2s, at_most: 10s``, then with neither. The last call must
have the row's last value, and the calls together must stand for all updates.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from bench_flow import run
from bench_work import launch

SPEC = """
version: 1
project: bench_coalesce
queues: {bench_coalesce: {}}
routes:
  - {name: bench_coalesce, table: public.bench_coalesce, events: [update], queue: bench_coalesce}
consumers:
  bench_coalesce: {handler: "handlers:handle", coalesce: %s}
"""
HANDLER = """
import json
from pathlib import Path

from changelane import Change

calls = Path("calls").open("a", buffering=1)


def handle(change: Change) -> None:
    print(json.dumps([change.merged, change.new["n"]]), file=calls)
"""
WAITS = ("{by: key, quiet: 2s, at_most: 10s}", "{by: key}")


def measure(url: str, folder: Path, *, coalesce: str, updates: int, seconds: float) -> dict[str, Any]:
    (folder / "pipelines.yaml").write_text(SPEC % coalesce)
    (folder / "handlers.py").write_text(HANDLER)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP TABLE IF EXISTS bench_coalesce")
        conn.execute("CREATE TABLE bench_coalesce (id bigint PRIMARY KEY, n bigint)")
        conn.execute("INSERT INTO bench_coalesce VALUES (1, 0)")
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
            began = time.monotonic()
            for number in range(updates):
                time.sleep(max(0.0, began + number * seconds / updates - time.monotonic()))
                conn.execute("UPDATE bench_coalesce SET n = n + 1")
            took = time.monotonic() - began
            deadline = time.monotonic() + 60
            while conn.execute("SELECT FROM pgmq.q_bench_coalesce LIMIT 1").fetchone() is not None:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
        finally:
            worker.terminate()
            worker.wait()
    calls = [json.loads(line) for line in (folder / "calls").read_text().splitlines()]
    assert sum(merged for merged, _ in calls) == updates, calls
    assert calls[-1][1] == updates, calls[-1]
    return {"coalesce": coalesce, "updates": updates, "seconds": round(took, 1), "calls": len(calls)}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    runs = []
    for coalesce in WAITS:
        with launch() as url, tempfile.TemporaryDirectory() as folder:
            report = measure(
                url, Path(folder), coalesce=coalesce, updates=options.updates, seconds=options.seconds
            )
        runs.append(report)
        line = (
            f"{coalesce}: {report['updates']:,} updates in {report['seconds']} s, {report['calls']:,} calls"
        )
        if coalesce == WAITS[0]:
            # A call every ten seconds, and one that follows the last update.
            most = round(options.seconds / 10) + 1
            line += f"  target {most}  {'met' if report['calls'] <= most else 'MISSED'}"
        print(line, flush=True)
    if options.json:
        options.json.write_text(json.dumps({"format_version": 1, "runs": runs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
