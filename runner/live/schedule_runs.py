"""Reads the schedules of a project: the last and the next run of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.schedules import can_read_schedules

_LIST = load_sql(__name__, "schedule_runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """``late`` is the number of seconds since the next run was due. ``last_at`` is the time of the last run,
    ``sent_at`` when it was sent. ``passed_over`` counts missed runs that are not sent.
    """

    name: str
    queue: str
    cron: str | None
    every: int | None
    timezone: str
    missed: str
    since: datetime
    next_at: datetime | None
    last_at: datetime | None
    sent_at: datetime | None
    runs: int
    passed_over: int
    paused_at: datetime | None
    now: datetime
    late: float

    @property
    def times(self) -> str:
        """The times of the schedule in words."""
        if self.every is not None:
            return f"every {self.every} s"
        return f"{self.cron} {self.timezone}"


def list_schedules(conn: psycopg.Connection[Any], project: str) -> list[ScheduleStatus]:
    """The schedules by name. Raises DatabaseError if the database has no schedules yet; psycopg.Error."""
    if not can_read_schedules(conn):
        raise DatabaseError(
            "the database has no schema changelane that holds schedules, or not for this role",
            fix="run `changelane apply`; or GRANT USAGE ON SCHEMA changelane to the role",
        )
    with conn.cursor(row_factory=class_row(ScheduleStatus)) as cursor:
        return cursor.execute(_LIST, [project]).fetchall()
