"""The demo's report: totals, and whether the replica equals the source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import click
import psycopg
from comparison import compare
from display import format_time
from measurement import Measurement
from processes import Process


@dataclass(frozen=True, slots=True)
class Load:
    """What pgbench did, and ``seconds`` from its start and its end until the last change was handled."""

    transactions: int
    rate: float
    seconds: float
    drain: float
    measurement: Measurement


def read_load(pgbench: Process, *, seconds: float, drain: float, measurement: Measurement) -> Load:
    """What pgbench's report says. Raises Failure when pgbench failed."""
    text = pgbench.read_log()
    transactions = re.search(r"transactions actually processed: (\d+)", text)
    rate = re.search(r"^tps = ([\d.]+)", text, re.MULTILINE)
    if pgbench.poll() != 0 or transactions is None or rate is None:
        raise pgbench.explain()
    return Load(int(transactions[1]), float(rate[1]), seconds, drain, measurement)


def report(conn: psycopg.Connection[Any], load: Load, *, restarts: int) -> int:
    """Print the totals and the comparison; returns 0 when the replica is equal to the source, else 1."""
    total = load.measurement.total
    click.echo(f"\npgbench   {load.transactions:,} transactions, {load.rate:,.0f} a second")
    click.echo(f"captured  {total.captured:,} changes")
    click.echo(
        f"handled   {total.handled:,}, none twice, {total.handled / load.seconds:,.0f} a second; "
        f"drained {load.drain:.1f} s after the load"
    )
    click.echo(
        f"          retries {total.retries}, dead letters {total.dead_letters}, workers killed {restarts}"
    )
    p50, p99, slowest = map(format_time, (total.p50, total.p99, total.slowest))
    click.echo(
        f"latency   p50 {p50}, p99 {p99}, slowest {slowest}, "
        "from the commit of a change to the commit of its handler\n"
    )
    return print_comparison(conn)


def print_comparison(conn: psycopg.Connection[Any]) -> int:
    """Compare replica and source and print the outcome; returns 0 when they are equal, else 1."""
    comparisons = compare(conn)
    for comparison in comparisons:
        for line in comparison.describe():
            click.echo(line)
    if all(comparison.equal for comparison in comparisons):
        click.echo("The replica is equal to the source, row by row.")
        return 0
    click.echo("The replica is NOT equal to the source.", err=True)
    return 1
