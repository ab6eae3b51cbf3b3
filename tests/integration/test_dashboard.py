"""The dashboard's pages, requested over HTTP from a real process."""

from __future__ import annotations

import http.client
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.dashboard import Answer, Panel, open_panel

from changelane.runner.dashboard.web.formats import break_name, fit, say_preview
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


def test_queues_are_sorted_and_hold_their_dead_letters(panel: Panel, conn: psycopg.Connection[Any]) -> None:
    conn.execute("SELECT pgmq.create('a_few'), pgmq.send('orders', '{}'), pgmq.send('orders_dlq', '{}')")

    def list_names(page: Answer) -> list[str]:
        return re.findall(r'<tr data-queue="(\w+)"', page.text)

    panel.wait("/queues?sort=depth", lambda page: list_names(page) == ["orders", "a_few"])
    assert list_names(panel.open("/queues?sort=dead")) == ["orders", "a_few"]
    page = panel.open("/queues")
    assert list_names(page) == ["a_few", "orders"]
    assert "1 in orders_dlq" in page.words
    assert list_names(panel.open("/queues?sort=nonsense")) == ["a_few", "orders"]


def test_a_preview_begins_with_what_differs() -> None:
    change = {
        "op": "update",
        "new": {"id": 1, "name": "Ada", "n": 2.50},
        "old": {"id": 1, "name": "Eva", "n": 2.5},
    }
    text = json.dumps(change).replace('"n": 2.5}}', '"n": 2.40}}')
    said = say_preview(text, "update", "public.people", 200)
    assert said == 'update public.people · name: "Eva" → "Ada", n: 2.40 → 2.5'
    assert say_preview('{"op": "insert", "new": {"n": 0.10}}', "insert", "t", 200) == "insert t · n: 0.10"
    assert say_preview('{"op": 5, "new": []}', "5", "", 200) == '{"op": 5, "new": []}'
    assert len(say_preview(json.dumps({"op": "x", "new": {"w": "W" * 9000}}), "x", "t", 50)) == 50


def test_names_break_after_their_signs_and_stay_escaped() -> None:
    assert break_name("orders_events") == "orders_events"
    assert break_name("a_very_long_name_of.parts") == "a_<wbr>very_<wbr>long_<wbr>name_<wbr>of.<wbr>parts"
    assert break_name("<b>_&" + "x" * 20) == f"&lt;b&gt;_<wbr>&amp;{'x' * 20}"
    assert fit("short", 200) == "short"
    assert fit("W" * 40, 200).endswith("W…")
    assert len(fit("漢" * 40, 200)) < 16


def test_while_the_database_is_down_the_last_page_stays_and_then_goes_on(
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
