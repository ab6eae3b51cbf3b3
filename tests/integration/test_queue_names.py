"""Queues that other tools made are adopted by their names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from support.api_roles import lend_roles
from support.command_line import RunChangelane
from support.random_names import draw_queue_names

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


STEER = """
import psycopg
from changelane import Change, DeadLetter, Message

def handle(given: Change | Message, tx: psycopg.Connection) -> None:
    if isinstance(given, Message) and given.body == "bad":
        raise DeadLetter("as asked")
    text = f"row {given.new['id']}" if isinstance(given, Change) else given.body
    tx.execute("INSERT INTO notes VALUES (%s, %s)", [given.queue, text])
"""


def test_every_command_takes_any_name(
    conn: psycopg.Connection[Any], tmp_path: Path, run_changelane: RunChangelane
) -> None:
    seed = int(os.environ.get("CHANGELANE_SEED", Random().randrange(10**9)))
    names = draw_queue_names(Random(seed), 4)
    told = f"seed {seed}: {names}"

    def run(*arguments: str, code: int = 0) -> str:
        done = run_changelane(*arguments)
        assert done.returncode == code, (told, arguments, done.stdout, done.stderr)
        return done.stdout

    conn.execute("CREATE TABLE things (id int PRIMARY KEY); CREATE TABLE notes (queue text, note text)")
    (tmp_path / "handlers.py").write_text(STEER)
    with lend_roles(conn, ["client"]) as roles:
        access = [
            {"role": roles["client"], "allow": ["send", "read", "archive"], "using": "true", "via": via}
            for via in ("tables", "functions")
        ]
        spec = {
            "version": 1, "project": "shop", "api": True,
            "queues": {
                name: {"archive": {"keep": "1 day"}, "access": access[number % 2 : number % 2 + 1]}
                for number, name in enumerate(names)
            },
            "routes": [{"name": "things", "table": "public.things", "events": ["insert"], "queues": names}],
            "consumers": {
                name: {
                    "handler": "handlers:handle", "mode": "transactional",
                    "ordering": ("key", "none")[number % 2],
                }
                for number, name in enumerate(names)
            },
            "schedules": {"tick": {"every": "365 days", "queue": names[0], "body": "ticked"}},
        }  # fmt: skip
        (tmp_path / "pipelines.yaml").write_text(json.dumps(spec, ensure_ascii=False))
        for command in ("inspect", "validate", "generate"):
            run(command)
        run("apply", "--yes")
        run("verify")
        assert "No changes" in run("plan"), told
        conn.execute("INSERT INTO things VALUES (7)")
        run("schedule", "run", "tick")
        for name in names:
            changelane.send(conn, name, "good")
            run("send", "--", name, '"bad"')
        run("work", "--drain", "--", *names)
        noted = sorted(conn.execute("SELECT queue, note FROM notes").fetchall())
        assert noted == sorted(
            [(name, note) for name in names for note in ("good", "row 7")] + [(names[0], "ticked")]
        ), told
        for name in names:
            assert "as asked" in run("dead-letter", "list", "--", name), told
        run("dead-letter", "redrive", "--", names[0])
        assert '"bad"' in run("peek", "--", names[0]), told
        for command in ("pause", "resume"):
            run(command, "--", names[1])
        run("replay", "--yes", "--since", "1h", "--", names[1])
        run("purge", "--yes", "--", names[1])
        for words in (["status"], ["doctor"], ["grants", "--role", roles["client"]]):
            run(*words)
        run("verify")
        both = [name for queue in names for name in (queue, f"{queue}_dlq")]
        discarded = [part for name in both for part in ("--discard-messages", name)]
        run("destroy", "--yes", "--drop-queues", *discarded)
        left = conn.execute("SELECT queue_name FROM pgmq.meta").fetchall()
        assert left == [], told
