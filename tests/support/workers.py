"""A queue, a handler file and real worker processes over them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.manifest import Consumer, Manifest, Retry

PREAMBLE = """
import asyncio, os, signal, time
from decimal import Decimal
from pathlib import Path
import psycopg
from changelane import Change, DeadLetter, Discard, Failed, Message, Retry

def note(text):
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute("INSERT INTO notes (note) VALUES (%s)", [str(text)])
"""


class Bench:
    """``conn`` is an autocommit connection; handlers run in ``folder``."""

    def __init__(self, *, conn: psycopg.Connection[Any], url: str, folder: Path) -> None:
        self.conn = conn
        self.url = url
        self.folder = folder
        conn.execute("SELECT pgmq.create('jobs'), pgmq.create('jobs_dlq')")
        conn.execute("CREATE TABLE effects (msg_id bigint, value numeric)")
        conn.execute("CREATE TABLE notes (id bigserial, note text)")

    def declare(self, source: str, *, handler: str = "handlers:handle", **consumer: Any) -> None:
        """Write handlers.py and a manifest with one consumer; retries come quickly unless said otherwise."""
        (self.folder / "handlers.py").write_text(PREAMBLE + textwrap.dedent(source))
        consumer.setdefault("retry", Retry(attempts=3, first=0.1, max=0.5))
        spec = Consumer(queue="jobs", handler=handler, dead_letter="jobs_dlq", **consumer)
        manifest = Manifest(project="bench", files={}, queues=(), captures=(), consumers=(spec,))
        (self.folder / "sql_out").mkdir(exist_ok=True)
        (self.folder / "sql_out" / "manifest.json").write_text(manifest.dump())

    def order_by_key(self) -> None:
        """The index that ``ordering: key`` needs."""
        self.conn.execute(
            "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs "
            "((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
        )

    def send(self, *values: str, delay: int = 0, headers: dict[str, Any] | None = None) -> list[int]:
        """Send a captured change for each value, JSON that becomes ``new.value``; returns msg_ids."""
        ids = []
        for value in values:
            message = (
                '{"op": "insert", "schema": "public", "table": "things", "key": {"id": 1}, '
                f'"new": {{"id": 1, "value": {value}}}, "old": null, "txid": "7", '
                '"at": "2026-11-22T18:54:03.120311+00:00"}'
            )
            sent = self.conn.execute(
                "SELECT pgmq.send('jobs', %s::jsonb, %s::jsonb, %s)",
                [message, json.dumps({"route": "things", **(headers or {})}), delay],
            ).fetchone()
            assert sent is not None
            ids.append(sent[0])
        return ids

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A worker process, killed at the end unless it has ended."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DATABASE_URL": self.url}
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "changelane", "work", *arguments],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                text=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def drain(self, *arguments: str, timeout: float = 30) -> None:
        with self.worker("--drain", *arguments) as process:
            assert process.wait(timeout) == 0, self.log

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.conn.execute(query).fetchall()

    def count(self, table: str) -> int:
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))
        found = self.conn.execute(query).fetchone()
        assert found is not None
        return int(found[0])

    @property
    def queued(self) -> int:
        return self.count("pgmq.q_jobs")

    @property
    def headers(self) -> str:
        """Headers of the queued messages, as text."""
        return "\n".join(text for (text,) in self.rows("SELECT headers::text FROM pgmq.q_jobs"))

    @property
    def notes(self) -> list[str]:
        return [note for (note,) in self.rows("SELECT note FROM notes ORDER BY id")]

    @property
    def dead(self) -> list[dict[str, Any]]:
        """Headers of the dead letters."""
        return [headers for (headers,) in self.rows("SELECT headers FROM pgmq.q_jobs_dlq ORDER BY msg_id")]

    def wait(self, condition: Callable[..., Any], *, seconds: float = 20) -> None:
        """Wait until the condition holds; fails with the workers' log after this many seconds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)
