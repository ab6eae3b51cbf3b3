"""Queues that were made by other means are adopted by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane

import changelane

HANDLER = """
import psycopg
from changelane import Change, Message

def handle(given: Change | Message, tx: psycopg.Connection) -> None:
    text = given.new["id"] if isinstance(given, Change) else given.body
    tx.execute("INSERT INTO notes VALUES (%s)", [str(text)])
"""


@pytest.mark.parametrize(("name", "send"), [("my-queue", "pgmq"), ("2.a-b_c", "inline")])
def test_a_queue_with_messages_is_adopted_and_worked(
    conn: psycopg.Connection[Any], tmp_path: Path, run_changelane: RunChangelane, name: str, send: str
) -> None:
    conn.execute("CREATE TABLE things (id int PRIMARY KEY); CREATE TABLE notes (note text)")
    conn.execute("SELECT pgmq.create(%s)", [name])
    changelane.send_batch(conn, name, ["by hand", "too"])
    (tmp_path / "handlers.py").write_text(HANDLER)
    (tmp_path / "pipelines.yaml").write_text(
        f"version: 1\nproject: shop\nqueues: {{{name}: {{archive: {{keep: 1 day}}}}}}\n"
        f"routes: [{{name: things, table: public.things, events: [insert], queue: {name}, send: {send}}}]\n"
        f'consumers: {{{name}: {{handler: "handlers:handle", mode: transactional, ordering: key}}}}\n'
    )
    for arguments in (["inspect"], ["generate"], ["apply", "--yes"], ["verify"]):
        done = run_changelane(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    assert "No changes" in run_changelane("plan").stdout
    conn.execute("INSERT INTO things VALUES (7)")
    assert run_changelane("send", name, '"by command"').stdout == "4\n"
    assert run_changelane("work", "--drain").returncode == 0
    assert {note for (note,) in conn.execute("SELECT note FROM notes")} == {
        "by hand",
        "too",
        "7",
        "by command",
    }
    for arguments in (["peek", name], ["verify"]):
        done = run_changelane(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
