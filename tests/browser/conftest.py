"""Debian's Chromium, headless, before a dashboard over a project that is at work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from declared import bring, declare
from panel import Panel, open_panel
from playwright.sync_api import Browser, sync_playwright
from psycopg.rows import TupleRow

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {archive: {keep: 30 days}}
  letters: {}
routes:
  - {name: orders, table: public.orders, events: [insert, update, delete], queue: events}
  - {name: paid, table: public.orders, events: [update], when: new.status = 'paid', queue: letters}
consumers:
  events: {handler: "handlers:handle", retry: {attempts: 1}}
"""
HANDLER = """
from changelane import Change, DeadLetter


def handle(change: Change) -> None:
    if change.new and change.new["status"] == "bad":
        raise DeadLetter("an order that nobody can pay")
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None and os.environ.get("CI"):
        pytest.fail("chromium is not installed")
    if program is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        # Its sandbox refuses root; the only pages that it opens are the dashboard's.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def project(conn: Connection, tmp_path: Path) -> Path:
    """The folder of a project that is applied, with messages in every state."""
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    bring(conn, declare(conn, tmp_path, SPEC))
    (tmp_path / "handlers.py").write_text(HANDLER)
    conn.execute(
        "INSERT INTO orders SELECT n, CASE n WHEN 3 THEN 'bad' ELSE 'new' END FROM generate_series(1, 9) n"
    )
    subprocess.run(
        [sys.executable, "-m", "changelane", "work", "--drain"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": find_url(conn)},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    conn.execute("UPDATE orders SET status = 'paid' WHERE id > 5")
    conn.execute('SELECT pgmq.send(\'events\', \'{"new": {"status": "later"}}\', 3600)')
    return tmp_path


def find_url(conn: Connection) -> str:
    info = conn.info
    return f"postgresql:///{info.dbname}?host={info.host}&port={info.port}&user={info.user}"


@pytest.fixture
def panel(conn: Connection, project: Path) -> Iterator[Panel]:
    with open_panel(project, find_url(conn)) as panel:
        panel.wait("/queues", lambda page: "events_dlq" in page.words)
        panel.wait("/drift", lambda page: "Database matches" in page.words)
        yield panel
