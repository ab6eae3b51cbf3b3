"""Sequences that are behind the ids in their tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.queue_name import archive_table, queue_table
from changelane.contract.sql_text import load_sql
from changelane.runner.doctor.finding import Finding
from changelane.runner.live.queue_tables import Table

_SEQUENCES = load_sql(__name__, "sequences")
_ARCHIVES = load_sql(__name__, "archives")
_LARGEST = sql.SQL(load_sql(__name__, "largest"))


def find_ids(conn: psycopg.Connection[Any], queues: Sequence[str]) -> Iterator[Finding]:
    """Checks the queues that the role may read. Reads in the connection's open transaction."""
    archived = {row[0] for row in conn.execute(_ARCHIVES, [list(queues)]).fetchall()}
    for name, sequence, last in conn.execute(_SEQUENCES, [list(queues)]).fetchall():
        tables = [queue_table(name), *([archive_table(name)] if name in archived else [])]
        largest = {table: _find_largest(conn, table) for table in tables}
        table = max(tables, key=largest.__getitem__)
        if largest[table] <= last:
            continue
        in_queue = table == queue_table(name)
        yield Finding(
            code="ids-again",
            what=f"sequence {sequence} gave {last} last, and pgmq.{table} holds message {largest[table]}",
            why="sending fails at the next id that is in use, and the application's write fails with it"
            if in_queue
            else "ids repeat: a message whose id is in use in the archive is archived under another id",
            fix=f"SELECT setval({sql.Literal(sequence).as_string()}, {largest[table]})",
        )


def _find_largest(conn: psycopg.Connection[Any], table: str) -> int:
    row = conn.execute(_LARGEST.format(table=Table(table))).fetchone()
    return row[0] if row and row[0] is not None else 0
