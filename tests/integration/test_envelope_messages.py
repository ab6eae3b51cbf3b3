"""The messages that tests/test_envelopes.py formats are those that a real server captures.

They hold every type of docs/types.md and every operation, a replay, a row that was cut to its key, and an
outbox. What differs from run to run, ids, transactions and times, is replaced by what is always the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.command_line import RunChangelane
from support.deployment import bring, declare
from support.every_type import CONTRIB, SETUP, list_short

GOLDEN = Path(__file__).parents[1] / "envelopes" / "messages.json"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SPEC = """
version: 1
project: formats
queues: {types: {archive: {keep: 30 days}}, changed: {}, small: {}, outbox: {}, bare: {}}
routes:
  - {name: types, table: app.types, queue: types, events: [insert, update, delete, truncate]}
  - name: changed
    table: app.types
    queue: changed
    events: [update, delete]
    payload: {old: changed, extra: {x-hasura-user-id: "upper(op)", cause: "lower(op)"}}
  - name: small
    table: app.small
    queue: small
    events: [insert, update, delete]
    payload: {max_bytes: 300 B}
  - {name: outbox, table: app.outbox, queue: outbox, events: [insert, update, delete]}
  - {name: bare, table: app.bare, queue: bare, events: [insert, delete], payload: {old: none}}
"""
CHANGES = (
    "INSERT INTO app.types SELECT * FROM app.source WHERE id < 3",
    'UPDATE app.types SET "boolean" = NOT "boolean", "text" = \'ö "quoted" \\ %\' WHERE id = 1',
    "DELETE FROM app.types WHERE id = 2",
    "INSERT INTO app.small VALUES (1, 'é', repeat('x', 500))",
    "UPDATE app.small SET v = repeat('y', 500)",
    "DELETE FROM app.small",
    "INSERT INTO app.outbox VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'order', '7', 'paid',"
    """ '{"total": 1.50, "note": "ü"}')""",
    "UPDATE app.outbox SET type = 'late'",
    "DELETE FROM app.outbox",
    "INSERT INTO app.bare VALUES (1, 'a')",
    "DELETE FROM app.bare",
)


@pytest.fixture
def captured(
    conn: psycopg.Connection[Any], run_changelane: RunChangelane, tmp_path: Path
) -> list[dict[str, Any]]:
    """Every message, with its queue and headers, as the columns hold them."""
    conn.execute("CREATE SCHEMA app; SET search_path = app, public")
    for extension in {name for _, name in CONTRIB.values()} | {"hstore"}:
        conn.execute(sql.SQL("CREATE EXTENSION {} SCHEMA public").format(sql.Identifier(extension)))
    for statement in SETUP:
        conn.execute(statement.encode())
    types = list_short()
    columns = ", ".join(f'"{name.replace(chr(34), "")}" {name}' for name in types)
    conn.execute(f"CREATE TABLE source (id int PRIMARY KEY, {columns})".encode())
    for number in (0, 1):
        values = ", ".join(f"({pair[number]})::{name}" for name, pair in types.items())
        conn.execute(f"INSERT INTO source VALUES ({number + 1}, {values})".encode())
    conn.execute("INSERT INTO source (id) VALUES (3)")
    conn.execute("CREATE TABLE types (LIKE source INCLUDING ALL)")
    conn.execute("CREATE TABLE small (id int, tenant text, v text, PRIMARY KEY (id, tenant))")
    conn.execute(
        "CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text,"
        " payload jsonb)"
    )
    conn.execute("CREATE TABLE bare (id int PRIMARY KEY, v text)")
    bring(conn, declare(conn, tmp_path, SPEC))
    for number, change in enumerate(CHANGES):
        conn.execute("SELECT set_config('changelane.traceparent', %s, false)", [TRACE if number == 0 else ""])
        conn.execute(change.encode())
    conn.execute("SELECT pgmq.archive('types', 1)")
    for command in (
        ["backfill", "types", "--where", "new.id = 1"],
        ["replay", "types", "--since", "1h", "--yes"],
    ):
        done = run_changelane(*command)
        assert done.returncode == 0, done.stderr
    conn.execute("TRUNCATE types")
    found = []
    for queue in ("types", "changed", "small", "outbox", "bare"):
        query = f"SELECT message::text, headers::text FROM pgmq.q_{queue} ORDER BY msg_id"
        for text, headers in conn.execute(query.encode()).fetchall():
            found.append({"queue": queue, "text": text, "headers": json.loads(headers)})
    return found


def settle(number: int, message: dict[str, Any]) -> dict[str, Any]:
    """The message with an id, a transaction and a time that are the same in each run."""
    body = json.loads(message["text"])
    text = message["text"]
    for name, value in (("id", f"{number}-17"), ("txid", "4711"), ("at", "2026-11-22T18:54:03.120311+00:00")):
        text = text.replace(f'"{name}": "{body[name]}"', f'"{name}": "{value}"')
    return {**message, "text": text}


def test_the_messages_of_the_format_tests_equal_captured_ones(
    captured: list[dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    settled = [settle(number, message) for number, message in enumerate(captured, start=1)]
    operations = {json.loads(message["text"])["op"] for message in settled}
    assert operations == {"insert", "update", "delete", "truncate", "snapshot"}
    if request.config.getoption("--update-golden"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(settled, indent=1, ensure_ascii=False) + "\n")
    assert settled == json.loads(GOLDEN.read_text())
