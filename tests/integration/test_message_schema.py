"""Messages, from capture to replay, against the published schema and the names of the envelope."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jsonschema import Draft7Validator
from support.captures import WAYS, name_way
from support.command_line import RunChangelane
from support.deployment import bring, declare

from changelane.contract.envelope import GROUP, HEADERS, KEY_CHANGE, OPERATIONS, REPLAYED_FROM, ROUTE
from changelane.runner.queue.delivery import read_change, read_delivery

SCHEMA = Path(__file__).parents[2] / "schema" / "message.schema.json"
SPEC = """
version: 1
project: names
queues: {{events: {{archive: {{keep: 30 days}}}}}}
routes:
  - {{name: things, table: app.t, queue: events, capture: {capture}, send: {send},
     events: [insert, update, delete{truncate}], payload: {{extra: {{cause: "lower(op)"}}}}}}
consumers:
  events: {{handler: "handlers:handle", ordering: key}}
"""
CHANGES = (
    "INSERT INTO app.t VALUES (1, 'a')",
    "INSERT INTO app.t SELECT n, 'b' FROM generate_series(2, 20) AS n",
    "UPDATE app.t SET v = 'c' WHERE id = 1",
    "UPDATE app.t SET v = 'd' WHERE id < 10",
    "UPDATE app.t SET id = -id WHERE id = 7",
    "UPDATE app.t SET id = -id WHERE id BETWEEN 10 AND 12",
    "INSERT INTO app.t VALUES (2000, repeat('x', 20000000))",
    "UPDATE app.t SET v = 'e' WHERE id = 2000",
    "DELETE FROM app.t WHERE id > 15",
)


@pytest.mark.parametrize("way", WAYS, ids=name_way)
def test_each_message_is_as_the_schema_says_and_decodes_to_a_change(
    conn: psycopg.Connection[Any], run_changelane: RunChangelane, tmp_path: Path, way: dict[str, str]
) -> None:
    conn.execute("CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, v text)")
    truncate = ", truncate" if way["capture"] == "statement" else ""
    bring(conn, declare(conn, tmp_path, SPEC.format(**way, truncate=truncate)))
    conn.execute("SET changelane.traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'")
    for statement in CHANGES:
        conn.execute(statement.encode())
    done = run_changelane("backfill", "things")
    assert done.returncode == 0, done.stderr
    conn.execute("TRUNCATE app.t")
    conn.execute("SELECT pgmq.archive('events', msg_id) FROM pgmq.q_events WHERE msg_id <= 3")
    done = run_changelane("replay", "events", "--since", "1h", "--yes")
    assert done.returncode == 0, done.stderr

    rows = conn.execute(
        "SELECT msg_id, message::text, headers::text FROM pgmq.q_events ORDER BY 1"
    ).fetchall()
    validator = Draft7Validator(json.loads(SCHEMA.read_text()))
    seen: dict[str, int] = {}
    for msg_id, text, headers in rows:
        message, head = json.loads(text), json.loads(headers)
        assert list(validator.iter_errors(message)) == []
        assert ("extra" in message) == ("truncated" not in message)
        assert set(head) <= set(HEADERS)
        assert head[ROUTE] == "things"
        assert (GROUP in head) == (message["op"] not in ("truncate",))
        delivery = read_delivery(
            queue="events", msg_id=msg_id, read_ct=1, message=text, headers=headers, leased_until=0
        )
        change = read_change(delivery)
        assert change.at == datetime.fromisoformat(message["at"])
        assert {name: getattr(change, name) for name in message} == {**message, "at": change.at}
        for name in (message["op"], *head, *(["truncated"] if change.truncated else [])):
            seen[name] = seen.get(name, 0) + 1
    assert set(seen) >= set(OPERATIONS) - ({"truncate"} if way["capture"] == "row" else set())
    # A changed key is two messages, each with both keys.
    assert seen[KEY_CHANGE] == 8
    assert seen[REPLAYED_FROM] == 3
    assert seen["truncated"] >= 2
