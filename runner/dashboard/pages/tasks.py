"""The page of a long action: how far it is, and what it came to."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, go, show


def show_task(request: Request) -> Response:
    return show(request, "task.html", task=get_site(request).tasks.find(get_name(request, "task")))


def stop(request: Request) -> Response:
    """Let the action end after the batch that it is at."""
    task = get_site(request).tasks.find(get_name(request, "task"))
    task.stop.set()
    return go(request, f"/tasks/{task.name}")


PAGE = Page(
    routes=[
        Route("/tasks/{task}", show_task),
        Route("/tasks/{task}/stop", stop, methods=["POST"]),
    ]
)
