"""When a schedule runs: a cron expression in a time zone, or an interval. Pure; instants are in UTC.

A run time is a time on the wall of its zone. Where daylight saving skips it, the run is at the first moment
after the gap; where daylight saving repeats it, the run is at the first of both. An expression whose hours
are all of the day runs by elapsed time instead: it has no run in a gap, and one in each repetition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

LONGEST = 200
"""Characters of an expression."""

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

COUNTED = 1000
"""Missed runs of a cron expression that are counted one by one; beyond these, only the last is looked for."""

GRACE = timedelta(seconds=60)
"""How late a run may be, at most, before ``missed: skip`` leaves it out."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_LONGEST_SHIFT = timedelta(hours=3)
"""No zone was put back by as much at once since 1970, except at changes of the date line."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields. ``names`` are the names that stand for numbers, from ``lowest`` on."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field(
        "month", 1, 12,
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    ),
    Field("day of the week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)  # fmt: skip


class CronError(ValueError):
    """An invalid expression. ``offset`` and ``length`` locate the fault, ``field`` is one of the five."""

    def __init__(self, what: str, *, offset: int, length: int, term: str, field: Field | None = None) -> None:
        super().__init__(what)
        self.offset = offset
        self.length = length
        self.term = term
        self.field = field


def check_cron(expression: str) -> None:
    """Raise CronError for the first thing that is wrong, or where no time ever matches."""
    size = len(expression)
    if len(expression) > LONGEST:
        raise CronError(f"is longer than {LONGEST} characters", offset=0, length=size, term="")
    if expression.startswith("@"):
        if expression.lower() not in MACROS:
            raise CronError("is no known name", offset=0, length=size, term=expression)
        return
    fields = list(re.finditer(r"\S+", expression))
    if len(fields) != len(FIELDS):
        raise CronError(
            f"has {len(fields)} field{'s' if len(fields) != 1 else ''}, and needs 5",
            offset=0,
            length=size,
            term="",
        )
    for place, (found, field) in enumerate(zip(fields, FIELDS, strict=True)):
        offset = found.start()
        for term in found[0].split(","):
            others = ["*"] * len(FIELDS)
            others[place] = term or ","
            if not _parses(" ".join(others)):
                raise CronError("is wrong", offset=offset, length=max(len(term), 1), term=term, field=field)
            offset += len(term) + 1
    days = fields[2]
    try:
        next(CronSim(expression, datetime(2000, 1, 1)))
    except (CronSimError, StopIteration):
        raise CronError(
            "never comes",
            offset=days.start(),
            length=fields[4].end() - days.start(),
            term=expression[days.start() : fields[4].end()],
        ) from None


def _parses(expression: str) -> bool:
    try:
        CronSim(expression, datetime(2000, 1, 1))
    except CronSimError:
        return False
    return True


@dataclass(frozen=True)
class Timing:
    """Either ``cron``, a valid expression, or ``every``, whole seconds from 1970-01-01 00:00 UTC on."""

    cron: str | None
    every: int | None
    timezone: str = "UTC"

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def find_next(self, after: datetime) -> datetime:
        """The first run later than ``after``. Raises ValueError after the last run, near the year 9999."""
        if self.every is not None:
            interval = timedelta(seconds=self.every)
            return _EPOCH + ((after - _EPOCH) // interval + 1) * interval
        return next(self._list_runs(after))

    def find_missed(self, first: datetime, now: datetime) -> tuple[datetime, int]:
        """Of the runs from ``first`` to ``now``: the last one, and how many were before it.

        Counts to ``COUNTED`` where they are a cron expression's.
        """
        if self.every is not None:
            passed = max(0, (now - first) // timedelta(seconds=self.every))
            return first + passed * timedelta(seconds=self.every), passed
        last, passed = first, 0
        for following in self._list_runs(first):
            if following > now:
                return last, passed
            if passed == COUNTED:
                return self._find_last(first, now), passed
            last, passed = following, passed + 1
        return last, passed

    def _find_last(self, first: datetime, now: datetime) -> datetime:
        """The last run up to ``now``, in windows that double until one holds a run."""
        window = _MINUTE
        while True:
            start = max(first, now - window)
            found = first
            for run in self._list_runs(start):
                if run > now:
                    break
                found = run
            if found > first or start == first:
                return found
            window *= 2

    def _list_runs(self, after: datetime) -> Iterator[datetime]:
        """Runs later than ``after``, in their order."""
        assert self.cron is not None
        expression = MACROS.get(self.cron.lower(), self.cron)
        repeats = _covers_day(expression.split()[1])
        # Earlier times on the wall may come again, later than ``after``.
        start = after.astimezone(self._zone).replace(tzinfo=None) - _LONGEST_SHIFT
        last, again = after, list[datetime]()
        for wall in CronSim(expression, start):
            run = self._place(wall)
            due = []
            while again and again[0] < run:
                due.append(heappop(again))
            if repeats:
                first, second = self._read(wall)
                if second > first:
                    heappush(again, second)
                if second >= first:
                    due.append(run)
            else:
                due.append(run)
            for one in due:
                if one > last:
                    last = one
                    yield one
        raise ValueError(f"{self.cron} has no run after {after}")

    def _read(self, wall: datetime) -> tuple[datetime, datetime]:
        """Both instants of a wall time, equal unless it comes twice. In a gap, the second is earlier."""
        first = wall.replace(tzinfo=self._zone).astimezone(UTC)
        return first, wall.replace(tzinfo=self._zone, fold=1).astimezone(UTC)

    def _place(self, wall: datetime) -> datetime:
        """The instant of a time on the wall: the first of two, or the end of the gap that skips it."""
        early, late = self._read(wall)
        if early <= late:
            return early
        # In a gap both are wrong, one on each side of it. Zones change at whole seconds.
        offset = late.astimezone(self._zone).utcoffset()
        before, after = late, early
        while after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
            if middle.astimezone(self._zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after


def _covers_day(hours: str) -> bool:
    """Whether an hours field names every hour. Asked of the library: it knows what a term means."""
    if hours == "*":
        return True
    return len(CronSim(f"0 {hours} * * *", datetime(2000, 1, 1)).hours) == 24
