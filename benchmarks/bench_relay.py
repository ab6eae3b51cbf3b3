"""The cost of a relay, compared with the same drain that publishes nothing.

    python benchmarks/bench_relay.py [--messages 20000] [--rounds 5] [--only ENGINE]... [--batch 500] [--bare]

A Postgres server of its own is started, with fsync on, and a real server of each engine, on this machine. In
each round every engine drains a queue of 280-byte changes, one after the other, so that noise meets all
alike. ``nothing`` is the same relay with an engine that confirms at once. The rate's ratio to it and the
processor time of a message, of this process alone, are medians over the rounds, with the least and the most.
The garbage collector is set up as in a worker. HTTP is signed, with 100 requests at once, and takes a quarter
of the messages. ``--bare`` adds the least that any client of NATS and of Kafka could do in the same drain.
"""

from __future__ import annotations

import base64
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bare_clients import BareEngine, BareKafka, BareNats
from support.kafka_broker import create_topic, run_tansu
from support.nats_server import find_port, run_nats, wait_for_port
from support.rabbitmq_server import run_rabbitmq
from support.redis_server import run_redis

from changelane.commands.work import spare_collector
from changelane.contract.destination import Destination, Relay
from changelane.contract.manifest import Consumer as Spec
from changelane.runner.live import pgmq
from changelane.runner.local import server
from changelane.runner.queue.worked import open_worked
from changelane.runner.relay.destinations import Destinations, make_engine
from changelane.runner.relay.engine import CONFIRMED, Engine, Outcome, Outgoing
from changelane.runner.work.process.consumer import Consumer
from changelane.runner.work.process.log import open_log
from changelane.runner.work.relays.plan import RelayPlan
from changelane.runner.work.sinks.connection_shares import ConnectionShares

FILL = """
    INSERT INTO pgmq.q_bench (vt, message, headers)
    SELECT clock_timestamp(),
        jsonb_build_object('id', %s || number, 'op', 'insert', 'schema', 'public', 'table', 't',
            'key', jsonb_build_object('id', number), 'old', NULL, 'txid', '7',
            'at', '2026-11-22T18:54:03+00:00', 'new', jsonb_build_object('pad', repeat('x', 130))),
        jsonb_build_object('route', 'r')
    FROM generate_series(1, %s) AS number
"""


class Nothing(BareEngine):
    """The engine to compare with: it does nothing at all."""

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        return [CONFIRMED] * len(batch)


@dataclass(frozen=True)
class Contender:
    """``least`` is the ratio to ``nothing`` that is to be met, or ``rate`` so many messages a second."""

    name: str
    destination: Destination
    relay: Relay
    engine: Engine
    least: float | None = None
    rate: float | None = None


@contextmanager
def open_contenders(folder: Path, names: Sequence[str], *, bare: bool = False) -> Iterator[list[Contender]]:
    """``nothing`` first, then those of ``names`` that run here; with ``bare``, their bare clients, too."""
    nats = Destination.model_validate({"name": "there", "nats": {"servers": ["nats://none"]}})
    relay = Relay(to="there", subject="bench.{schema}.{table}.{op}", deduplicate=True)
    contenders = [Contender("nothing", nats, relay, Nothing())]
    with ExitStack() as servers:
        if "nats" in names:
            broker = servers.enter_context(run_nats(folder / "nats"))
            broker.add_stream("BENCH", "bench.>")
            there = Destination.model_validate({"name": "there", "nats": {"servers": [broker.url]}})
            contenders.append(Contender("nats", there, relay, make_engine(there), least=0.75))
            if bare:
                contenders.append(Contender("nats bare", there, relay, BareNats(broker.url)))
        if "kafka" in names:
            address = servers.enter_context(run_tansu())
            create_topic(address, "bench", partitions=4)
            there = Destination.model_validate({"name": "there", "kafka": {"servers": [address]}})
            relay = Relay(to="there", topic="bench")
            contenders.append(Contender("kafka", there, relay, make_engine(there), least=0.75))
            if bare:
                contenders.append(Contender("kafka bare", there, relay, BareKafka(address)))
        if "redis" in names:
            cache = servers.enter_context(run_redis(folder / "redis", "--appendfsync", "everysec"))
            there = Destination.model_validate({"name": "there", "redis": {"url": {"literal": cache.url}}})
            relay = Relay(to="there", stream="bench")
            contenders.append(Contender("redis", there, relay, make_engine(there), least=0.6))
        if "rabbitmq" in names:
            rabbit = servers.enter_context(run_rabbitmq(folder / "rabbitmq"))
            rabbit.add_queue(exchange="bench")
            there = Destination.model_validate(
                {"name": "there", "rabbitmq": {"url": {"literal": rabbit.url}}}
            )
            relay = Relay(to="there", exchange="bench", routing_key="{schema}.{table}.{op}")
            contenders.append(Contender("rabbitmq", there, relay, make_engine(there), rate=5000))
        if "http" in names:
            url = servers.enter_context(run_sink())
            os.environ["BENCH_SECRET"] = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
            http = {
                "url": {"literal": url},
                "concurrency": 100,
                "sign": {"standard_webhooks": [{"env": "BENCH_SECRET"}]},
            }
            there = Destination.model_validate({"name": "there", "http": http})
            contenders.append(Contender("http", there, Relay(to="there"), make_engine(there), rate=1500))
        yield contenders


ENGINES = ("nats", "kafka", "redis", "rabbitmq", "http")

SINK = """
import sys
from aiohttp import web

async def take(request):
    await request.read()
    return web.Response(status=204)

app = web.Application()
app.router.add_post("/hook", take)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
"""


@contextmanager
def run_sink() -> Iterator[str]:
    """A receiver of HTTP in a process of its own, whose processor time is not ours."""
    port = find_port()
    process = subprocess.Popen([sys.executable, "-c", SINK, str(port)])
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        process.kill()
        process.wait()


def drain(
    conn: psycopg.Connection[Any], url: str, contender: Contender, *, count: int, batch: int, mark: str
) -> tuple[float, float]:
    """Messages a second, and microseconds of processor time a message."""
    conn.execute("SELECT pgmq.drop_queue(queue_name) FROM pgmq.meta WHERE queue_name ~ '^bench'")
    conn.execute("SELECT pgmq.create('bench'), pgmq.create('bench_dlq')")
    conn.execute(FILL, [mark, count])
    conn.execute("VACUUM ANALYZE pgmq.q_bench")
    conn.execute("CHECKPOINT")
    spec = Spec(queue="bench", dead_letter="bench_dlq", relay=contender.relay, batch=batch)
    (queue,) = open_worked(conn, [spec])
    destinations = Destinations([contender.destination])
    # Opened once more than it is left, so that the connection stays for the next round.
    destinations._engines["there"], destinations._users["there"] = contender.engine, 2
    consumer = Consumer(
        spec=spec,
        queue=queue,
        plan=RelayPlan(spec, contender.relay, contender.engine, destinations),
        conninfo=url,
        alone=threading.Lock(),
        shares=ConnectionShares(),
        log=open_log("warning"),
    )
    consumer.start()
    # The first message is the start of the clock: connections and plans are made.
    while not consumer.counts["handled"] and consumer.alive:
        time.sleep(0.001)
    began, used, done = time.perf_counter(), time.process_time(), consumer.counts["handled"]
    while consumer.counts["handled"] < count and consumer.alive:
        time.sleep(0.005)
    took, used = time.perf_counter() - began, time.process_time() - used
    assert consumer.counts["handled"] == count, consumer.counts
    consumer.stop(deadline=time.monotonic() + 5)
    consumer.join(timeout=10)
    return (count - done) / took, used / (count - done) * 1e6


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--only", action="append", choices=ENGINES)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="changelane-bench-"))
    try:
        url = server.start(folder / "postgres")
        with (
            psycopg.connect(url, autocommit=True) as conn,
            open_contenders(folder, options.only or ENGINES, bare=options.bare) as contenders,
        ):
            pgmq.install(conn)
            spare_collector()
            rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
            costs: dict[str, list[float]] = {contender.name: [] for contender in contenders}
            for turn in range(options.rounds + 1):
                for contender in contenders:
                    count = options.messages // (4 if contender.name == "http" else 1)
                    mark = f"{turn}-{contender.name}-"
                    rate, cost = drain(conn, url, contender, count=count, batch=options.batch, mark=mark)
                    # The first round warms up.
                    if turn:
                        rates[contender.name].append(rate)
                        costs[contender.name].append(cost)
            for contender in contenders:
                contender.engine.close()
                report(contender, rates, costs)
    finally:
        server.remove(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


def report(contender: Contender, rates: dict[str, list[float]], costs: dict[str, list[float]]) -> None:
    rate, cost = statistics.median(rates[contender.name]), statistics.median(costs[contender.name])
    pairs = zip(rates[contender.name], rates["nothing"], strict=True)
    ratio = statistics.median(one / other for one, other in pairs)
    low, high = min(rates[contender.name]), max(rates[contender.name])
    less, more = min(costs[contender.name]), max(costs[contender.name])
    line = (
        f"{contender.name:10} {rate:9,.0f}/s ({low:,.0f} to {high:,.0f})  "
        f"{cost:5.1f} us ({less:.1f} to {more:.1f})  ratio {ratio:4.2f}"
    )
    if contender.least is not None:
        line += f"  target {contender.least:.2f}  {'met' if ratio >= contender.least else 'MISSED'}"
    if contender.rate is not None:
        line += f"  target {contender.rate:,.0f}/s  {'met' if rate >= contender.rate else 'MISSED'}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
