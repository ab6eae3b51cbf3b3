"""``changelane schedule``: look at schedules, pause and resume them, run one now."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from changelane.cli import Settings
from changelane.commands.names import complete_schedule
from changelane.commands.output import say
from changelane.contract.manifest import load_manifest
from changelane.runner.live.schedule_runs import ScheduleStatus, list_schedules
from changelane.runner.live.session import reach
from changelane.runner.operate.schedule import pause, resume, run
from changelane.text import align


@click.group
def command() -> None:
    """Look at the project's schedules, pause and resume them, or run one now."""


@command.command(name="list")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def list_(settings: Settings, *, form: str) -> None:
    """List schedules, one line each: name, when it runs, queue, last and next run, number of runs. Times are
    in UTC.
    """
    project = load_manifest(settings.out).project
    with reach(settings.database_url, doing="list schedules") as conn:
        schedules = list_schedules(conn, project)
    if form == "json":
        rows = [to_row(schedule) for schedule in schedules]
        click.echo(json.dumps({"format_version": 1, "schedules": rows}, indent=2))
        return
    if not schedules:
        say("No schedules.", err=True)
        return
    head = ("name", "runs at", "queue", "last run", "next run", "runs")
    for line in align([head, *map(render, schedules)]):
        say(line)


@command.command(name="pause")
@click.argument("name", shell_complete=complete_schedule)
@click.pass_obj
def pause_(settings: Settings, name: str) -> None:
    """Stop workers from running NAME until it is resumed. Runs missed meanwhile are not made up for."""
    project = load_manifest(settings.out).project
    with reach(settings.database_url, doing="pause the schedule") as conn:
        changed = pause(conn, project, name)
    say(f"Schedule {name} is paused." if changed else f"Schedule {name} was paused already.")


@command.command(name="resume")
@click.argument("name", shell_complete=complete_schedule)
@click.pass_obj
def resume_(settings: Settings, name: str) -> None:
    """Let NAME run again, from its next time on."""
    project = load_manifest(settings.out).project
    with reach(settings.database_url, doing="resume the schedule") as conn:
        changed = resume(conn, project, name)
    say(f"Schedule {name} runs again." if changed else f"Schedule {name} was not paused.")


@command.command(name="run")
@click.argument("name", shell_complete=complete_schedule)
@click.pass_obj
def run_(settings: Settings, name: str) -> None:
    """Send NAME's message now, even if it is paused. Its next run stays as it is."""
    project = load_manifest(settings.out).project
    with reach(settings.database_url, doing="run the schedule") as conn:
        msg_id, queue = run(conn, project, name)
    say(f"Sent as message {msg_id} to queue {queue}.")


def to_row(schedule: ScheduleStatus) -> dict[str, object]:
    """A schedule as a JSON-able record."""
    return {
        "name": schedule.name,
        "queue": schedule.queue,
        "cron": schedule.cron,
        "every": schedule.every,
        "timezone": schedule.timezone,
        "missed": schedule.missed,
        "paused": schedule.paused_at is not None,
        "last_run": schedule.last_at and schedule.last_at.isoformat(),
        "next_run": schedule.next_at and schedule.next_at.isoformat(),
        "runs": schedule.runs,
        "passed_over": schedule.passed_over,
    }


def render(schedule: ScheduleStatus) -> tuple[str, ...]:
    following = "paused" if schedule.paused_at else show(schedule.next_at) or "once a worker is up"
    last = show(schedule.last_at) or "never"
    return (schedule.name, schedule.times, schedule.queue, last, following, str(schedule.runs))


def show(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if moment else ""
