"""pgbench's load on a server of its own, captured, handled by two workers, and compared row by row.

    python demo.py [--seconds 10] [--rate 800] [--scale 4] [--clients 4] [--kill-worker]

Exits 0 when the replica is equal to the source, 1 when a row differs or something fails, 130 when
interrupted. Whatever happens, at the end the server, all processes and their folder are gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psycopg
from display import PlainDisplay, open_display
from measurement import measure
from processes import CHANGELANE, HERE, SIGNALS, Failure, Process, Worker, is_setting, run, uninterrupted
from report import Load, read_load, report

from changelane.errors import ChangelaneError
from changelane.runner.local.server import FOLDER, find_binary, remove

WORKERS = 2
STALLED_SECONDS = 60.0
SCHEMA = (HERE / "sql" / "schema.sql").read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``rate`` in transactions a second."""

    seconds: int
    rate: int
    scale: int
    clients: int
    kill_worker: bool


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", type=click.IntRange(min=1), default=10, help="How long the load lasts.")
@click.option("--rate", type=click.IntRange(min=1), default=800, help="Transactions a second.")
@click.option("--scale", type=click.IntRange(min=1), default=4, help="pgbench's: 100,000 accounts each.")
@click.option("--clients", type=click.IntRange(min=1), default=4, help="Connections of the load.")
@click.option("--kill-worker", is_flag=True, help="SIGKILL a worker half-way, in mid-transaction.")
def command(**values: Any) -> None:
    """pgbench's load, captured and replicated by two workers, then compared row by row."""
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        code = demonstrate(Options(**values))
    except (Failure, ChangelaneError, psycopg.Error) as error:
        click.echo(f"error: {error}", err=True)
        code = 1
    except KeyboardInterrupt:
        click.echo("interrupted; everything is stopped", err=True)
        code = 130
    sys.exit(code)


def demonstrate(options: Options) -> int:
    """Run the whole demo; returns the exit code."""
    display = open_display()
    ignored = sorted(name for name in os.environ if is_setting(name))
    if ignored:
        display.note(f"{', '.join(ignored)} set and ignored: the demo uses a server of its own, no other")
    stack = contextlib.ExitStack()
    try:
        with uninterrupted():
            root = Path(tempfile.mkdtemp(prefix="changelane-demo-"))
            stack.callback(shutil.rmtree, root, ignore_errors=True)
        display.note(f"server   Postgres on a socket, in {root}")
        url = start_server(root, stack)
        conn = stack.enter_context(psycopg.connect(url, autocommit=True))
        prepare(conn, url, root=root, scale=options.scale, display=display)
        worker = changelane("work", url=url, root=root)
        display.note(f"workers  {WORKERS} times `changelane work`")
        workers = [
            Worker(worker, name=name, log=root / f"{name}.log", stack=stack)
            for name in (f"worker-{number}" for number in range(1, WORKERS + 1))
        ]
        await_workers(conn, workers)
        load = drive(conn, url, root=root, options=options, workers=workers, display=display, stack=stack)
        for each in workers:
            # Killed is no failure, and one that has just been started may not know SIGTERM yet.
            if each.stop() > 0:
                raise each.explain()
        return report(conn, load, restarts=sum(each.restarts for each in workers))
    finally:
        with uninterrupted():
            stack.close()


def changelane(*arguments: str, url: str, root: Path) -> list[str | Path]:
    """A command line of Changelane on the demo's server, with generated files in its folder."""
    return [*CHANGELANE, "--database-url", url, "--out", root / "sql_out", *arguments]


def start_server(root: Path, stack: contextlib.ExitStack) -> str:
    """Start a server in ``root`` that records commit times; ``stack`` stops it. Returns its URL."""
    start, stop = [*CHANGELANE, "db", "start"], [*CHANGELANE, "db", "stop"]
    stack.callback(remove, root / FOLDER)
    with uninterrupted():
        url = run(start, cwd=root).strip()
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    with uninterrupted():
        run(stop, cwd=root)
        run(start, cwd=root)
    return url


def prepare(
    conn: psycopg.Connection[Any], url: str, *, root: Path, scale: int, display: PlainDisplay
) -> None:
    """Load pgbench's tables, turn capture on, and fill the replica."""
    display.note(f"tables   pgbench -i --scale {scale}: {100_000 * scale:,} accounts")
    run([find_binary("pgbench"), "-i", "-q", "--scale", str(scale), url])
    for arguments in (["inspect"], ["generate"], ["apply", "--yes"]):
        display.note(f"capture  changelane {' '.join(arguments)}")
        run(changelane(*arguments, url=url, root=root))
    display.note("replica  filled with what the tables hold")
    conn.execute(SCHEMA)


def await_workers(conn: psycopg.Connection[Any], workers: list[Worker]) -> None:
    """Return when each has reached the database, so that latencies are not those of a start."""
    while not all(worker.has_reached(conn) for worker in workers):
        for worker in workers:
            worker.revive()
        time.sleep(0.05)


def drive(
    conn: psycopg.Connection[Any],
    url: str,
    *,
    root: Path,
    options: Options,
    workers: list[Worker],
    display: PlainDisplay,
    stack: contextlib.ExitStack,
) -> Load:
    """Run the load and show how the workers keep up, until they have handled all of it."""
    display.note(
        f"load     pgbench, TPC-B-like: {options.clients} clients, {options.rate} transactions a second, "
        f"{options.seconds} s"
    )
    pgbench = Process(
        [
            find_binary("pgbench"), "--no-vacuum", "--client", str(options.clients), "--jobs", "2",
            "--time", str(options.seconds), "--rate", str(options.rate),
            "--builtin", "tpcb-like@19", "--file", f"{HERE / 'sql' / 'open_close.sql'}@1", url,
        ],
        name="pgbench",
        log=root / "pgbench.log",
        stack=stack,
    )  # fmt: skip
    began = moved = time.monotonic()
    shown = handled = 0.0
    ended: float | None = None
    to_kill = workers[:1] if options.kill_worker else []
    with display:
        while True:
            for worker in workers:
                if note := worker.revive():
                    display.note(note)
            now = time.monotonic()
            if to_kill and now - began >= options.seconds / 2:
                to_kill.pop().kill(conn)
            if ended is None and pgbench.poll() is not None:
                ended = now
            due = now - shown >= display.interval
            if due or ended:
                measurement = measure(conn)
                elapsed = time.monotonic() - began
                alive = all(worker.poll() is None for worker in workers)
                drained = ended is not None and alive and not measurement.total.backlog
                if due or drained:
                    shown = now
                    display.show(
                        measurement,
                        elapsed=elapsed,
                        seconds=options.seconds,
                        workers=[each.pid for each in workers],
                    )
                if ended is not None and drained:
                    drain = began + elapsed - ended
                    return read_load(pgbench, seconds=elapsed, drain=drain, measurement=measurement)
                if measurement.total.handled > handled:
                    handled, moved = measurement.total.handled, now
                elif ended and now - moved > STALLED_SECONDS:
                    raise Failure(
                        f"nothing was handled for {STALLED_SECONDS:.0f} s; a worker's log ends:\n"
                        + workers[0].read_log()[-2000:]
                    )
            time.sleep(0.3 if ended else 0.1)


if __name__ == "__main__":
    command()
