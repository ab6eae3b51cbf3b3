"""Reads the rows of schedules of all projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """A row of ``changelane.schedules``. ``writable``: the role may write that table."""

    project: str
    name: str
    queue: str
    cron: str | None
    every: int | None
    timezone: str
    body: Any
    missed: str
    spec: str
    paused: bool = False
    next_at: datetime | None = None
    last_at: datetime | None = None
    writable: bool = True

    @property
    def definition(self) -> tuple[object, ...]:
        return (self.queue, self.cron, self.every, self.timezone, self.body, self.missed)


Schedules = Mapping[tuple[str, str], ScheduleRow]
"""Rows by project and name, of all projects."""


def observe_schedules(conn: psycopg.Connection[Any]) -> Schedules:
    """Every row that the role may see; none if the table does not exist yet. Raises psycopg.Error."""
    if not can_read_schedules(conn):
        return {}
    with conn.cursor(row_factory=class_row(ScheduleRow)) as cursor:
        rows = cursor.execute(load_sql(__name__, "observe_schedules")).fetchall()
    return {(row.project, row.name): row for row in rows}


def can_read_schedules(conn: psycopg.Connection[Any]) -> bool:
    """Whether the table exists and the role may read it. Raises psycopg.Error."""
    return conn.execute(load_sql(__name__, "can_read_schedules")).fetchone() == (True,)
