"""Pauses, resumes and runs a schedule by hand."""

from __future__ import annotations

from typing import Any

import psycopg

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.schedule_runs import ScheduleStatus, list_schedules
from changelane.suggestion import suggest


def pause(conn: psycopg.Connection[Any], project: str, name: str) -> bool:
    """Stop workers from running it; False if it is paused already.

    Raises as ``list_schedules``, and DatabaseError for an unknown name.
    """
    _find(conn, project, name)
    return bool(_call(conn, "pause", project, name))


def resume(conn: psycopg.Connection[Any], project: str, name: str) -> bool:
    """Let it run again from its next time on; False if it is not paused. Raises as ``pause``."""
    _find(conn, project, name)
    return bool(_call(conn, "resume", project, name))


def run(conn: psycopg.Connection[Any], project: str, name: str) -> tuple[int, str]:
    """Send its message now; returns the ``msg_id`` and the queue. Raises as ``pause``."""
    schedule = _find(conn, project, name)
    return int(_call(conn, "run", project, name)), schedule.queue


def _call(conn: psycopg.Connection[Any], name: str, *values: str) -> Any:
    row = conn.execute(load_sql(__name__, f"schedule/{name}"), values).fetchone()
    assert row is not None
    return row[0]


def _find(conn: psycopg.Connection[Any], project: str, name: str) -> ScheduleStatus:
    schedules = {schedule.name: schedule for schedule in list_schedules(conn, project)}
    if name in schedules:
        return schedules[name]
    fix = f"there are: {', '.join(schedules)}" if schedules else "declare it, then run `changelane apply`"
    raise DatabaseError(
        f"project {project} has no schedule {name} in this database",
        fix=suggest(name, schedules, otherwise=fix),
    )
