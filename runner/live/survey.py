"""Reads the sizes of the live tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

_QUERY = Path(__file__).parent / "sql" / "survey.sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
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
    return conn.execute((_QUERY.parent / "can_own.sql").read_bytes(), [role]).fetchone() == (True,)


def survey(conn: psycopg.Connection[Any]) -> list[Extent]:
    """The sizes of all tables outside system schemas, by schema and name. Raises psycopg.Error."""
    with conn.cursor(row_factory=class_row(Extent)) as cursor:
        return cursor.execute(_QUERY.read_bytes()).fetchall()
