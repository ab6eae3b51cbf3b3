"""Alarms: every page of the dashboard names queues in trouble and the reason, also without scripts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.dashboard import Answer, Panel, open_panel
from support.deployment import bring, declare

from changelane.runner.dashboard.data.alarms import find_alarms
from changelane.runner.dashboard.data.declared import Declared
from changelane.runner.dashboard.data.samples import Samples

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  alive: {dead_letters: {keep: 90 days, alarm: 2}}
  keyed: {}
consumers:
  alive: {handler: "handlers:handle", lease: 2s, retry: {attempts: 2, first: 10m}}
  keyed: {handler: "handlers:fail", ordering: key, on_exhausted: block, retry: {attempts: 1}}
"""
HANDLERS = """
from typing import Any

from changelane import Message


def handle(message: Message[Any]) -> None:
    if message.body.get("bad"):
        raise ValueError("an order that nobody can pay")


def fail(message: Message[Any]) -> None:
    raise ValueError("a key that blocks")
"""


@pytest.fixture
def panel(conn: Connection, database: str, tmp_path: Path) -> Iterator[Panel]:
    bring(conn, declare(conn, tmp_path, SPEC))
    (tmp_path / "handlers.py").write_text(HANDLERS)
    with open_panel(tmp_path, database) as panel:
        yield panel


@contextmanager
def working(folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process, killed at the end."""
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "changelane", "work"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "DATABASE_URL": url},
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def find_banner(page: Answer) -> str:
    """The words of the element with role alert that names queues, or empty."""
    found = re.search(r'<div class="alarm banner" role="alert">(.*?)</div>', page.text, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split()) if found else ""


def test_a_dead_worker_looks_dead_on_every_page(
    panel: Panel, conn: Connection, database: str, tmp_path: Path
) -> None:
    with working(tmp_path, database):
        panel.wait("/", lambda page: "1 worker process" in page.words)
        conn.execute("SELECT pgmq.send('alive', '{}')")
        panel.wait("/queues", lambda page: "unconsumed" not in page.words)
        assert find_banner(panel.open("/")) == ""
    conn.execute("SELECT pgmq.send('alive', '{}')")
    page = panel.wait("/", find_banner)
    assert find_banner(page) == "unconsumed alive : no worker runs, and messages are due."
    assert "unconsumed" in re.findall(r'<text class="word"[^>]*>([^<]*)<', page.text)
    for path in ("/queues", "/queues/alive", "/dead-letters", "/audit", "/doctor"):
        assert "no worker runs, and messages are due" in find_banner(panel.open(path)), path
    with working(tmp_path, database):
        panel.wait("/", lambda page: not find_banner(page))


def test_states_are_words_with_their_cause(
    panel: Panel, conn: Connection, database: str, tmp_path: Path
) -> None:
    with working(tmp_path, database):
        for body in ({"bad": True}, {"bad": True}):
            conn.execute("SELECT pgmq.send('alive', %s::jsonb)", [json.dumps(body)])
        key = {"key": {"id": 1}}
        conn.execute(
            "SELECT pgmq.send('keyed', %s::jsonb, '{\"x-pgmq-group\": \"1\"}'::jsonb)", [json.dumps(key)]
        )
        failing = panel.wait("/queues/alive", lambda page: "will be tried again" in page.words)
        assert "failing 2 messages failed and will be tried again." in failing.words
        assert find_banner(failing).count("alive") == 0
        blocked = panel.wait("/", lambda page: "blocked" in find_banner(page))
        assert "blocked keyed : 1 message failed for good and block" in find_banner(blocked)
        conn.execute("SELECT pgmq.send('alive_dlq', '{}') FROM generate_series(1, 2)")
        page = panel.wait("/", lambda page: "failing" in find_banner(page))
        assert "2 dead letters, and its alarm is at 2" in find_banner(page)
        panel.post("/queues/alive/pause", on="/queues/alive")
        paused = panel.wait("/queues/alive", lambda page: "until it is resumed" in page.words)
        assert "paused nobody claims its messages" in paused.words


def test_blocked_keys_are_retried_afresh_buried_and_discarded(
    panel: Panel, conn: Connection, database: str, tmp_path: Path
) -> None:
    keyed = """SELECT pgmq.send('keyed', jsonb_build_object('key', jsonb_build_object('id', n)),
        jsonb_build_object('x-pgmq-group', jsonb_build_object('id', n)::text)) FROM generate_series(1, 4) n"""
    with working(tmp_path, database):
        conn.execute(keyed)
        page = panel.wait("/queues/keyed?state=blocked", lambda page: "Blocked 4" in page.words)
        assert "Available 0 Delayed 0 Leased 0 Blocked 4" in page.words
        assert page.words.count("ValueError: a key that blocks") == 4
    # By the index of keys, whether the key is written as JSON or as its only value.
    for text in ("3", "%7B%22id%22%3A%203%7D"):
        found = panel.open(f"/queues/keyed?key={text}")
        assert "Found by the index of keys." in found.words
        assert re.findall(r'aria-label="Choose message (\d)"', found.text) == ["3"]
    seen = re.findall(r'name="id" value="(\d+:\d+)"', page.text)
    on = "/queues/keyed?state=blocked"
    for way, chosen, done in (
        ("retry", seen[:1], "1 message due again"),
        ("dead-letter", seen[1:2], "1 message made dead letters"),
        (
            "discard",
            [seen[2], "4:999"],
            "1 message discarded; 1 message not blocked any more, and left alone",
        ),
    ):
        asked = panel.post(f"/queues/keyed/blocked/{way}", on=on, id=chosen)
        assert f"{len(chosen)} blocked message" in asked.words
        assert done in panel.confirm(asked).words
    rows = conn.execute(
        "SELECT msg_id, vt <= now(), headers->'changelane'->'attempts' FROM pgmq.q_keyed ORDER BY 1"
    ).fetchall()
    assert [(id, due) for id, due, _ in rows] == [(1, True), (4, False)]
    assert conn.execute("SELECT count(*) FROM pgmq.q_keyed_dlq").fetchone() == (1,)


def test_a_queue_is_late_when_its_messages_outwait_its_lease(
    panel: Panel, conn: Connection, database: str, tmp_path: Path
) -> None:
    # The session of a worker that hangs.
    with psycopg.connect(database, application_name="changelane work alive"):
        conn.execute("SELECT pgmq.send('alive', '{}')")
        page = panel.wait("/queues", lambda page: "late" in find_banner(page))
        assert re.search(
            r"late alive : a message has been due for \d+ s, longer than its lease of 2 s", find_banner(page)
        )


def test_the_doctors_count_is_a_badge(panel: Panel) -> None:
    page = panel.wait("/", lambda page: re.search(r"data-findings>\d+ finding", page.text))
    assert re.search(r'<span class="badge warn" data-findings>\d+ findings?</span>', page.text)


def test_before_the_first_sample_nothing_is_alarmed() -> None:
    assert find_alarms(Declared(None), Samples()) == {}


def test_dashes_move_in_the_direction_of_messages_only(panel: Panel, conn: Connection) -> None:
    def lines(page: Answer) -> dict[tuple[Any, Any], bool]:
        found = re.findall(r'<path class="line( moving)?"[^>]*data-line="(\w+)" data-way="(\w+)"', page.text)
        return {(queue, way): bool(moving) for moving, queue, way in found}

    panel.wait("/", lambda page: "0 waiting" in page.words)
    conn.execute("SELECT pgmq.send('alive', '{}') FROM generate_series(1, 9)")
    panel.wait("/queues/alive", lambda page: re.search(r'data-value="sent">[0-9.]*[1-9]', page.text))
    assert not lines(panel.open("/"))["alive", "left"]
    conn.execute("SELECT pgmq.delete('alive', msg_id) FROM pgmq.q_alive")
    panel.wait("/", lambda page: lines(page)["alive", "left"])
