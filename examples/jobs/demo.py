"""Jobs that an application sends and a clock sends, handled by two workers of which one is killed.

    python demo.py [--runs 4]

On a server of its own, in a temporary folder. Exits 0 once all mails are sent and so many reports written, 1
when something fails, 130 when interrupted. At the end the server, all processes and their folder are gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import psycopg

import changelane
from changelane.runner.live import pgmq
from changelane.runner.local import server

HERE = Path(__file__).parent
FILES = ("pipelines.yaml", "jobs.py", "schema.sql")
CUSTOMERS = {"Ada": "ada@example.org", "Grace": "grace@example.org", "Edsger": "edsger@example.org"}
PATIENCE = 120.0
"""Seconds that the whole may take."""


class Failure(Exception):
    """The demo cannot go on; the text says why."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--runs", type=click.IntRange(min=1, max=30), default=4, help="Reports to wait for.")
def command(runs: int) -> None:
    """Jobs that an application sends and a clock sends, handled by two workers."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="changelane-jobs-"))
    code = 1
    try:
        demonstrate(folder, runs=runs)
        code = 0
    except Failure as failure:
        click.echo(f"error: {failure}", err=True)
    except KeyboardInterrupt:
        click.echo("interrupted; everything is stopped", err=True)
        code = 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        server.remove(folder)
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def demonstrate(folder: Path, *, runs: int) -> None:
    """The whole demo. Raises Failure."""
    for name in FILES:
        shutil.copy(HERE / name, folder)
    url = server.start(folder)
    with psycopg.connect(url, autocommit=True) as conn, contextlib.ExitStack() as stack:
        pgmq.install(conn)
        conn.execute((folder / "schema.sql").read_bytes())
        for arguments in (["inspect"], ["generate"], ["apply", "--yes"]):
            run(arguments, folder=folder, url=url)
        click.echo("applied  two queues and the schedule `report`, every 2 s")
        workers = [start_worker(folder, url, stack) for _ in range(2)]
        with conn.transaction():
            for name, email in CUSTOMERS.items():
                # The customer and the mail: both commit, or neither.
                conn.execute("INSERT INTO customers VALUES (%s, %s)", [name, email])
                changelane.send(conn, "mails", {"to": email, "subject": f"Welcome, {name}"})
        click.echo(f"sent     {len(CUSTOMERS)} mails, in the transaction that adds the customers")
        wait(lambda: count(conn, "SELECT count(*) FROM reports") >= 1, folder=folder)
        workers[0].kill()
        click.echo("killed   one of the two workers")
        wait(lambda: count(conn, "SELECT count(*) FROM reports") >= runs, folder=folder)
        wait(lambda: count(conn, "SELECT count(*) FROM sent_mails") == len(CUSTOMERS), folder=folder)
        for recipient, subject in conn.execute("SELECT recipient, subject FROM sent_mails ORDER BY id"):
            click.echo(f"mail     to {recipient}: {subject}")
        for moment, mails in conn.execute("SELECT scheduled_at, mails FROM reports ORDER BY 1"):
            click.echo(f"report   of {moment:%H:%M:%S}: {mails} mails sent")
        click.echo(run(["schedule", "list"], folder=folder, url=url).rstrip())


def run(arguments: list[str], *, folder: Path, url: str) -> str:
    """A command of Changelane's; returns its stdout. Raises Failure."""
    done = subprocess.run(
        [sys.executable, "-m", "changelane", *arguments],
        cwd=folder, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failure(f"`changelane {' '.join(arguments)}` exits with {done.returncode}: {done.stderr}")
    return done.stdout


def start_worker(folder: Path, url: str, stack: contextlib.ExitStack) -> subprocess.Popen[bytes]:
    """A worker, ended with the stack."""
    log = stack.enter_context((folder / "log").open("ab"))
    process = subprocess.Popen(
        [sys.executable, "-m", "changelane", "work"],
        cwd=folder, env={**os.environ, "DATABASE_URL": url}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        start_new_session=True,
    )  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def count(conn: psycopg.Connection[Any], query: str) -> int:
    found = conn.execute(query.encode()).fetchone()
    assert found is not None
    return int(found[0])


def wait(condition: Callable[[], bool], *, folder: Path) -> None:
    """Wait until it holds. Raises Failure with the workers' log."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"nothing came of it in {PATIENCE:.0f} s:\n{(folder / 'log').read_text()}")
        time.sleep(0.1)


if __name__ == "__main__":
    command()
