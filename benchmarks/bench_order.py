"""The cost of key order per message, in a queue of 1,000 and in one of 1,000,000 messages.

    python benchmarks/bench_order.py --database-url URL [--depth 1000000] [--rounds 3] [--only "1 key"]

The database is a scratch one: queue ``bench_order`` is dropped and made anew. Each round works off 5,000
messages of the deep queue, and the whole of the shallow one five times, through the worker's own consumer
with a handler that does nothing; figures are medians of microseconds per message.
"""

from __future__ import annotations

import statistics
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg

from changelane.contract.manifest import Consumer as Spec
from changelane.runner.live import pgmq
from changelane.runner.queue.worked import open_worked
from changelane.runner.work.handlers.plan import HandlerPlan
from changelane.runner.work.handlers.signature import Handler
from changelane.runner.work.process.consumer import Consumer
from changelane.runner.work.process.log import open_log
from changelane.runner.work.sinks.connection_shares import ConnectionShares

COUNT = 5_000
SHALLOW = 1_000
FILL = """
    INSERT INTO pgmq.q_bench_order (vt, message, headers)
    SELECT clock_timestamp(),
        jsonb_build_object('op', 'insert', 'schema', 'public', 'table', 't', 'key', NULL, 'old', NULL,
            'txid', '7', 'at', '2026-11-22T18:54:03+00:00',
            'new', jsonb_build_object('pad', repeat('x', 150))),
        jsonb_build_object('route', 'r', 'x-pgmq-group', (number %% %s)::text)
    FROM generate_series(0, %s - 1) AS number
"""
KEYS: dict[str, Callable[[int], int]] = {
    "a key each": lambda depth: depth,
    "100 keys": lambda depth: 100,
    "10 keys": lambda depth: 10,
    "1 key": lambda depth: 1,
}


def fill(conn: psycopg.Connection[Any], *, keys: int, depth: int) -> None:
    conn.execute("SELECT pgmq.drop_queue(queue_name) FROM pgmq.meta WHERE queue_name ~ '^bench_order'")
    conn.execute("SELECT pgmq.create('bench_order'), pgmq.create('bench_order_dlq')")
    conn.execute(
        "CREATE INDEX q_bench_order_key_idx ON pgmq.q_bench_order "
        "((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    conn.execute(FILL, [keys, depth])
    conn.execute("VACUUM ANALYZE pgmq.q_bench_order")
    conn.execute("CHECKPOINT")


def work(conn: psycopg.Connection[Any], url: str, *, count: int) -> float:
    """Seconds until ``count`` messages are handled."""
    spec = Spec(
        queue="bench_order", handler="none:none", mode="at_least_once", ordering="key",
        dead_letter="bench_order_dlq",
    )  # fmt: skip
    (queue,) = open_worked(conn, [spec])
    handler = Handler(function=lambda change: None, asynchronous=False, transaction=False)
    consumer = Consumer(
        spec=spec,
        queue=queue,
        plan=HandlerPlan(spec, handler),
        conninfo=url,
        alone=threading.Lock(),
        shares=ConnectionShares(),
        log=open_log(),
    )
    began = time.perf_counter()
    consumer.start()
    while consumer.counts["handled"] < count and consumer.alive:
        time.sleep(0.02)
        if consumer.idle:
            consumer.wake()
    took = time.perf_counter() - began
    handled = consumer.counts["handled"]
    consumer.stop(deadline=time.monotonic() + 5)
    consumer.join(timeout=10)
    return took / handled * 1e6


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--depth", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(KEYS))
    options = parser.parse_args()
    with psycopg.connect(options.database_url, autocommit=True) as conn:
        pgmq.install(conn)
        run = partial(work, conn, options.database_url)
        for name, choose in KEYS.items():
            if options.only not in (None, name):
                continue
            shallow, deep = [], []
            for _ in range(options.rounds):
                parts = []
                for _ in range(5):
                    fill(conn, keys=choose(SHALLOW), depth=SHALLOW)
                    parts.append(run(count=SHALLOW))
                shallow.append(statistics.mean(parts))
                fill(conn, keys=choose(options.depth), depth=options.depth)
                deep.append(run(count=COUNT))
            few, many = statistics.median(shallow), statistics.median(deep)
            verdict = "met" if many <= 1.3 * few else "MISSED"
            print(f"{name:11} {SHALLOW:,}: {few:6.0f} us   {options.depth:,}: {many:6.0f} us   "
                  f"ratio {many / few:4.2f}  target 1.30  {verdict}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
