"""The door: logging in by the token, and out."""

from __future__ import annotations

from urllib.parse import urlsplit

from anyio import sleep
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from changelane.runner.dashboard.guard import bake
from changelane.runner.dashboard.page import get_site, get_visit, show

PAUSE = 0.5
"""Seconds before a wrong token is told."""


def show_login(request: Request) -> Response:
    """The form, or the way on for who needs none."""
    target = _stay(request.query_params.get("next", ""))
    if get_visit(request).user:
        return RedirectResponse(target, 303)
    return show(request, "login.html", target=target, wrong=False)


async def log_in(request: Request) -> Response:
    """A session for the right token."""
    site, visit = get_site(request), get_visit(request)
    target = _stay(visit.get("next"))
    if not site.sessions.guarded:
        return RedirectResponse(target, 303)
    if not site.sessions.admit(visit.get("token").strip(), visit.remote):
        await sleep(PAUSE)
        return show(request, "login.html", status=403, target=target, wrong=True)
    # Another session than before, so that nobody else can know it.
    site.sessions.end(visit.session)
    answer = RedirectResponse(target, 303)
    answer.headers.append("Set-Cookie", bake(site.rules, site.sessions.issue("user")))
    return answer


def log_out(request: Request) -> Response:
    """End the session."""
    site, visit = get_site(request), get_visit(request)
    site.sessions.end(visit.session)
    answer = RedirectResponse("/login" if site.sessions.guarded else "/", 303)
    answer.headers.append("Set-Cookie", bake(site.rules, site.sessions.issue("guest")))
    return answer


def _stay(target: str) -> str:
    """A path of this site, whatever was asked for."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return "/"
    return "".join(letter for letter in target if letter.isprintable())
