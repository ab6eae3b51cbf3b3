"""Deletes all messages of a queue in batches, so that neither senders nor workers wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.sql_text import load_sql
from changelane.runner.queue.identity import Queue

BATCH = 10_000


def purge(conn: psycopg.Connection[Any], queue: Queue, *, batch: int = BATCH) -> Iterator[int]:
    """Delete the present messages, leased ones too; yields how many each transaction deleted.

    Messages sent meanwhile stay, as do the archive and the dead letters. ``conn`` is in autocommit. Raises
    psycopg.Error.
    """
    last = conn.execute(sql.SQL(load_sql(__name__, "purge/last")).format(queue=queue.table)).fetchone()
    query = sql.SQL(load_sql(__name__, "purge/batch")).format(queue=queue.table)
    after = 0
    while last is not None and last[0] is not None:
        row = conn.execute(query, {"after": after, "last": last[0], "batch": batch}).fetchone()
        if row is None or row[1] is None:
            return
        deleted, after = row
        yield deleted
