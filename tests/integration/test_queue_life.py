"""Every command and page on queues whose names need quotes in SQL."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from support.api_roles import lend_roles
from support.command_line import RunChangelane
from support.dashboard import open_panel

import changelane

HANDLER = """
import psycopg
from changelane import Change, Message

def handle(given: Change | Message, tx: psycopg.Connection) -> None:
    text = given.new["id"] if isinstance(given, Change) else given.body
    if text == "bad":
        raise ValueError("not this one")
    tx.execute("INSERT INTO notes VALUES (%s)", [str(text)])
"""

NAMES = ["My Queue", "Foo", "50% off %s", 'say "hi", \\o/ {x}', "größe: #1"]
"""Blanks, capitals, placeholders of the driver, quotes and separators, letters beyond ASCII."""


def ok(run: RunChangelane, *arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def role(conn: psycopg.Connection[Any]) -> Iterator[str]:
    with lend_roles(conn, ["client"]) as roles:
        yield roles["client"]


@pytest.mark.parametrize("by_hand", [True, False], ids=["found", "made"])
def test_a_queue_of_any_name_lives_its_whole_life(
    conn: psycopg.Connection[Any],
    database: str,
    role: str,
    tmp_path: Path,
    run_changelane: RunChangelane,
    by_hand: bool,
) -> None:
    names = NAMES if by_hand else NAMES[:3]
    conn.execute("CREATE TABLE things (id int PRIMARY KEY); CREATE TABLE notes (note text)")
    if by_hand:
        for name in names:
            conn.execute("SELECT pgmq.create(%s)", [name])
            conn.execute("SELECT pgmq.send(%s, %s)", [name, json.dumps("foreign")])
    (tmp_path / "handlers.py").write_text(HANDLER)
    modes = dict(zip(NAMES, ["none", "key", "key", "none", "key"], strict=True))
    spec = {
        "version": 1,
        "api": True,
        "project": "shop",
        "queues": {
            name: {
                "archive": {"keep": "1 day"},
                "access": [{"role": role, "allow": ["send", "read", "delete"],
                            **({"via": "functions"} if name == "Foo" else {})}],
            }
            for name in names
        },
        "routes": [
            {"name": "a", "table": "public.things", "events": ["insert"], "queues": names[:-2]},
            {"name": "b", "table": "public.things", "events": ["insert"], "queues": names[-2:],
             "send": "inline"},
        ],
        "consumers": {
            name: {
                "handler": "handlers:handle", "mode": "transactional", "ordering": modes[name],
                "retry": {"attempts": 1},
            }
            for name in names
        },
        "schedules": {"tick": {"cron": "0 0 29 2 *", "queue": "My Queue", "body": "tick"}},
    }  # fmt: skip
    (tmp_path / "pipelines.yaml").write_text(json.dumps(spec))
    for arguments in (["inspect"], ["generate"], ["validate", "--live"], ["plan"], ["apply", "--yes"]):
        ok(run_changelane, *arguments)
    ok(run_changelane, "verify")
    assert "No changes" in ok(run_changelane, "plan")
    ok(run_changelane, "generate", "--check")
    conn.execute("INSERT INTO things VALUES (7)")
    conn.execute("INSERT INTO things VALUES (8), (9)")
    for name in names:
        changelane.send(conn, name, "sent")
        changelane.send(conn, name, "bad")
        ok(run_changelane, "send", name, '"by command"')
        assert "available" in ok(run_changelane, "peek", name)
    found = ["foreign"] if by_hand else []
    assert f"{len(names)} messages" in ok(run_changelane, "try", "INSERT INTO things VALUES (10)")
    ok(run_changelane, "work", "--drain")
    notes = [note for (note,) in conn.execute("SELECT note FROM notes ORDER BY 1")]
    assert notes == sorted(["7", "8", "9", "sent", "by command", *found] * len(names))
    for name in names:
        assert "not this one" in ok(run_changelane, "dead-letter", "list", name)
        ok(run_changelane, "dead-letter", "redrive", name)
        ok(run_changelane, "purge", name, "--yes")
        ok(run_changelane, "pause", name)
        ok(run_changelane, "resume", name)
        ok(run_changelane, "replay", name, "--since", "1h", "--yes")
    ok(run_changelane, "maintain")
    ok(run_changelane, "work", "--drain")
    assert len(conn.execute("SELECT FROM notes").fetchall()) == 2 * len(notes)
    ok(run_changelane, "backfill", "a")
    for arguments in (["status"], ["verify"]):
        ok(run_changelane, *arguments)
    complaints = json.loads(run_changelane("doctor", "--format", "json").stdout)
    assert {finding["code"] for finding in complaints["findings"]} <= {"schedule-late"}, complaints
    if by_hand:
        _visit(database, tmp_path)
        _measure(database, tmp_path)
    _use(conn, role, names)
    ok(run_changelane, "destroy", "--yes")
    ok(run_changelane, "verify", "--expect", "absent")
    done = run_changelane("destroy", "--yes", "--drop-queues")
    if by_hand:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert "--discard-messages 'My Queue'" in done.stderr
    discarded = [word for name in names for word in ("--discard-messages", name)]
    if not by_hand:
        ok(run_changelane, "destroy", "--yes", "--drop-queues", *discarded)
    left = {name for (name,) in conn.execute("SELECT queue_name FROM pgmq.meta")}
    assert left == (set(names) if by_hand else set())


def _visit(database: str, folder: Path) -> None:
    """Every page of every queue, and the forms that change one."""
    with open_panel(folder, database) as panel:
        for name in NAMES:
            slug = quote(quote(name, safe=""), safe="")
            panel.wait("/queues", lambda answer, name=name: name in answer.words)
            assert name in panel.open(f"/queues/{slug}").words
            panel.post(f"/queues/{slug}/send", message='"by page"', headers="{}", group="", delay="0")
            assert "by page" in panel.open(f"/queues/{slug}").words
            panel.open(f"/queues/{slug}/keeping")
            panel.open(f"/dead-letters/{slug}")
            panel.post(f"/queues/{slug}/pause")
            panel.post(f"/queues/{slug}/resume")
        made = panel.post("/queues/new", on="/queues/new", name="New One, 100%", kind="logged")
        assert "New One, 100%" in made.words
        refused = panel.post("/queues/new", on="/queues/new", name="my QUEUE", kind="logged")
        assert "exists" in refused.words
        gone = panel.post("/queues/New%2520One%252C%2520100%2525/drop", confirmed="yes")
        assert "is dropped" in gone.words


def _measure(database: str, folder: Path) -> None:
    """Labels hold the names as they are."""
    log = folder / "work.log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DATABASE_URL": database}
    with log.open("w") as errors:
        worker = subprocess.Popen(
            [sys.executable, "-m", "changelane", "work", "--metrics-port", "0"],
            cwd=folder, env=environment, stderr=errors,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/metrics", log.read_text())):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        with urllib.request.urlopen(found[0], timeout=30) as response:
            text = response.read().decode()
    finally:
        worker.terminate()
        worker.wait(60)
    labels = {
        sample.labels["queue"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "changelane_queue_depth"
    }
    assert labels == set(NAMES), text


def _use(conn: psycopg.Connection[Any], role: str, names: list[str]) -> None:
    """As a client does, by SQL and by the API, in any spelling that pgmq takes."""
    with conn.transaction():
        conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        for name in names:
            for spelled in (name, name.upper() if name.isascii() else name):
                conn.execute("SELECT pgmq_public.send(%s, %s)", [spelled, json.dumps("client's")])
                found = conn.execute(
                    "SELECT msg_id FROM pgmq_public.read(%s, 30, 1000)", [spelled]
                ).fetchall()
                assert found
                done = conn.execute("SELECT pgmq_public.delete(%s, %s)", [spelled, found[-1][0]]).fetchone()
                assert done == (True,)
