"""Generated SQL with the longest names that a spec takes, and with another layout than the database holds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow
from support.deployment import Declared, bring, declare, find_wrong

from changelane.generator.render import templating
from changelane.generator.render.fold import WIDTH

Connection = psycopg.Connection[TupleRow]

PROJECT = f"p{uuid.uuid4().hex}"[:31]
"""Roles are the whole server's, so they are named apart for each process that runs tests."""
QUEUE = "q" * 42
ROUTE = "r" * 41
SCHEMA, TABLE, KEY, COLUMN = (letter * 63 for letter in "stkc")
WORKER, CLIENT, OWNER = (f"{name}_{PROJECT}".ljust(63, "x") for name in ("worker", "client", "owner"))

SPEC = f"""
version: 1
project: {PROJECT}
owner: {OWNER}
api: true
queues:
  {QUEUE}:
    access:
      - {{role: {WORKER}, allow: [send, read, pop, archive, delete]}}
      - role: {CLIENT}
        via: functions
        allow: [send, read, pop, archive, delete]
        using: message->'new'->>'{COLUMN}' = current_user or message->'new'->>'{COLUMN}' = session_user
  second_{"q" * 35}: {{archive: {{keep: 30d}}}}
routes:
  - name: {ROUTE}
    table: {SCHEMA}.{TABLE}
    events: [insert, update, delete]
    when: new.{COLUMN} is distinct from 'a' || 'b'
    capture: row
    fire: always
    queues: [{QUEUE}, second_{"q" * 35}]
"""


@pytest.fixture
def table(conn: Connection) -> Iterator[sql.Identifier]:
    """A table with the longest names, and roles of that length."""
    roles = [sql.Identifier(role) for role in (WORKER, CLIENT)]
    for role in roles:
        conn.execute(sql.SQL("CREATE ROLE {}").format(role))
    conn.execute(f"CREATE SCHEMA {SCHEMA}".encode())
    conn.execute(f"CREATE TABLE {SCHEMA}.{TABLE} ({KEY} int PRIMARY KEY, {COLUMN} text)".encode())
    yield sql.Identifier(SCHEMA, TABLE)
    found = conn.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [f"%{PROJECT}%"]).fetchall()
    for role in (sql.Identifier(name) for (name,) in found):
        conn.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(role))


def find_long(declared: Declared) -> list[str]:
    texts = [content.decode() for name, content in declared.files.items() if name.endswith(".sql")]
    return [line for text in texts for line in text.splitlines() if len(line) > WIDTH]


def test_lines_of_the_longest_names_fit_unless_names_alone_fill_them(
    conn: Connection, tmp_path: Path, table: sql.Identifier
) -> None:
    declared = declare(conn, tmp_path, SPEC)
    # Two names of 63 characters, with a dot between, fill a line.
    assert [line for line in find_long(declared) if f'"{SCHEMA}"."{TABLE}"' not in line] == []
    assert {len(line.split()) for line in find_long(declared)} == {1}
    bring(conn, declared)
    assert find_wrong(conn, declared) == []


def test_a_new_layout_replaces_functions_and_keeps_messages_and_rights(
    conn: Connection, tmp_path: Path, table: sql.Identifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(templating, "fold", lambda text: text.replace("\n    RETURN ", "\n\n    RETURN "))
        before = declare(conn, tmp_path, SPEC)
        bring(conn, before)
    assert find_long(before)
    conn.execute(sql.SQL("INSERT INTO {} VALUES (1, 'a')").format(table))
    query = f"SELECT msg_id, message FROM pgmq.q_{QUEUE} ORDER BY msg_id".encode()
    rights = b"""
        SELECT proc.oid::regprocedure::text, proc.proacl::text, proc.proowner::regrole::text
        FROM pg_proc AS proc
        WHERE pronamespace = ANY ('{changelane,changelane_access,pgmq_public}'::regnamespace[]) ORDER BY 1
    """
    messages, granted = conn.execute(query).fetchall(), conn.execute(rights).fetchall()
    after = declare(conn, tmp_path, SPEC)
    wrong = find_wrong(conn, after)
    assert [line.split()[0] for line in wrong] == ["outdated"] * 4
    assert sum("function" in line for line in wrong) == 3
    bring(conn, after)
    assert find_wrong(conn, after) == []
    assert conn.execute(query).fetchall() == messages
    assert len(messages) == 1
    assert conn.execute(rights).fetchall() == granted
    conn.execute(sql.SQL("INSERT INTO {} VALUES (2, 'b')").format(table))
    assert len(conn.execute(query).fetchall()) == 2
