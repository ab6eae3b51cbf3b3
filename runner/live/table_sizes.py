"""Reads the sizes of the live tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """A table's size. ``rows`` is the planner's estimate, -1 without one; ``bytes`` includes indexes and
    TOAST; ``partitions`` is the number of partitions that hold rows.
    """

    schema: str
    name: str
    rows: int
    bytes: int
    partitions: int


def can_own(conn: psycopg.Connection[Any], role: str) -> bool:
    """Whether the session's role could let this role own capture functions. Raises psycopg.Error."""
    return conn.execute(load_sql(__name__, "can_own"), [role]).fetchone() == (True,)


def measure_tables(conn: psycopg.Connection[Any]) -> list[TableSize]:
    """The sizes of all tables outside system schemas, by schema and name. Raises psycopg.Error."""
    with conn.cursor(row_factory=class_row(TableSize)) as cursor:
        return cursor.execute(load_sql(__name__, "survey")).fetchall()
