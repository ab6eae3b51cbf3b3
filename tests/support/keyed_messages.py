"""Messages of queue jobs as capture functions write them where a consumer works by keys."""

from __future__ import annotations

import json
from typing import Any

import psycopg

INDEX = """
    CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)
"""
SEND = """
    INSERT INTO pgmq.q_jobs (vt, message, headers)
    VALUES (clock_timestamp() + %(delay)s * interval '1 second', %(message)s::jsonb, %(headers)s::jsonb)
    RETURNING msg_id
"""
AT = "2026-11-22T18:54:03+00:00"

Row = dict[str, Any]


def send(
    conn: psycopg.Connection[Any],
    op: str,
    key: int,
    *,
    old: Row | None = None,
    new: Row | None = None,
    route: str | None = "things",
    table: str = "things",
    delay: float = 0.0,
    **more: Any,
) -> int:
    """Send a message as a capture function would; without ``route``, as a client would."""
    message = {"op": op, "schema": "public", "table": table, "key": {"id": key}, "old": old, "new": new}
    message |= {"txid": "7", "at": AT, **more}
    headers = {"x-pgmq-group": json.dumps({"id": key}), **({"route": route} if route else {})}
    values = {"delay": delay, "message": json.dumps(message), "headers": json.dumps(headers)}
    row = conn.execute(SEND, values).fetchone()
    assert row is not None
    return int(row[0])
