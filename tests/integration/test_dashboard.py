"""The dashboard's pages, asked for over HTTP from its real process."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.dashboard import Panel, open_panel

from changelane.runner.live import database as databases


@pytest.fixture
def panel(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Iterator[Panel]:
    """A dashboard without a project, over the queue ``orders``."""
    conn.execute("SELECT pgmq.create('orders'), pgmq.create('orders_dlq')")
    with open_panel(tmp_path, database) as panel:
        panel.wait("/queues", lambda page: "orders" in page.words)
        yield panel


def test_the_overview_shows_queues_that_no_project_declares(
    panel: Panel, conn: psycopg.Connection[Any]
) -> None:
    conn.execute("SELECT pgmq.send('orders', '{}') FROM generate_series(1, 3)")
    page = panel.wait("/", lambda page: "3 waiting" in page.words)
    assert "<svg" in page.text
    assert "manifest.json does not exist" in page.words


def test_a_queue_shows_its_messages_by_state(panel: Panel, conn: psycopg.Connection[Any]) -> None:
    conn.execute("SELECT pgmq.send('orders', '{\"name\": \"now\"}')")
    conn.execute("SELECT pgmq.send('orders', '{\"name\": \"later\"}', 3600)")
    assert "now" in panel.open("/queues/orders?state=available").words
    assert "later" not in panel.open("/queues/orders?state=available").words
    assert "later" in panel.open("/queues/orders?state=delayed").words


def test_while_the_database_is_away_what_was_seen_stays_and_it_goes_on_by_itself(
    panel: Panel, conn: psycopg.Connection[Any], server: str
) -> None:
    assert conn.info.dbname.isidentifier()
    with databases.connect(server) as other:
        other.execute(f"ALTER DATABASE {conn.info.dbname} ALLOW_CONNECTIONS false".encode())
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'changelane dashboard'",
            [conn.info.dbname],
        )
        away = panel.wait("/queues", lambda page: "The database does not answer" in page.words)
        assert away.status == 200
        assert "orders_dlq" in away.words
        assert panel.get("/queues/orders").status == 503
        assert panel.open("/healthz").text == "ok\n"
        other.execute(f"ALTER DATABASE {conn.info.dbname} ALLOW_CONNECTIONS true".encode())
    panel.wait("/queues", lambda page: "does not answer" not in page.words)
    panel.open("/queues/orders")


def test_it_ends_at_once_while_pages_follow_it_and_says_by_which_signal(
    panel: Panel, run_changelane: RunChangelane
) -> None:
    taken = run_changelane("dashboard", "--port", str(panel.port))
    assert taken.returncode == 1
    assert "choose another --port" in taken.stderr
    following = [http.client.HTTPConnection(panel.host, panel.port, timeout=30) for _ in range(20)]
    for stream in following:
        stream.request("GET", "/events", headers={"Cookie": panel.cookie})
        assert stream.getresponse().status == 200
    panel.process.send_signal(signal.SIGINT)
    assert panel.process.wait(timeout=30) == 130
    assert "Traceback" not in panel.log.read_text()
