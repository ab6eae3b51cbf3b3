"""How long a quiet tenant waits beside a backlog, and what a claim of a fair queue costs.

    python benchmarks/bench_fair.py [--depth 1000000] [--seconds 25]

A server of its own is started, with fsync on, and removed. First tenant B sends four
messages a second, alone and then beside the backlog of tenant A. Handlers take 5 ms. A latency is from before
the message is sent to the handler's first line. Then 5,000 messages are worked off by a handler that does
nothing, of 10 and of 100,000 groups.
"""

from __future__ import annotations

import statistics
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from bench_work import launch

from changelane import Change
from changelane.contract.groups import list_claim_indexes
from changelane.contract.manifest import Consumer as Spec
from changelane.contract.manifest import Fair
from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.live import pgmq
from changelane.runner.queue.worked import open_worked
from changelane.runner.work.handlers.plan import HandlerPlan
from changelane.runner.work.handlers.signature import Handler
from changelane.runner.work.process.consumer import Consumer
from changelane.runner.work.process.log import open_log
from changelane.runner.work.sinks.connection_shares import ConnectionShares

COUNT = 5_000
BY = (("new", "tenant"),)
SEND = """
    INSERT INTO pgmq.q_bench_fair (vt, message, headers)
    SELECT clock_timestamp(),
        jsonb_build_object('op', 'insert', 'schema', 'public', 'table', 't', 'key', NULL, 'old', NULL,
            'txid', '7', 'at', clock_timestamp(),
            'new', jsonb_build_object('tenant', %s + number %% %s, 'sent', %s::float8,
                'pad', repeat('x', 150))),
        '{"route": "r"}'
    FROM generate_series(0, %s - 1) AS number
"""


def fill(conn: psycopg.Connection[Any], *, groups: int, depth: int) -> None:
    conn.execute("SELECT pgmq.drop_queue(queue_name) FROM pgmq.meta WHERE queue_name ~ '^bench_fair'")
    conn.execute("SELECT pgmq.create('bench_fair'), pgmq.create('bench_fair_dlq')")
    for index in list_claim_indexes(BY, ()):
        conn.execute(f"CREATE INDEX q_bench_fair{index.suffix} ON pgmq.q_bench_fair {index.definition}")
    conn.execute(SEND, [0, groups, 0.0, depth])
    conn.execute("VACUUM ANALYZE pgmq.q_bench_fair")
    conn.execute("CHECKPOINT")


@contextmanager
def consume(
    conn: psycopg.Connection[Any], url: str, handle: Callable[[Change], None], **options: Any
) -> Iterator[Consumer]:
    """The worker's own consumer over the queue."""
    spec = Spec(
        queue="bench_fair",
        handler="none:none",
        dead_letter="bench_fair_dlq",
        **{"fair": Fair(by=BY), **options},
    )
    (queue,) = open_worked(conn, [spec])
    consumer = Consumer(
        spec=spec,
        queue=queue,
        plan=HandlerPlan(spec, Handler(function=handle, asynchronous=False, transaction=False)),
        conninfo=url,
        alone=threading.Lock(),
        shares=ConnectionShares(),
        log=open_log(),
    )
    consumer.start()
    try:
        yield consumer
    finally:
        consumer.stop(deadline=time.monotonic() + 5)
        consumer.join(timeout=10)


def wait_quietly(conn: psycopg.Connection[Any], url: str, *, seconds: float, **options: Any) -> list[float]:
    """Milliseconds that tenant B's messages take to their handlers, sorted."""
    waited: list[float] = []

    def handle(change: Change) -> None:
        if change.new and change.new["sent"]:
            waited.append((time.time() - float(change.new["sent"])) * 1000)
        time.sleep(0.005)

    with consume(conn, url, handle, **options) as consumer:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            conn.execute(SEND, [10**6, 1, time.time(), 1])
            consumer.wake()
            time.sleep(0.25)
    return sorted(waited)


def work_off(conn: psycopg.Connection[Any], url: str) -> float:
    """Microseconds for each of COUNT messages."""
    with consume(conn, url, lambda change: None) as consumer:
        began = time.perf_counter()
        while consumer.counts["handled"] < COUNT and consumer.alive:
            time.sleep(0.01)
        return (time.perf_counter() - began) / consumer.counts["handled"] * 1e6


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=25.0)
    options = parser.parse_args()
    with launch() as url, psycopg.connect(url, autocommit=True) as conn:
        pgmq.install(conn)
        with conn.transaction():
            conn.execute(SCHEMA_SQL.encode())
        runs: tuple[tuple[str, int, dict[str, Any]], ...] = (
            ("B alone", 0, {}),
            (f"beside {options.depth:,} of A", options.depth, {}),
            (f"beside {options.depth:,} of A, without fair", options.depth, {"fair": None}),
        )
        for name, depth, declared in runs:
            fill(conn, groups=1, depth=depth)
            waited = wait_quietly(conn, url, seconds=options.seconds, **declared)
            told = f"none was handled in {options.seconds:.0f} s"
            if waited:
                p99 = waited[int(len(waited) * 0.99)]
                told = f"median {statistics.median(waited):6.1f} ms   p99 {p99:6.1f} ms   of {len(waited)}"
            print(f"{name:36} {told}", flush=True)
        for groups in (10, 100_000):
            for depth in (COUNT * 2, options.depth):
                fill(conn, groups=groups, depth=depth)
                took = statistics.median(work_off(conn, url) for _ in range(1 if depth == COUNT * 2 else 3))
                print(f"{groups:>7,} groups, {depth:>9,} messages  {took:6.0f} us a message", flush=True)


if __name__ == "__main__":
    main()
