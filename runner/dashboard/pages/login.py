"""The login page: log in with the token, and log out."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from changelane.runner.dashboard.web.guard import make_cookie
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_site, get_visit, show
from changelane.runner.dashboard.web.tokens import Holder


async def show_login(request: Request) -> Response:
    """Show the form, or go on if no login is needed. ``once`` is the code of a one-time address."""
    site = get_site(request)
    target = _stay(request.query_params.get("next", ""))
    code = request.query_params.get("once", "")
    if get_visit(request).user:
        return RedirectResponse(target, 303)
    if not code:
        return show(request, "login.html", target=target, wrong="")
    if holder := site.sessions.redeem(code):
        return _let_in(request, target, holder)
    status = await site.guesses.hold()
    wrong = "This one-time address was used already, or is too old. Restart the dashboard for a new one."
    return show(request, "login.html", status=status, target=target, wrong=wrong)


async def log_in(request: Request) -> Response:
    """Start a session if the token is right."""
    site, visit = get_site(request), get_visit(request)
    target = _stay(visit.get("next"))
    if not site.sessions.guarded:
        return RedirectResponse(target, 303)
    holder = site.sessions.admit(visit.get("token").strip())
    if holder is None:
        status = await site.guesses.hold()
        wrong = "That is not the token."
        return show(request, "login.html", status=status, target=target, wrong=wrong)
    return _let_in(request, target, holder)


def _let_in(request: Request, target: str, holder: Holder) -> Response:
    site = get_site(request)
    # A new session, so that nobody else can know its cookie.
    site.sessions.end(get_visit(request).session)
    answer = RedirectResponse(target, 303)
    answer.headers.append("Set-Cookie", make_cookie(site.rules, site.sessions.issue(holder)))
    return answer


def log_out(request: Request) -> Response:
    """End the session."""
    site, visit = get_site(request), get_visit(request)
    site.sessions.end(visit.session)
    answer = RedirectResponse("/login" if site.sessions.guarded else "/", 303)
    answer.headers.append("Set-Cookie", make_cookie(site.rules, site.sessions.issue()))
    return answer


def _stay(target: str) -> str:
    """The target if it is a path of this site, else the first page.

    A browser drops control characters and reads a backslash as a slash, so both are refused.
    """
    if not target.startswith("/") or "\\" in target or not target.isprintable():
        return "/"
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc or parts.path.startswith("//") else target


PAGE = Page(
    routes=[
        Route("/login", show_login),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
    ],
)
