"""The ASGI application: the pages by address, the background task, and the pages of errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import psycopg
from psycopg import errors
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from changelane.errors import ChangelaneError, DatabaseError
from changelane.runner.dashboard import pages
from changelane.runner.dashboard.data.pool import DatabaseUnavailable
from changelane.runner.dashboard.web.context import Site
from changelane.runner.dashboard.web.guard import Guard, Refusal
from changelane.runner.dashboard.web.page import find_pages, sort_routes
from changelane.runner.dashboard.web.render import show
from changelane.runner.live.session import explain

FIRST = 3.0
"""Seconds that the first visitor waits for the first sample."""

_STATIC = Path(__file__).parent / "static"


def build(site: Site) -> ASGIApp:
    """Build the ASGI application."""
    found = find_pages(pages.__name__)
    app = Starlette(
        routes=[
            *sort_routes(found),
            Route("/healthz", _say_ok),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        exception_handlers={
            ChangelaneError: tell,
            psycopg.Error: tell,
            HTTPException: tell,
            Exception: tell,
        },
        lifespan=_live,
    )
    app.state.site = site
    app.state.links = [page for page in found if page.href]
    guarded = Guard(app, rules=site.rules, sessions=site.sessions, guesses=site.guesses, tell=tell)
    return _Told(guarded, app=app, site=site)


class _Told:
    """Keeps exceptions that the application raises after its error page was sent; the server would print
    their traceback.

    Names the application for handlers that answer in its place.
    """

    def __init__(self, inner: ASGIApp, *, app: Starlette, site: Site) -> None:
        self._inner = inner
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["app"] = self._app
            await self._inner(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            self._site.log(f"{scope['path']}: {type(error).__name__}: {error}")


@asynccontextmanager
async def _live(app: Starlette) -> AsyncIterator[None]:
    site: Site = app.state.site
    watching = asyncio.create_task(site.watch.run())
    # The first page shows the first sample.
    await site.watch.wait(0.0, timeout=FIRST)
    try:
        yield
    finally:
        watching.cancel()
        site.tasks.close()
        site.watch.close()
        site.pool.close()
        site.trying.close()
        site.searching.close()
        with suppress(asyncio.CancelledError):
            await watching


def _say_ok(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def tell(request: Request, error: Exception) -> Response:
    """The page of an error: the error and its fix, never a traceback."""
    status, what, fix = _explain(error)
    return show(
        request,
        "error.html",
        status=status,
        title=HTTPStatus(status).phrase,
        what=what,
        fix=fix,
        again=status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "GET",
    )


def _explain(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, Refusal):
        return error.status, error.what, error.fix
    if isinstance(error, HTTPException):
        missing = error.status_code == HTTPStatus.NOT_FOUND
        return error.status_code, "there is no such page" if missing else error.detail, ""
    if isinstance(error, errors.QueryCanceled):
        return (
            503,
            "the database took longer than the dashboard lets a statement take",
            "narrow it, or try again",
        )
    if isinstance(error, errors.LockNotAvailable):
        return 503, "another session holds a lock that this waits for", "try again in a moment"
    if isinstance(error, errors.InsufficientPrivilege):
        known = explain(error, doing="the database refused")
        return 403, known.what, "grant the dashboard's role what it lacks, or let it connect as another"
    if isinstance(error, psycopg.OperationalError | DatabaseError):
        known = error if isinstance(error, DatabaseError) else explain(error, doing="the database")
        away = isinstance(error, psycopg.OperationalError | DatabaseUnavailable)
        return 503 if away else 409, known.what, known.fix
    if isinstance(error, psycopg.Error):
        known = explain(error, doing="the database")
        return 409, known.what, known.fix
    if isinstance(error, ChangelaneError):
        return 409, error.what, error.fix
    return 500, "something unexpected happened", "what it was is on the dashboard's stderr"
