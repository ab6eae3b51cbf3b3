"""Schedules that do not run in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import psycopg

from changelane.contract.manifest import Manifest
from changelane.contract.sql_text import load_sql
from changelane.contract.timing import Timing
from changelane.runner.doctor.finding import Finding, say_seconds
from changelane.runner.live.observe import Observed
from changelane.runner.live.schedule_runs import ScheduleStatus, list_schedules
from changelane.runner.live.schedules import can_read_schedules

_WORKERS = load_sql(__name__, "workers")

LATE = 60.0
"""Seconds after which a run that was not sent is late."""

PAUSED = 86_400.0
"""Seconds after which a paused schedule is a finding."""


def find_schedules(
    conn: psycopg.Connection[Any], manifest: Manifest, observed: Observed
) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    if not can_read_schedules(conn):
        return
    schedules = list_schedules(conn, manifest.project)
    if not schedules:
        return
    works = conn.execute(_WORKERS).fetchone() == (True,)
    for schedule in schedules:
        if schedule.paused_at is not None:
            seconds = (schedule.now - schedule.paused_at).total_seconds()
            if seconds >= PAUSED:
                yield Finding(
                    code="schedule-paused",
                    what=f"schedule {schedule.name} is paused for {say_seconds(seconds)}",
                    why="none of its runs is sent meanwhile, nor later",
                    fix=f"changelane schedule resume {schedule.name}",
                )
            continue
        yield from _find_late(schedule, works=works, gone=schedule.queue not in observed.queues)


def _find_late(schedule: ScheduleStatus, *, works: bool, gone: bool) -> Iterator[Finding]:
    timing = Timing(schedule.cron, schedule.every, schedule.timezone)
    try:
        due_at = schedule.next_at or timing.find_next(schedule.since)
        following = timing.find_next(schedule.now)
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        # This machine may know fewer time zones than the worker's machine.
        return
    late = (schedule.now - due_at).total_seconds()
    why = "any worker of the project sends due messages; until one does, nothing is sent"
    if late >= LATE and schedule.last_at is None:
        cause, fix = _explain_late(schedule, works=works, gone=gone)
        yield Finding(
            code="schedule-never-ran",
            what=f"schedule {schedule.name} never ran, and was due {say_seconds(late)} ago; {cause}",
            why=why,
            fix=fix,
        )
    elif late >= LATE:
        cause, fix = _explain_late(schedule, works=works, gone=gone)
        yield Finding(
            code="schedule-late",
            what=f"schedule {schedule.name} is late by {say_seconds(late)}; {cause}",
            why=why,
            fix=fix,
        )
    elif schedule.next_at is not None and schedule.next_at > following:
        yield Finding(
            code="schedule-ahead",
            what=f"schedule {schedule.name} waits until {schedule.next_at:%Y-%m-%d %H:%M:%S%z}, and is due "
            f"at {following:%Y-%m-%d %H:%M:%S%z}",
            why="the server's clock was ahead when its last run was sent, and was set back since",
            fix=f"wait; or changelane schedule pause {schedule.name}, then resume: it begins anew from now",
        )


def _explain_late(schedule: ScheduleStatus, *, works: bool, gone: bool) -> tuple[str, str]:
    """Why nothing was sent, as far as the database shows, and the fix."""
    if gone:
        return f"queue {schedule.queue} is gone", "changelane apply"
    if not works:
        return "no worker is up", "changelane work"
    return (
        "workers are up",
        "look for `schedule` in the log of the workers; run those of this version, of this project",
    )
