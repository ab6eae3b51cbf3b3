"""Worker processes under random faults, while an application writes; then every change is accounted for.

    python tests/torture [--seconds 60] [--kills 60] [--seed N] [--keep]

On a server of its own with fsync on, in a temporary folder. Exits 0 when no change was lost, none took effect
twice in a transactional consumer, keys kept their order, and the dead letters are exactly what was meant to
fail; 1 with the evidence otherwise; 130 when interrupted. Whatever happens, no process and no folder stays.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import click
import psycopg
from psycopg import sql

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "project"), str(HERE.parent)]

from course import apply, console, endure, hold
from fleet import STOP_SECONDS, Fleet
from storm import SETTINGS, Storm
from support.tcp_proxy import Proxy, run_proxy
from verdict import Verdict, judge
from writers import BACKLOG, FEW, KEYS, KINDS, MOST, RARE, RARE_SECONDS, Writer

from changelane.runner.live import pgmq
from changelane.runner.local import server

DRAIN_SECONDS = 600.0
CREWS: tuple[list[str], ...] = (
    [],
    [],
    ["--processes", "2", "--max-messages", "2000"],
    ["ordered", "blocking", "patient"],
    ["patient", "singles"],
)
KINDS_NOTED = {
    "fails": "handlers failed once",
    "leaves": "called sys.exit in a task",
    "slow": "ran past their lease",
    "late": "ran past their timeout",
    "poison": "failed at a poison",
    "gone": "failed once and for all",
    "exits": "ended by os._exit in a handler",
    "crashes": "ended by SIGSEGV in a handler",
    "forks": "forked a child that came back",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", type=click.IntRange(min=1), default=60, help="How long the faults last.")
@click.option(
    "--kills", type=click.FloatRange(min=1), default=60.0, help="SIGKILLs a minute; others in proportion."
)
@click.option("--seed", type=int, help="Of the faults and changes; printed.", show_default="random")
@click.option("--keep", is_flag=True, help="Keep the folder, with logs and data.")
def command(seconds: int, kills: float, seed: int | None, keep: bool) -> None:
    """Prove the worker under random faults."""
    hold(torture, seconds=seconds, kills=kills, seed=seed, keep=keep, limit=seconds + DRAIN_SECONDS)


def torture(folder: Path, *, seconds: int, kills: float, seed: int) -> int:
    """The whole of it; returns the exit code."""
    url = server.start(folder, settings=SETTINGS)
    with run_proxy(url) as proxy:
        return torture_behind(proxy, folder, url=url, seconds=seconds, kills=kills, seed=seed)


def torture_behind(proxy: Proxy, folder: Path, *, url: str, seconds: int, kills: float, seed: int) -> int:
    """As ``torture``; some of the workers reach the server through the proxy."""
    prepare(folder, url)
    fleet = Fleet(folder, url, proxied=proxy.url, crews=CREWS)
    fleet.revive()
    depths: Counter[str] = Counter()
    spread = max(RARE_SECONDS, seconds / 40)
    writers = [
        Writer(
            queue, url=url, seed=seed, depths=depths, kinds=kinds,
            keys=KEYS.get(queue, FEW), most=BACKLOG.get(queue, MOST),
            rare=RARE.get(queue, ()), spread=spread, size=1 if queue == "patient" else 8,
        )
        for queue, kinds in KINDS.items()
    ]  # fmt: skip
    storm = Storm(folder=folder, url=url, fleet=fleet, proxy=proxy, seed=seed, kills=kills)
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
    problems = drain(fleet, url)
    took = time.monotonic() - began
    with psycopg.connect(url, autocommit=True, client_encoding="UTF8") as conn:
        verdict = judge(conn)
        (captured, effects) = conn.execute(
            "SELECT (SELECT count(*) FROM torture.written), (SELECT count(*) FROM torture.ledger)"
        ).fetchone() or (0, 0)
    verdict.evidence += fleet.problems + problems
    report(verdict, storm=storm, folder=folder, refused=sum(member.refused for member in fleet.members))
    print(f"throughput: {captured:,} changes captured in {written:.0f} s ({captured / written:,.0f}/s), "
          f"{effects:,} effects in {took:.0f} s ({effects / took:,.0f}/s), drained")  # fmt: skip
    longest = max(member.longest for member in fleet.members)
    print(f"every worker ended by SIGTERM within {longest:.1f} s, of {STOP_SECONDS:.0f} s that it had")
    for line in verdict.evidence:
        print(f"EVIDENCE: {line}")
    print(f"seed {seed}: {'FAILED' if verdict.evidence else 'passed'}", flush=True)
    return 1 if verdict.evidence else 0


def prepare(folder: Path, url: str) -> None:
    """Tables, queues and capture, as a user makes them."""
    shutil.copytree(
        HERE / "project", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    with psycopg.connect(url, autocommit=True) as conn:
        pgmq.install(conn)
        conn.execute((HERE / "sql" / "schema.sql").read_bytes())
        apply(folder, url)
        watch = (HERE / "sql" / "watch_queue.sql").read_text()
        for queue in KINDS:
            conn.execute(
                "INSERT INTO torture.keys SELECT %s, generate_series(0, %s)",
                [queue, KEYS.get(queue, FEW) - 1],
            )
            table = sql.Identifier("pgmq", f"q_{queue}")
            conn.execute(sql.SQL(watch).format(table=table, name=sql.Literal(queue)))


def drain(fleet: Fleet, url: str) -> list[str]:
    """Handle the remaining messages; returns problems."""
    problems = []
    for code, said in fleet.drain([queue for queue in KINDS if queue != "blocking"], url=url):
        if code:
            problems.append(f"`changelane work --drain` exits with {code}:\n{said}")
    for code, said in fleet.drain(["blocking"], url=url):
        if code and "messages that failed for good block their keys" not in said:
            problems.append(f"`changelane work --drain blocking` exits with {code}:\n{said}")
    return problems


def report(verdict: Verdict, *, storm: Storm, folder: Path, refused: int) -> None:
    noted = folder / "noted"
    kinds = Counter(noted.read_text().split() if noted.exists() else ())
    print("faults")
    for name, count in storm.counts.most_common():
        print(f"  {count:>7,}  {name}")
    for kind, name in KINDS_NOTED.items():
        print(f"  {kinds[kind]:>7,}  {name}")
    print(f"  {refused:>7,}  workers that found no server when they started")
    print("changes by what became of them")
    for (queue, fate), count in verdict.fates.items():
        print(f"  {count:>7,}  {queue}: {fate}")
    for queue, repeated in verdict.repeated_loosely.items():
        print(f"  {repeated:>7,}  {queue}: effects repeated, which at_least_once permits")
    totals = verdict.totals
    print(
        f"{totals['lost']} lost, {totals['repeated']} repeated in transactional consumers, "
        f"{totals['ghosts']} ghosts, {totals['disorder']} out of order, {totals['stale']} stale acks, "
        f"{totals['crowds']} times beyond a limit, "
        f"{totals['states']} keys with a wrong last state, "
        f"{totals['schedule']} errors in the account of {verdict.runs} scheduled runs"
    )


if __name__ == "__main__":
    command()
