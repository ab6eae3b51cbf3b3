"""Hypertables of TimescaleDB, and the chunks that hold their rows, from TimescaleDB's own catalog.

TimescaleDB copies a row trigger of a hypertable onto every chunk under the same name. To Postgres the copies
are triggers of ordinary tables that inherit from the hypertable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from changelane.contract.selection import Identity
from changelane.contract.sql_text import load_sql

_DETECT = load_sql(__name__, "timescale_detect")
_CHUNKS = load_sql(__name__, "timescale_chunks")


@dataclass(frozen=True, slots=True)
class Timescale:
    """``hypertables`` by schema and name; ``chunks`` maps each chunk to its hypertable."""

    hypertables: frozenset[Identity] = frozenset()
    chunks: Mapping[Identity, Identity] = field(default_factory=dict)

    def amend(self, tables: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The rows of a catalog without chunks, and with hypertables marked as such."""
        return [
            {
                **table,
                "kind": "hypertable" if _identify(table) in self.hypertables else table["kind"],
                "inherited_by": [child for child in table["inherited_by"] if tuple(child) not in self.chunks],
            }
            for table in tables
            if _identify(table) not in self.chunks
        ]


def observe_timescale(conn: psycopg.Connection[Any]) -> Timescale:
    """In the connection's open transaction; empty without TimescaleDB. Raises psycopg.Error."""
    row = conn.execute(_DETECT).fetchone()
    if row is None or not row[0]:
        return Timescale()
    rows = conn.execute(_CHUNKS).fetchall()
    return Timescale(
        hypertables=frozenset((schema, table) for schema, table, _, _ in rows),
        chunks={(chunk, name): (schema, table) for schema, table, chunk, name in rows if chunk is not None},
    )


def _identify(table: Mapping[str, Any]) -> Identity:
    return (table["schema"], table["name"])
