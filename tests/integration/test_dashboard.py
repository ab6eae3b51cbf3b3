"""The dashboard's pages, asked for over HTTP from its real process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from panel import Panel, open_panel


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
