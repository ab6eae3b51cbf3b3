"""The page of doctor's findings."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_site, show


def show_doctor(request: Request) -> Response:
    """Show the findings of the last check, which runs in the background."""
    if request.query_params.get("again"):
        get_site(request).watch.ask()
    return show(request, "doctor.html")


PAGE = Page(
    title="Doctor",
    href="/doctor",
    rank=70,
    routes=[
        Route("/doctor", show_doctor),
    ],
)
