"""Relays under random faults of workers, server and engines; then every change is accounted for.

    python tests/torture/relay.py [--seconds 60] [--kills 60] [--seed N] [--keep]

On a Postgres of its own with fsync on, servers of NATS, RabbitMQ and Redis, librdkafka's mock of Kafka and a
receiver of HTTP, all in a temporary folder. Exits 0 when every change arrived, once for a reader who drops
the ids that it knows, and in the order of its key, and the dead letters are exactly what an engine could not
take; 1 with the evidence otherwise; 130 when interrupted. Whatever happens, no process and no folder stays.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
import time
from collections import Counter
from pathlib import Path
from string import Template
from typing import Any

import click
import psycopg

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "project"), str(HERE.parent)]

from course import apply, console, endure, hold
from engine_storm import EngineStorm
from engines import Engine, run_engines
from fleet import STOP_SECONDS, Fleet
from storm import SETTINGS
from support.tcp_proxy import Proxy, run_proxy
from verdict import Verdict, ask
from writers import FEW, Writer

from changelane.runner.live import pgmq
from changelane.runner.local import server

DRAIN_SECONDS = 240.0
MOST = 1500
"""The depth of a queue at which its writers wait."""

KINDS = {
    "nats": {"poison": 0.001},
    "kafka": {"poison": 0.001},
    "rabbitmq": {"poison": 0.001},
    "redis": {},
    "http": {"poison": 0.002, "fails": 0.01},
}
CREWS: tuple[list[str], ...] = ([], [], ["--processes", "2", "--max-messages", "5000"], ["nats", "http"])


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", type=click.IntRange(min=1), default=60, help="How long the faults last.")
@click.option(
    "--kills", type=click.FloatRange(min=1), default=60.0, help="SIGKILLs a minute; others in proportion."
)
@click.option("--seed", type=int, help="Of the faults and changes; printed.", show_default="random")
@click.option("--keep", is_flag=True, help="Keep the folder, with logs and data.")
def command(seconds: int, kills: float, seed: int | None, keep: bool) -> None:
    """Prove the relays under random faults."""
    hold(torture, seconds=seconds, kills=kills, seed=seed, keep=keep, limit=seconds + DRAIN_SECONDS)


def torture(folder: Path, *, seconds: int, kills: float, seed: int) -> int:
    """The whole of it; returns the exit code."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    os.environ["HOOK_SECRET"] = secret
    url = server.start(folder, settings=SETTINGS)
    with run_proxy(url) as proxy, run_engines(folder, secret=secret, seed=seed) as engines:
        prepare(folder, url, engines)
        return torture_between(proxy, folder, engines, url=url, seconds=seconds, kills=kills, seed=seed)


def torture_between(
    proxy: Proxy,
    folder: Path,
    engines: dict[str, Engine],
    *,
    url: str,
    seconds: int,
    kills: float,
    seed: int,
) -> int:
    """As ``torture``; some of the workers reach the server through the proxy."""
    fleet = Fleet(folder, url, proxied=proxy.url, crews=CREWS)
    fleet.revive()
    depths: Counter[str] = Counter()
    writers = [
        Writer(queue, url=url, seed=seed, depths=depths, kinds=kinds, most=MOST)
        for queue, kinds in KINDS.items()
    ]
    storm = EngineStorm(
        list(engines.values()), folder=folder, url=url, fleet=fleet, proxy=proxy, seed=seed, kills=kills
    )
    for writer in writers:
        writer.start()
    began = time.monotonic()
    endure(seconds, queues=list(KINDS), fleet=fleet, storm=storm, writers=writers, depths=depths, url=url)
    for writer in writers:
        writer.stop()
    storm.end()
    fleet.stop()
    written = time.monotonic() - began
    console.print(f"the storm is over; draining {sum(depths.values())} messages or so")
    problems = fleet.problems + [
        f"`changelane work --drain` exits with {code}:\n{said}"
        for code, said in fleet.drain(list(KINDS), url=url)
        if code
    ]
    took = time.monotonic() - began
    with psycopg.connect(url, autocommit=True, client_encoding="UTF8") as conn:
        copy_arrivals(conn, engines)
        verdict, dropped = judge(conn, engines)
        (captured, arrived) = conn.execute(
            "SELECT (SELECT count(*) FROM torture.written), (SELECT count(*) FROM torture.arrived)"
        ).fetchone() or (0, 0)
    verdict.evidence += problems
    report(verdict, dropped, storm=storm, refused=sum(member.refused for member in fleet.members))
    print(f"throughput: {captured:,} changes captured in {written:.0f} s ({captured / written:,.0f}/s), "
          f"{arrived:,} arrivals in {took:.0f} s, drained")  # fmt: skip
    longest = max(member.longest for member in fleet.members)
    print(f"every worker ended by SIGTERM within {longest:.1f} s, of {STOP_SECONDS:.0f} s that it had")
    for line in verdict.evidence:
        print(f"EVIDENCE: {line}")
    print(f"seed {seed}: {'FAILED' if verdict.evidence else 'passed'}", flush=True)
    return 1 if verdict.evidence else 0


def prepare(folder: Path, url: str, engines: dict[str, Engine]) -> None:
    """Tables, queues, capture and relays, as a user makes them."""
    spec = Template((HERE / "relay_project" / "pipelines.yaml.in").read_text())
    addresses = {name: engine.url for name, engine in engines.items()}
    (folder / "pipelines.yaml").write_text(spec.substitute(addresses))
    with psycopg.connect(url, autocommit=True) as conn:
        pgmq.install(conn)
        for name in ("schema", "relay_schema"):
            conn.execute((HERE / "sql" / f"{name}.sql").read_bytes())
        apply(folder, url)
        for queue in KINDS:
            conn.execute("INSERT INTO torture.keys SELECT %s, generate_series(0, %s)", [queue, FEW - 1])


def copy_arrivals(conn: psycopg.Connection[Any], engines: dict[str, Engine]) -> None:
    """Write each engine's messages into a table."""
    with conn.cursor().copy("COPY torture.arrived (queue, id, key, seq) FROM STDIN") as copy:
        for name, engine in engines.items():
            for arrival in engine.read():
                copy.write_row([name, arrival.id, arrival.key, arrival.seq])


def judge(conn: psycopg.Connection[Any], engines: dict[str, Engine]) -> tuple[Verdict, Counter[str]]:
    """Compare what committed with what arrived; also how many copies a reader drops by their ids."""
    verdict, dropped = Verdict(), Counter[str]()
    for queue, fate, expected, lost, ghosts, repeated, copies, *samples in ask(conn, "relay_fates"):
        verdict.count(queue, fate, expected, lost=lost, ghosts=ghosts, repeated=repeated, samples=samples)
        dropped[queue] += copies
        if copies and engines[queue].once:
            verdict.evidence.append(f"{queue}: {copies} stored twice, though it knew their ids")
    verdict.examine(conn, disorder="relay_disorder", ids="relay_ids")
    return verdict, dropped


def report(verdict: Verdict, dropped: Counter[str], *, storm: EngineStorm, refused: int) -> None:
    print("faults")
    for name, count in storm.counts.most_common():
        print(f"  {count:>7,}  {name}")
    print(f"  {refused:>7,}  workers that found no server when they started")
    print("changes by what became of them")
    for (queue, fate), count in verdict.fates.items():
        print(f"  {count:>7,}  {queue}: {fate}")
    for queue, count in dropped.items():
        print(f"  {count:>7,}  {queue}: copies that readers drop by their ids")
    totals = verdict.totals
    print(
        f"{totals['lost']} lost, {totals['repeated']} repeated under another id, {totals['ghosts']} ghosts, "
        f"{totals['disorder']} out of order, {totals['ids']} ids of two changes"
    )


if __name__ == "__main__":
    command()
