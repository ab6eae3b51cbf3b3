"""Updates of pgmq while a worker and a writer run: no message is lost or doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.api_roles import lend_roles
from support.deployment import Declared, bring, declare, find_wrong
from support.pgmq_versions import read_version, update

from changelane.runner.apply.plan import plan
from changelane.runner.doctor.examine import examine
from changelane.runner.live.database import connect
from changelane.runner.live.observe import observe

Connection = psycopg.Connection[Any]

SPEC = """
version: 1
project: shop
api: true
queues:
  jobs:
    archive: {{keep: 1 day}}
    access:
      - {{role: {client}, allow: [send, read, archive]}}
  Other-Jobs: {{}}
routes:
  - {{name: things, table: public.things, events: [insert], queue: jobs}}
  - {{name: inline, table: public.things, events: [insert], queue: Other-Jobs, send: inline}}
consumers:
  jobs: {{handler: "handlers:note", mode: transactional, lease: 5s}}
  Other-Jobs: {{handler: "handlers:note", mode: transactional, ordering: key, lease: 5s}}
"""
HANDLERS = """
from changelane import Change, Message

def note(given: Change | Message, tx):
    text = given.new["id"] if isinstance(given, Change) else given.body
    tx.execute("INSERT INTO effects VALUES (%s, %s)", [given.queue, str(text)])
"""


class Writer:
    """Inserts rows until it ends. ``written`` are those that committed."""

    def __init__(self, url: str) -> None:
        self.written: list[int] = []
        self.strange: list[psycopg.Error] = []
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with connect(self._url, application_name="writer") as conn:
            number = 0
            while not self._stop.wait(0.005):
                number += 1
                try:
                    conn.execute("INSERT INTO things VALUES (%s)", [number])
                except psycopg.Error as error:
                    # DDL that locks several tables, or drops a function just planned, may fail a statement.
                    known = isinstance(error, psycopg.errors.DeadlockDetected)
                    if not known and "cache lookup failed for function" not in str(error):
                        self.strange.append(error)
                else:
                    self.written.append(number)


@contextmanager
def work(folder: Path, url: str) -> Iterator[None]:
    """One worker; it must not end by itself."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "changelane", "work"],
            cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder), "DATABASE_URL": url},
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
        assert process.poll() is None, (folder / "log").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(conn: Connection, query: str) -> None:
    deadline = time.monotonic() + 120
    while conn.execute(query.encode()).fetchone() != (True,):
        assert time.monotonic() < deadline, query
        time.sleep(0.05)


def move_on(conn: Connection, version: str) -> None:
    for _ in range(10):
        try:
            return update(conn, version)
        except psycopg.errors.DeadlockDetected:
            continue
    pytest.fail("deadlocks without end")


def use(conn: Connection, role: str) -> None:
    """What a client may do, by the API and by pgmq's functions."""
    with conn.transaction():
        conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        conn.execute("""SELECT pgmq_public.send(queue_name => 'jobs', message => '"api"')""")
        conn.execute("""SELECT pgmq.send('jobs', '"sql"', 0)""")


def check_dropped(conn: Connection, declared: Declared) -> None:
    """verify, plan and doctor name the objects that were dropped along with types and functions."""
    assert "drifted api pgmq_public" in find_wrong(conn, declared)
    planned = plan(declared.manifest, observe(conn, declared.manifest))
    assert ("api", "pgmq_public") in {(step.kind, step.name) for step in planned.steps}
    assert "api-changed" in {finding.code for finding in examine(conn, declared.manifest)}


@pytest.mark.parametrize("path", ["1.5.1 1.11.1 1.13.0", "1.5.1 1.13.0"])
def test_an_update_loses_nothing_under_a_worker(bare_database: str, tmp_path: Path, path: str) -> None:
    first, *others = path.split()
    (tmp_path / "handlers.py").write_text(HANDLERS)
    with connect(bare_database) as conn, lend_roles(conn, ["client"]) as roles:
        conn.execute(read_version(first).encode())
        conn.execute("CREATE TABLE things (id int PRIMARY KEY); CREATE TABLE effects (queue text, note text)")
        declared = declare(conn, tmp_path, SPEC.format(**roles))
        bring(conn, declared)
        assert find_wrong(conn, declared) == []
        use(conn, roles["client"])
        with Writer(bare_database) as writer, work(tmp_path, bare_database):
            for version in others:
                wait_for(conn, "SELECT count(*) > 20 FROM effects")
                move_on(conn, version)
                check_dropped(conn, declared)
                # Capture and work go on before anybody has applied.
                seen = conn.execute("SELECT count(*) + 20 FROM effects").fetchone()
                assert seen is not None
                wait_for(conn, f"SELECT count(*) > {seen[0]} FROM effects")
                bring(conn, declared)
                assert find_wrong(conn, declared) == []
                assert "api-changed" not in {finding.code for finding in examine(conn, declared.manifest)}
                use(conn, roles["client"])
        assert writer.strange == []
        with work(tmp_path, bare_database):
            for table in ("q_jobs", "q_other-jobs"):
                wait_for(conn, f'SELECT count(*) = 0 FROM pgmq."{table}"')
        expected = [(queue, str(number)) for queue in ("jobs", "Other-Jobs") for number in writer.written]
        expected += [("jobs", word) for word in ("api", "sql") for _ in path.split()]
        assert sorted(conn.execute("SELECT queue, note FROM effects").fetchall()) == sorted(expected)
        archived = conn.execute("SELECT count(*) FROM pgmq.a_jobs").fetchone()
        assert archived == (len(writer.written) + 2 * len(path.split()),)
        assert find_wrong(conn, declared) == []
