"""Findings on vacuum: dead rows in queues, archives and dead letters, and tables never vacuumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from changelane.contract.manifest import Manifest
from changelane.contract.queue_name import archive_table, queue_table
from changelane.contract.sql_text import load_sql
from changelane.runner.doctor.finding import Finding, say_bytes, say_seconds
from changelane.runner.live.observe import Observed
from changelane.runner.live.queue_tables import Table

_TABLES = load_sql(__name__, "tables")
_AUTOVACUUM = load_sql(__name__, "autovacuum")

DEAD = 50_000
"""Dead rows that a table may hold, in addition to one for each live row."""

LARGE = 64 * 2**20
"""Bytes from which on a table or its indexes can count as bloated."""

PER_ROW = 16 * 1024
"""Bytes of the table for each row. No row needs as much, because long values are stored apart (TOAST)."""

PER_ENTRY = 1024
"""Bytes of all indexes for each live row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """``size`` and ``indexes`` are in bytes. ``vacuumed`` is in seconds since the last vacuum, None if there
    was none.
    """

    name: str
    live: int
    dead: int
    size: int
    indexes: int
    enabled: bool
    vacuumed: float | None

    @property
    def identifier(self) -> str:
        return Table(self.name).as_string()


def find_upkeep(conn: psycopg.Connection[Any], manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    row = conn.execute(_AUTOVACUUM).fetchone()
    if row is not None and not row[0]:
        yield Finding(
            code="autovacuum-off",
            what="autovacuum is off for the whole server",
            why="every message leaves dead rows, which nothing removes",
            fix="ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf()",
        )
    elif row is not None and not row[1]:
        yield Finding(
            code="statistics-off",
            what="track_counts is off",
            why="autovacuum cannot count dead rows, and never runs",
            fix="ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf()",
        )
    names = [
        spell(queue.name)
        for queue in manifest.queues
        if queue.name in observed.queues
        for spell in (queue_table, archive_table)
    ]
    with conn.cursor(row_factory=class_row(_Table)) as cursor:
        tables = cursor.execute(_TABLES, {"names": names}).fetchall()
    for table in tables:
        yield from _judge(table)


def _judge(table: _Table) -> Iterator[Finding]:
    if not table.enabled:
        yield Finding(
            code="autovacuum-off",
            what=f"autovacuum is off for pgmq.{table.name}",
            why="every message leaves dead rows, which nothing removes",
            fix=f"ALTER TABLE {table.identifier} RESET (autovacuum_enabled)",
        )
    if table.dead > DEAD + table.live:
        last = "never" if table.vacuumed is None else f"{say_seconds(table.vacuumed)} ago"
        yield Finding(
            code="dead-rows",
            what=f"pgmq.{table.name} holds {table.dead:,} dead rows beside {table.live:,} live ones; "
            f"vacuum came {last}",
            why="claims step over dead rows, and the table grows",
            fix=f"first fix findings on old snapshots, then VACUUM (ANALYZE) {table.identifier}",
        )
    if table.size > LARGE and table.size > PER_ROW * (table.live + table.dead):
        yield Finding(
            code="table-bloated",
            what=f"pgmq.{table.name} takes {say_bytes(table.size)} for {table.live:,} messages",
            why="full scans read mostly empty pages, and the disk space is lost",
            fix=f"VACUUM {table.identifier} gives back free pages at its end; "
            f"VACUUM (FULL) {table.identifier} all, while writers wait",
        )
    if table.indexes > LARGE and table.indexes > PER_ENTRY * (table.live + table.dead):
        yield Finding(
            code="indexes-bloated",
            what=f"the indexes of pgmq.{table.name} take {say_bytes(table.indexes)} "
            f"for {table.live:,} messages",
            why="claims read almost empty pages",
            fix=f"REINDEX TABLE CONCURRENTLY {table.identifier}",
        )
