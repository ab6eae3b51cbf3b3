"""A glob over schema ``app``, applied, and what it sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from changelane.runner.apply.plan import plan
from changelane.runner.doctor.examine import examine
from changelane.runner.live.observe import observe
from support.deployment import Declared, bring, declare, find_wrong

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues: {events: {}}
routes:
  - name: all
    tables: ["app.*"]
    events: [insert, update, delete]
    queue: events
"""
NAMED = SPEC.replace('tables: ["app.*"]', "table: app.a")
ATTACH = "ALTER TABLE app.p ATTACH PARTITION app.a FOR VALUES FROM (10) TO (20)"


def apply_glob(conn: Connection, folder: Path) -> Declared:
    conn.execute(
        "CREATE SCHEMA app; CREATE SCHEMA attic;"
        "CREATE TABLE app.a (id int PRIMARY KEY, v text); CREATE TABLE app.b (id int PRIMARY KEY, v text);"
        "CREATE TABLE app.p (id int, v text) PARTITION BY RANGE (id);"
        "CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES FROM (0) TO (10)"
    )
    declared = declare(conn, folder, SPEC)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    assert examine(conn, declared.manifest) == []
    return declared


def read(conn: Connection) -> list[tuple[Any, ...]]:
    """(op, table, id) of every message since the last call."""
    rows = conn.execute(
        "DELETE FROM pgmq.q_events RETURNING msg_id, message->>'op', message->>'table',"
        " coalesce(message->'new'->>'id', message->'old'->>'id')"
    ).fetchall()
    return [row[1:] for row in sorted(rows)]


def tell(conn: Connection, declared: Declared) -> dict[str, str]:
    """The detail of each object that is not ok, by its state and name."""
    objects = plan(declared.manifest, observe(conn, declared.manifest)).objects
    return {f"{thing.state} {thing}": thing.detail for thing in objects if thing.state != "ok"}
