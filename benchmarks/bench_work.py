"""The speed of the worker, compared with other ways to consume the same queue, and its memory.

    python benchmarks/bench_work.py [--messages 100000] [--rounds 5] [--only NAME]... [--memory] [--json FILE]

A server of its own is started, with fsync on, and removed. In each round every contender works off a queue
of 280-byte messages with a handler that does nothing, one after the other, so that noise meets all alike;
figures are medians of messages a second. Ours is ``changelane work --drain``, timed by its own log.
Slow ones get fewer messages. With ``--memory``, instead: the peak of the worker's resident memory, at depth.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import psycopg

from changelane.contract.manifest import Consumer, Manifest
from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.live import pgmq
from changelane.runner.local import server

Connection = psycopg.Connection[Any]

HERE = Path(__file__).parent / "work"
NODE = HERE / "node_modules"
"""Rivals for Node, as `make bench-work` installs them where npm is at hand."""

START = 5.0
"""Seconds in which several worker processes are expected to be up."""


@dataclass(frozen=True)
class Case:
    """A way to consume. It works off ``1 / share`` of the messages, with ``processes``."""

    name: str
    handler: str
    transactional: bool = False
    concurrency: int = 8
    batch: int = 100
    processes: int = 1
    share: int = 1
    claim: Literal["auto", "take", "lease"] = "auto"

    def describe(self) -> Manifest:
        consumer = Consumer(
            queue="bench", dead_letter="bench_dlq", handler=f"handlers:{self.handler}", batch=self.batch,
            mode="transactional" if self.transactional else "at_least_once", concurrency=self.concurrency,
            claim=self.claim,
        )  # fmt: skip
        return Manifest(project="bench", files={}, queues=(), captures=(), consumers=(consumer,))


CASES = (
    Case("at_least_once", "one"),
    Case("at_least_once, batches", "many"),
    Case("at_least_once, leased", "one", claim="lease"),
    Case("at_least_once, batches, leased", "many", claim="lease"),
    Case("transactional, batches", "many_in_transaction", transactional=True),
    Case("transactional, batches, leased", "many_in_transaction", transactional=True, claim="lease"),
    Case("transactional, batches of 1,000", "many_in_transaction", transactional=True, batch=1000),
    Case("transactional", "one_in_transaction", transactional=True, share=5),
    Case("async, 10 ms", "pause", concurrency=100, share=2),
    Case("four processes", "one", processes=4),
    Case("messages", "message"),
    Case("messages, batches", "messages"),
    Case("messages, typed", "typed"),
    Case("messages, transactional, batches", "messages_in_transaction", transactional=True),
)
RIVALS = {
    "raw": 1,
    "claimed": 1,
    "floor": 1,
    "taking": 1,
    "taking1000": 1,
    "four taking": 1,
    "singles": 5,
    "pgqueuer": 5,
    "pgqueuer100": 5,
    "procrastinate": 50,
    "graphile-worker": 1,
    "pg-boss": 1,
}
"""Of how many messages each works off one."""

OF_NODE = ("graphile-worker", "pg-boss")
"""Rivals that run in Node."""

RATIOS = (
    ("at_least_once", "raw", 1.8),
    ("at_least_once, batches", "raw", 2.5),
    ("at_least_once", "pgqueuer", 10.0),
    ("at_least_once, batches", "pgqueuer100", 4.5),
    ("at_least_once, batches", "graphile-worker", 3.0),
    ("transactional, batches", "raw", 2.5),
    ("transactional, batches of 1,000", "taking1000", 0.6),
    ("transactional", "singles", 0.8),
    ("four processes", "at_least_once", 1.5),
    ("four processes", "four taking", 0.9),
)
TIMES = (("at_least_once", 16.0), ("at_least_once, batches", 8.0))
"""Microseconds of the worker's processor time a message, at most."""

RATES = (("transactional", 3000.0), ("async, 10 ms", 5000.0))
MEMORY = ((1_000_000, 96), (20_000, 65_536))
"""Depths, and bytes of each message's text column, at which memory is measured."""

MEMORY_LIMIT = 150.0


@contextmanager
def launch() -> Iterator[str]:
    """The URL of a server of our own."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield server.start(Path(folder))
        finally:
            server.remove(Path(folder))


def fill(conn: Connection, *, count: int, due: float = 0.0, size: int = 96) -> None:
    """A queue of its own for each run: no contender finds the dead rows of another."""
    conn.execute("SELECT pgmq.drop_queue(queue_name) FROM pgmq.meta WHERE queue_name ~ '^bench'")
    conn.execute("SELECT pgmq.create('bench'), pgmq.create('bench_dlq')")
    conn.execute((HERE / "fill.sql").read_bytes(), {"count": count, "due": due, "size": size})
    conn.execute("VACUUM ANALYZE pgmq.q_bench")
    conn.execute("CHECKPOINT")


def watch(conn: Connection, *, due: float) -> float:
    """The time at which the queue is empty, in seconds since 1970, to some 5 ms."""
    time.sleep(max(0.0, due - time.time()))
    while conn.execute("SELECT FROM pgmq.q_bench ORDER BY msg_id DESC LIMIT 1").fetchone() is not None:
        time.sleep(0.005)
        assert time.time() < due + 600, "the messages were not handled within ten minutes"
    return time.time()


@dataclass(frozen=True)
class Run:
    """``seconds`` from the start of the work to the empty queue; ``processor`` seconds of all worker
    processes, start included, and those of the server as ``served``; ``peak`` in MiB, of the first process.
    """

    seconds: float
    processor: float
    served: float
    peak: float


def read_processor(conn: Connection) -> float:
    """Processor seconds of the server: of its processes, and of those that have ended."""
    own = Path(f"/proc/{conn.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    postmaster = int(own[1])
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(path.parent.name) == postmaster:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == postmaster:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def work(conn: Connection, url: str, case: Case, *, count: int, size: int = 96) -> Run:
    """A run of ``changelane work --drain``."""
    # Several processes begin together: once all are up, and asleep.
    due = time.time() + START + count / 20_000 if case.processes > 1 else 0.0
    fill(conn, count=count, due=due, size=size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(HERE / "handlers.py", folder)
        (folder / "sql_out").mkdir()
        (folder / "sql_out" / "manifest.json").write_text(case.describe().dump())
        command = [sys.executable, "-m", "changelane", "work", "--drain", f"--processes={case.processes}"]
        with (folder / "log").open("w") as log:
            before = read_processor(conn)
            process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, "DATABASE_URL": url}, stderr=log
            )
            emptied = watch(conn, due=due) if due else 0.0
            _, status, usage = os.wait4(process.pid, 0)
        text = (folder / "log").read_text()
        assert status == 0, text
    events = [json.loads(line) for line in text.splitlines()]
    times = {
        name: [
            datetime.fromisoformat(event["timestamp"]).timestamp()
            for event in events
            if event["event"] == name
        ]
        for name in ("working", "drained")
    }
    assert sum(event["handled"] for event in events if event["event"] == "stopped") == count, text
    assert case.processes == 1 or max(times["working"]) < due, "the machine is too slow to start all in time"
    # One process alone says so at once. Of several, those that find nothing more look again within a second.
    return Run(
        seconds=emptied - due if due else min(times["drained"]) - min(times["working"]),
        processor=usage.ru_utime + usage.ru_stime,
        served=read_processor(conn) - before,
        peak=usage.ru_maxrss / 1024,
    )


def run_rival(conn: Connection, url: str, name: str, *, count: int) -> float:
    """Seconds."""
    fill(conn, count=count)
    program = (
        ["node", str(HERE / "rivals.mjs")] if name in OF_NODE else [sys.executable, str(HERE / "rivals.py")]
    )
    command = [*program, name, url, str(count)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare(
    conn: Connection, url: str, *, messages: int, rounds: int, only: list[str]
) -> tuple[dict[str, list[float]], dict[str, list[tuple[float, float]]]]:
    """Messages a second of each contender, and microseconds of processor time a message, ours and the
    server's; figures for each round.
    """
    rates: dict[str, list[float]] = {}
    times: dict[str, list[tuple[float, float]]] = {}
    for turn in range(rounds):
        for name, share in RIVALS.items():
            if (not only or name in only) and (name not in OF_NODE or NODE.exists()):
                count = messages // share
                rates.setdefault(name, []).append(count / run_rival(conn, url, name, count=count))
        for case in CASES:
            if not only or case.name in only:
                count = messages // case.share
                run = work(conn, url, case, count=count)
                rates.setdefault(case.name, []).append(count / run.seconds)
                times.setdefault(case.name, []).append(
                    (run.processor / count * 1e6, run.served / count * 1e6)
                )
        figures = "  ".join(f"{name} {values[-1]:,.0f}" for name, values in rates.items())
        print(f"round {turn + 1} of {rounds}: {figures}", file=sys.stderr, flush=True)
    return rates, times


def build_report(
    rates: dict[str, list[float]], times: dict[str, list[tuple[float, float]]], *, postgres: int
) -> dict[str, Any]:
    """Medians, their spread, and the targets met or missed."""
    median = {name: statistics.median(values) for name, values in rates.items()}
    targets = [
        {"what": f"{ours} / {theirs}", "value": median[ours] / median[theirs], "target": target}
        for ours, theirs, target in RATIOS
        if ours in median and theirs in median
    ]
    targets += [
        {"what": name, "value": median[name], "target": target} for name, target in RATES if name in median
    ]
    return {
        "format_version": 1,
        "postgres": postgres,
        "rates": [
            {"name": name, "per_second": median[name], "lowest": min(values), "highest": max(values)}
            for name, values in rates.items()
        ],
        "processor": [
            {
                "name": name,
                "microseconds": statistics.median(worker),
                "lowest": min(worker),
                "highest": max(worker),
                "server": statistics.median(server),
                "target": dict(TIMES).get(name),
            }
            for name, (worker, server) in ((name, zip(*pairs, strict=True)) for name, pairs in times.items())
        ],
        "targets": targets,
    }


def show(report: dict[str, Any]) -> None:
    print(f"PostgreSQL {report['postgres']}, messages a second")
    for line in report["rates"]:
        print(
            f"{line['name']:34} {line['per_second']:8,.0f}"
            f"   from {line['lowest']:,.0f} to {line['highest']:,.0f}"
        )
    print("microseconds of the worker's processor time a message, start included")
    for line in report["processor"]:
        verdict = ""
        if line["target"]:
            verdict = f"  target {line['target']:.0f}  " + (
                "met" if line["microseconds"] <= line["target"] else "MISSED"
            )
        print(
            f"{line['name']:34} {line['microseconds']:8.1f}"
            f"   from {line['lowest']:.1f} to {line['highest']:.1f}, server {line['server']:.1f}{verdict}"
        )
    for line in report["targets"]:
        verdict = "met" if line["value"] >= line["target"] else "MISSED"
        print(f"{line['what']:40} {line['value']:9,.2f}  target {line['target']:,.2f}  {verdict}")


def measure_memory(conn: Connection, url: str) -> dict[str, Any]:
    peaks = []
    for depth, size in MEMORY:
        peak = work(conn, url, CASES[0], count=depth, size=size).peak
        verdict = "met" if peak < MEMORY_LIMIT else "MISSED"
        print(
            f"{depth:,} messages of {size:,} bytes: {peak:.0f} MiB  target {MEMORY_LIMIT:.0f}  {verdict}",
            flush=True,
        )
        peaks.append({"messages": depth, "bytes": size, "peak_mib": peak, "target": MEMORY_LIMIT})
    return {"format_version": 1, "memory": peaks}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with launch() as url, psycopg.connect(url, autocommit=True) as conn:
        pgmq.install(conn)
        conn.execute(SCHEMA_SQL.encode())
        if options.memory:
            report = measure_memory(conn, url)
        else:
            if not NODE.exists():
                print("without Node's rivals: they need node and npm, and `make bench-work`", file=sys.stderr)
            rates, times = compare(
                conn, url, messages=options.messages, rounds=options.rounds, only=options.only
            )
            report = build_report(rates, times, postgres=conn.info.server_version // 10000)
            show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
