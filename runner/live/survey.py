"""How large the tables of the live schema are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

_QUERY = Path(__file__).parent / "sql" / "survey.sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """A table's size. ``rows`` is the planner's estimate, -1 where it has none; ``bytes`` with indexes and
    TOAST; ``partitions`` is how many hold rows of a partitioned table.
    """

    schema: str
    name: str
    rows: int
    bytes: int
    partitions: int


def can_own(conn: psycopg.Connection[Any], role: str) -> bool:
    """Whether the session's role could let this one own capture functions. Raises psycopg.Error."""
    return conn.execute((_QUERY.parent / "can_own.sql").read_bytes(), [role]).fetchone() == (True,)


def survey(conn: psycopg.Connection[Any]) -> list[Extent]:
    """The extents of all tables outside system schemas, by schema and name. Raises psycopg.Error."""
    with conn.cursor(row_factory=class_row(Extent)) as cursor:
        return cursor.execute(_QUERY.read_bytes()).fetchall()
