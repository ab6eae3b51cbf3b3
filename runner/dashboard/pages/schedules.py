"""The page of schedules: last run and next run of each; pause, resume and run one."""

from __future__ import annotations

from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.runner.dashboard.web.audited import perform
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, go, show
from changelane.runner.live.schedule_runs import list_schedules
from changelane.runner.live.schedules import can_read_schedules
from changelane.runner.operate import schedule


def show_schedules(request: Request) -> Response:
    site = get_site(request)
    project = site.project.read().project
    with site.pool.read() as conn:
        sees = can_read_schedules(conn)
        schedules = list_schedules(conn, project) if sees and project else []
    return show(request, "schedules.html", sees=sees, schedules=schedules)


def turn(request: Request) -> Response:
    """Pause or resume the schedule."""
    name, verb = get_name(request, "schedule"), request.url.path.rpartition("/")[2]
    project = get_site(request).project.read().project
    done = {"pause": schedule.pause, "resume": schedule.resume}[verb]

    def work(conn: psycopg.Connection[Any]) -> str:
        return f"{verb}d" if done(conn, project, name) else f"{verb}d already"

    outcome = perform(request, f"{verb} schedule", queue=None, arguments={"schedule": name}, work=work)
    return go(request, "/schedules", f"Schedule {name} is {outcome}.")


def run(request: Request) -> Response:
    """Send the schedule's message now."""
    name = get_name(request, "schedule")
    project = get_site(request).project.read().project

    def work(conn: psycopg.Connection[Any]) -> str:
        msg_id, queue = schedule.run(conn, project, name)
        return f"sent as message {msg_id} to queue {queue}"

    outcome = perform(request, "run schedule", queue=None, arguments={"schedule": name}, work=work)
    return go(request, "/schedules", f"Schedule {name}: {outcome}.")


PAGE = Page(
    title="Schedules",
    href="/schedules",
    rank=50,
    routes=[
        Route("/schedules", show_schedules),
        Route("/schedules/{schedule}/pause", turn, methods=["POST"]),
        Route("/schedules/{schedule}/resume", turn, methods=["POST"]),
        Route("/schedules/{schedule}/run", run, methods=["POST"]),
    ],
)
