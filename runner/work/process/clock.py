"""Sends scheduled messages. The rows that `apply` declared say what; the server's clock says when.

Each worker of a project looks at the project's schedules when the next one is due, and every few seconds for
schedules that were applied meanwhile. Which of them sends a run is decided in the database: its function
advances the schedule from the run that the worker saw, and sends in the same transaction, or does neither.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql
from changelane.contract.timing import GRACE, Timing
from changelane.errors import DatabaseError
from changelane.runner.live.transient import is_passing

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from changelane.runner.live.reconnecting import ReconnectingConnection

LOOK_EVERY = 5.0
"""Seconds from one look at the schedules to the next, at most."""

AGAIN = 30.0
"""Seconds until another look where the database refused one."""

SOONEST = 0.01
"""Seconds between two looks, at least."""

_REFUSED = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InsufficientPrivilege,
)
"""No schema ``changelane`` of this version, or no right to use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it stands. ``next_at`` None: its first run is the one after ``since``."""

    name: str
    spec: str
    cron: str | None
    every: int | None
    timezone: str
    missed: str
    since: datetime
    next_at: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """``run`` is the run to send, None for none; ``passed_over`` are missed ones that are not sent."""

    run: datetime | None
    passed_over: int
    next_at: datetime


def decide(schedule: Schedule) -> Advance | None:
    """The decision at this time: None before the next run. Raises ValueError where no run is left."""
    timing = Timing(schedule.cron, schedule.every, schedule.timezone)
    if schedule.next_at is None:
        return Advance(run=None, passed_over=0, next_at=timing.find_next(schedule.since))
    if schedule.next_at > schedule.now:
        return None
    run, passed_over = timing.find_missed(schedule.next_at, schedule.now)
    following = timing.find_next(run)
    if schedule.missed == "skip" and schedule.now - run > min(GRACE, (following - run) / 2):
        return Advance(run=None, passed_over=passed_over + 1, next_at=following)
    return Advance(run=run, passed_over=passed_over, next_at=following)


class Clock:
    """The schedules of one project. ``due_at`` is when to look at them, by ``time.monotonic``.

    ``declared`` says that the manifest has some, so that a database without them is worth a warning.
    """

    def __init__(self, *, project: str, declared: bool, log: FilteringBoundLogger) -> None:
        self.due_at = 0.0
        self._project = project
        self._declared = declared
        self._log = log
        self._said = ""

    def tick(self, reconnecting: ReconnectingConnection) -> None:
        """Send the messages that are due. A refusal of the database is logged, and repeated later."""
        wait = AGAIN
        try:
            wait = self._look(reconnecting.open())
        except _REFUSED as error:
            if self._declared:
                self._warn(f"no schedule runs: {_first_line(error)}; run `changelane apply`")
        except (psycopg.Error, DatabaseError) as error:
            if isinstance(error, psycopg.Error) and not is_passing(error):
                self._warn(f"schedules were not looked at; trying again: {_first_line(error)}")
            else:
                # Lost, or unable to write, as after a failover: another one may do.
                reconnecting.close()
                wait = LOOK_EVERY / 5
        self.due_at = time.monotonic() + wait

    def _look(self, connection: psycopg.Connection[Any]) -> float:
        """Send the messages that are due; returns the seconds until the next look."""
        with connection.cursor(row_factory=class_row(Schedule)) as cursor:
            schedules = cursor.execute(load_sql(__name__, "schedules"), [self._project]).fetchall()
        wait = LOOK_EVERY
        for schedule in schedules:
            following = self._advance(connection, schedule)
            wait = min(wait, max(SOONEST, (following - schedule.now) / timedelta(seconds=1)))
        return wait

    def _advance(self, connection: psycopg.Connection[Any], schedule: Schedule) -> datetime:
        """Advance one schedule if it is due; returns when to look at it again."""
        later = schedule.now + timedelta(seconds=AGAIN)
        try:
            advance = decide(schedule)
            if advance is None:
                return schedule.next_at or later
            values = {
                "project": self._project,
                "name": schedule.name,
                "spec": schedule.spec,
                "since": schedule.since,
                "expected": schedule.next_at,
                "run": advance.run,
                "passed_over": advance.passed_over,
                "next_at": advance.next_at,
            }
            sent = connection.execute(load_sql(__name__, "advance_schedule"), values).fetchone() == (True,)
        except (ValueError, OverflowError, KeyError) as error:
            # A zone or an expression that this installation does not know.
            self._warn(f"schedule {schedule.name} cannot be run: {error}")
            return later
        except psycopg.Error as error:
            if is_passing(error):
                raise
            # Its queue may be gone; the other schedules go on.
            self._warn(f"schedule {schedule.name} was not sent; trying again: {_first_line(error)}")
            return later
        if sent and advance.run is not None:
            self._log.debug("scheduled", schedule=schedule.name, scheduled_at=advance.run.isoformat())
        return advance.next_at

    def _warn(self, message: str) -> None:
        """Each thing once, until another comes."""
        if message != self._said:
            self._said = message
            self._log.warning(message)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
