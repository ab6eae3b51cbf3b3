"""A database for one test: it applies a spec and works the queues until they are empty."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from changelane.contract.manifest import Consumer, Manifest, Retry, load_manifest, read_files
from changelane.errors import ChangelaneError, ManifestError
from changelane.runner.apply.apply import apply
from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.live.inspect import inspect
from changelane.runner.operate.dead_letter import Letter, choose, find_dead_letter_queue, read
from changelane.runner.work.process.log import open_log
from changelane.runner.work.process.worker import Worker
from changelane.runner.work.sink_plans import plan_sinks

PREFIX = "changelane_scratch_"
"""The prefix of test databases' names; the process id follows. Databases that a killed run left may be
dropped.
"""

PAUSE = 0.01
"""Seconds between attempts when a test sets their number."""


class Unhandled(AssertionError):
    """Messages that a test's handlers did not handle, with their errors."""


class Scratch:
    """``url`` names the database; ``conn`` is an autocommit connection to it."""

    def __init__(self, *, url: str, conn: psycopg.Connection[TupleRow]) -> None:
        self.url = url
        self.conn = conn
        self._manifest: Manifest | None = None

    def apply(self, file: str | Path = "pipelines.yaml") -> None:
        """Generate from the spec and this database's tables, and apply. Call it again after the tables
        changed.

        Raises ChangelaneError with all mistakes of the spec.
        """
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            (out / "catalog.json").write_text(inspect(self.conn).dump(), encoding="utf-8")
            _generate(Path(file), out)
            manifest = load_manifest(out)
            files = read_files(manifest, out)
        apply(
            self.conn,
            manifest,
            files=files,
            prune=True,
            confirm=lambda planned: False,
            report=lambda step: None,
            notify=lambda message: None,
        )
        self._manifest = manifest

    def drain(
        self, *queues: str, attempts: int | None = 1, timeout: float = 30.0, check: bool = True
    ) -> dict[str, int]:
        """Work the given queues, or all that have a consumer, until they are empty; returns counts by
        outcome.

        The handlers run in this process. A message gets ``attempts`` attempts, one right after the other, and
        then goes to the dead letters. None keeps the retry rules and pauses of the spec. ``timeout`` in
        seconds. With ``check``, raises Unhandled, with the traceback, when a message was not handled. Raises
        TimeoutError, and ChangelaneError for handlers that cannot work.
        """
        specs = [_hasten(spec, attempts) for spec in self._choose(queues)]
        destinations = self._manifest.destinations if self._manifest else ()
        before = {spec.queue: len(self.dead_letters(spec.queue)) for spec in specs}
        worker = Worker(
            specs=specs,
            sinks=plan_sinks(specs, destinations),
            conninfo=self.url,
            drain=True,
            grace=1.0,
            log=open_log(),
        )
        _run(worker, timeout=timeout)
        counts: Counter[str] = Counter()
        for consumer in worker.consumers:
            counts += consumer.counts
        if check:
            for spec in specs:
                _check(spec.queue, self.dead_letters(spec.queue)[before[spec.queue] :])
        return dict(counts)

    def dead_letters(self, queue: str) -> list[Letter]:
        """The dead letters of a queue, oldest first."""
        dlq = find_dead_letter_queue(self._applied, queue)
        return read(self.conn, dlq, choose(self.conn, dlq))

    @property
    def _applied(self) -> Manifest:
        if self._manifest is None:
            raise ManifestError("nothing is applied to the scratch database", fix="call apply() first")
        return self._manifest

    def _choose(self, queues: tuple[str, ...]) -> list[Consumer]:
        consumers = {consumer.queue: consumer for consumer in self._applied.consumers}
        unknown = [queue for queue in queues if queue not in consumers]
        if unknown or not consumers:
            raise ManifestError(
                f"queue {', '.join(unknown)} has no consumer" if unknown else "the spec has no consumers",
                fix="add it under `consumers` in the spec",
            )
        return [consumers[queue] for queue in queues] or list(consumers.values())


@contextmanager
def make_template(conninfo: str) -> Iterator[str]:
    """Make a template database with pgmq on the server of ``conninfo``; yields its name."""
    name = f"{PREFIX}{os.getpid()}_{uuid.uuid4().hex[:16]}"
    with _make_database(conninfo, name, template="template0"):
        with connect(address(conninfo, name)) as conn:
            pgmq.install(conn)
        yield name


@contextmanager
def make_scratch(conninfo: str, *, template: str) -> Iterator[Scratch]:
    """A new copy of database ``template``, dropped at the end."""
    name = f"{PREFIX}{os.getpid()}_{uuid.uuid4().hex[:16]}"
    with _make_database(conninfo, name, template=template):
        url = address(conninfo, name)
        with connect(url, application_name="changelane test") as conn:
            yield Scratch(url=url, conn=conn)


def address(conninfo: str, name: str) -> str:
    """The conninfo with another database, as a URL, which every program accepts."""
    parts = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()} | {"dbname": name}
    query = urlencode({key: value for key, value in parts.items() if key != "dbname"}, quote_via=quote)
    return f"postgresql:///{quote(name)}" + (f"?{query}" if query else "")


@contextmanager
def _make_database(conninfo: str, name: str, *, template: str) -> Iterator[None]:
    identifier = sql.Identifier(name)
    with connect(conninfo) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, sql.Identifier(template)))
    try:
        yield
    finally:
        with connect(conninfo) as conn:
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))


def _generate(file: Path, out: Path) -> None:
    # A process of its own keeps the generator and its parser out of the process that runs handlers.
    command = [sys.executable, "-m", "changelane", "--file", str(file), "--out", str(out), "generate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ChangelaneError(f"the spec was not applied\n{done.stderr.strip()}")


def _hasten(spec: Consumer, attempts: int | None) -> Consumer:
    if attempts is None:
        return spec
    retry = Retry(attempts=attempts, backoff="constant", first=PAUSE, max=PAUSE, never=spec.retry.never)
    return spec.model_copy(update={"retry": retry, "on_exhausted": "dead_letter"})


def _run(worker: Worker, *, timeout: float) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        worker.stop()

    timer = threading.Timer(timeout, expire)
    timer.start()
    try:
        code = worker.run()
    finally:
        timer.cancel()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if code == 130:
        raise KeyboardInterrupt
    if expired.is_set():
        raise TimeoutError(f"the queues were not empty after {timeout:g} s")


def _check(queue: str, letters: list[Letter]) -> None:
    if not letters:
        return
    told = "\n".join(f"message {letter.msg_id}: {letter.traceback or letter.error}" for letter in letters)
    raise Unhandled(f"{len(letters)} of queue {queue} went to the dead letters\n{told}")
