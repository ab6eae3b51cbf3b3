"""Compares the schedules of a manifest with those in the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from changelane.contract.manifest import Manifest, Schedule
from changelane.runner.compare.object import Object
from changelane.runner.live.schedules import ScheduleRow, Schedules


def compare_schedules(manifest: Manifest, rows: Schedules) -> Iterator[Object]:
    """Declared schedules by name, then those no longer declared."""
    declared = {schedule.name: schedule for schedule in manifest.schedules}
    for name, schedule in sorted(declared.items()):
        yield _compare(schedule, rows.get((manifest.project, name)))
    for thing in find_schedules(manifest.project, rows):
        if thing.name not in declared:
            yield thing


def _compare(schedule: Schedule, row: ScheduleRow | None) -> Object:
    def make(**facts: Any) -> Object:
        runs = describe_runs(row) if row else ""
        return Object(kind="schedule", name=schedule.name, schedule=schedule, runs=runs, **facts)

    if row is None:
        return make(state="missing", action="create")
    if row.spec != schedule.spec:
        return make(state="outdated", detail="its declaration changed", action="replace")
    wanted = (
        schedule.queue, schedule.cron, schedule.every, schedule.timezone, schedule.body, schedule.missed
    )  # fmt: skip
    if row.definition != wanted:
        return make(state="drifted", detail="its row was changed", action="replace")
    return make(state="ok")


def describe_runs(row: ScheduleRow) -> str:
    """The last and the next run in words, in UTC to the second."""
    last = f"last run {_show(row.last_at)}" if row.last_at else "never ran"
    if row.paused:
        return f"paused; {last}"
    following = f"next {_show(row.next_at)}" if row.next_at else "next: once a worker is up"
    return f"{following}; {last}"


def _show(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def find_schedules(project: str, rows: Schedules) -> Iterator[Object]:
    """All schedules of a project, as objects to drop."""
    for row in rows.values():
        if row.project == project:
            yield Object(
                kind="schedule",
                name=row.name,
                state="orphaned",
                detail=f"still sends to {row.queue}",
                action="drop",
                runs=describe_runs(row),
            )
