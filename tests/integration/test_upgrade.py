"""Upgrade of a database that version 0.1.0 applied, while old workers and writers run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from changelane.runner.live.database import connect

ROOT = Path(__file__).parents[2]
OLD = "9d4dce6"
"""The commit of version 0.1.0."""

TABLES = """
CREATE TABLE accounts (id int PRIMARY KEY, owner text, balance numeric, secret text);
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text, body jsonb) ;
CREATE TABLE parts (id int, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE parts_now PARTITION OF parts DEFAULT;
CREATE TABLE effects (queue text, tab text, op text, key text, step text);
"""

SPEC = """
version: 1
project: shop
queues:
  ordered: {archive: {keep: 30 days}}
  events: {}
  parts: {}
routes:
  - name: accounts
    table: public.accounts
    events: [insert, update, delete]
    payload: {exclude: [secret], old: changed}
    queue: ordered
  - name: events
    table: public.events
    events: [insert, update]
    when: new.kind <> 'noise'
    payload: {mask: {body: sha256}}
    queue: events
    send: inline
  - name: parts
    table: public.parts
    events: [insert, update, delete]
    queues: [parts, events]
consumers:
  ordered: {handler: "handlers:note", mode: transactional, ordering: key, lease: 5s}
  events: {handler: "handlers:note", mode: transactional, batch: 10, lease: 5s}
  parts: {handler: "handlers:note", mode: transactional, lease: 5s}
"""

HANDLERS = """
def note(change, tx):
    row = change.new or change.old or {}
    step = str(row.get("balance") or row.get("note"))
    values = change.queue, change.table, change.op, str(change.key["id"]), step
    tx.execute("INSERT INTO effects VALUES (%s, %s, %s, %s, %s)", values)
"""

QUEUES = ("ordered", "events", "parts")
ROUTES = {"accounts": ["ordered"], "events": ["events"], "parts": ["parts", "events"]}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of version 0.1.0."""
    found = subprocess.run(
        ["git", "archive", OLD, "changelane", "generator", "runner"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if found.returncode:
        pytest.skip(f"no history with commit {OLD}: {found.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("old")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=found.stdout, check=True)
    where = [sys.executable, "-c", "import changelane; print(changelane.__file__)"]
    done = subprocess.run(
        where, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(folder)
    return folder


class Project:
    """A folder with a spec and a handler, worked by the program of either version."""

    def __init__(self, folder: Path, url: str, *, old: Path) -> None:
        self.folder = folder
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DATABASE_URL": url}
        self._old = {**self._environment, "PYTHONPATH": str(old)}
        (folder / "pipelines.yaml").write_text(SPEC)
        (folder / "handlers.py").write_text(HANDLERS)

    def attempt(self, *arguments: str, old: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "changelane", *arguments],
            cwd=self.folder, env=self._old if old else self._environment,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def run(self, *arguments: str, old: bool = False) -> str:
        done = self.attempt(*arguments, old=old)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def work(self, *, old: bool = False) -> Iterator[subprocess.Popen[str]]:
        log = self.folder / f"{'old' if old else 'new'}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "changelane", "work"],
                cwd=self.folder, env=self._old if old else self._environment, stderr=output, text=True,
            )  # fmt: skip
            try:
                wait(lambda: "working" in log.read_text() or process.poll() is not None)
                assert process.poll() is None, log.read_text()
                yield process
                assert process.poll() is None, log.read_text()
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
                assert "Traceback" not in log.read_text(), log.read_text()


class Writer:
    """Writes to every captured table without a pause. ``failures`` are writes that the database refused."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failures: list[psycopg.Error] = []
        self.expected: list[tuple[str, str, str, str, str]] = []

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with connect(self._url, application_name="writer") as conn:
            number = 0
            while not self._stop.is_set():
                number += 1
                try:
                    self._write(conn, number)
                except psycopg.Error as error:
                    self.failures.append(error)
                time.sleep(0.005)

    def _write(self, conn: psycopg.Connection[Any], number: int) -> None:
        conn.execute("INSERT INTO accounts VALUES (%s, 'ann', 1, 's')", [number])
        self._expect("accounts", "insert", number, "1")
        conn.execute("UPDATE accounts SET balance = 2 WHERE id = %s", [number])
        self._expect("accounts", "update", number, "2")
        conn.execute("INSERT INTO events (kind, body) VALUES ('noise', '1')")
        row = conn.execute("INSERT INTO events (kind, body) VALUES ('a', '1') RETURNING id").fetchone()
        assert row is not None
        self._expect("events", "insert", row[0], "None")
        conn.execute("INSERT INTO parts VALUES (%s, '2026-01-01', 'new')", [number])
        self._expect("parts", "insert", number, "new")
        if number % 3 == 0:
            conn.execute("DELETE FROM accounts WHERE id = %s", [number])
            self._expect("accounts", "delete", number, "2")

    def _expect(self, table: str, op: str, key: int, step: str) -> None:
        for queue in ROUTES[table]:
            self.expected.append((queue, table, op, str(key), step))


def wait(condition: Callable[[], Any], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_a_database_of_the_first_version_is_brought_up_under_its_old_workers(
    old: Path, database: str, conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    conn.execute(TABLES)
    project = Project(tmp_path, database, old=old)
    for command in (["inspect"], ["generate"], ["apply", "--yes"]):
        project.run(*command, old=True)

    def count() -> int:
        row = conn.execute("SELECT count(*) FROM effects").fetchone()
        assert row is not None
        return int(row[0])

    with Writer(database) as writer:
        with project.work(old=True):
            wait(lambda: count() > 100)
            for command in (["inspect"], ["generate"], ["apply", "--yes"], ["verify"]):
                project.run(*command)
            # Its manifest is the old one, and the functions that capture are new.
            applied = count()
            wait(lambda: count() > applied + 100)
            with project.work():
                both = count()
                wait(lambda: count() > both + 100)
        with project.work():
            alone = count()
            wait(lambda: count() > alone + 100)
    project.run("work", "--drain")

    assert writer.failures == []
    effects = conn.execute("SELECT queue, tab, op, key, step FROM effects").fetchall()
    assert sorted(effects) == sorted(writer.expected)
    for queue in QUEUES:
        assert conn.execute(f'SELECT count(*) FROM pgmq."q_{queue}"').fetchone() == (0,)
        assert conn.execute(f'SELECT count(*) FROM pgmq."q_{queue}_dlq"').fetchone() == (0,)
    project.run("destroy", "--yes", "--drop-queues", "--discard-messages", "ordered")


def test_a_new_worker_works_a_database_that_nobody_has_brought_up_yet(
    old: Path, database: str, conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    conn.execute(TABLES)
    project = Project(tmp_path, database, old=old)
    for command in (["inspect"], ["generate"], ["apply", "--yes"]):
        project.run(*command, old=True)
    for command in (["inspect"], ["generate"]):
        project.run(*command)
    with Writer(database) as writer, project.work():
        wait(lambda: conn.execute("SELECT count(*) > 100 FROM effects").fetchone() == (True,))
    project.run("work", "--drain")
    effects = conn.execute("SELECT queue, tab, op, key, step FROM effects").fetchall()
    assert (writer.failures, sorted(effects)) == ([], sorted(writer.expected))


def test_the_old_version_leaves_objects_of_a_newer_one_alone(
    old: Path, database: str, conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    conn.execute(TABLES)
    project = Project(tmp_path, database, old=old)
    for command in (["inspect"], ["generate"], ["apply", "--yes"]):
        project.run(*command)
    for command in (["inspect"], ["generate"]):
        project.run(*command, old=True)
    refused = project.attempt("apply", "--yes", old=True)
    assert refused.returncode == 1
    assert "a newer one has applied to this database" in refused.stderr
    project.run("inspect")
    project.run("generate")
    project.run("verify")
