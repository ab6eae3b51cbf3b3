"""Reads the rights on queues that were there before a project's access, which `apply` notes in schema
``changelane``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql

NO_ROW_SECURITY = "NO ROW SECURITY"
"""In place of a privilege: row security of the table was off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRight:
    """A right that ``role`` had on ``relation``, or PUBLIC if ``role`` is empty. ``relation`` is SQL, such as
    ``TABLE pgmq.q_jobs``. An empty ``column`` is the whole relation. ``there``: the role exists.
    """

    project: str
    queue: str
    role: str
    relation: str
    privilege: str
    column: str
    grantable: bool
    there: bool = True


def observe_found_rights(conn: psycopg.Connection[Any]) -> list[FoundRight]:
    """Every note of every project; none if the role may not read them. Raises psycopg.Error."""
    if conn.execute(load_sql(__name__, "sees_found_rights")).fetchone() != (True,):
        return []
    with conn.cursor(row_factory=class_row(FoundRight)) as cursor:
        return cursor.execute(load_sql(__name__, "found_rights")).fetchall()
