"""The handler that keeps a replica of pgbench's tables; their changes may arrive in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from tables import TABLES

from changelane import Change

_UPSERT = (Path(__file__).parent / "sql" / "upsert.sql").read_text("utf-8")
UPSERTS = {table.source: table.format(_UPSERT) for table in TABLES}
BLANKS = {table.source: dict.fromkeys(table.columns) for table in TABLES}
LOG = "INSERT INTO replica.handled (queue, msg_id, captured_in, attempt) VALUES (%s, %s, %s, %s)"


def keep(changes: list[Change], tx: psycopg.Connection[Any]) -> None:
    """Bring the replica's rows to what the changes of one table say, unless a newer change did already.

    Several workers handle changes of one row in any order. The row's lock is held from the change to its
    commit, so a row's changes carry ascending msg_ids: the replica keeps the newest one's as ``version``, and
    older ones are passed over. A deleted row stays, as a tombstone: without its version, an older update
    that comes after the delete would bring the row back.

    Rows are written in the order of their keys, so that two workers wait for each other but never both ways.
    """
    upsert, blank = UPSERTS[changes[0].table], BLANKS[changes[0].table]
    ordered = sorted(changes, key=lambda change: (*(change.key or {}).values(), change.msg_id))
    rows = [
        {**blank, **(change.new or change.key or {}), "version": change.msg_id, "deleted": change.new is None}
        for change in ordered
    ]
    with tx.cursor() as cursor:
        cursor.executemany(upsert, rows)
        cursor.executemany(
            LOG, [(change.queue, change.msg_id, change.txid, change.attempt) for change in changes]
        )
