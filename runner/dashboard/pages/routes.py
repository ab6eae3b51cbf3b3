"""The pages of routes: all of them, one with its reviewed SQL and state, and statements tried against it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.contract.manifest import Capture
from changelane.errors import ChangelaneError
from changelane.runner.compare.object import Object
from changelane.runner.dashboard.web.audited import perform
from changelane.runner.dashboard.web.formats import slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, show
from changelane.runner.operate.try_sql import Trial, attempt
from changelane.text import spell

TRY_TIMEOUT = 10.0
"""Seconds that tried statements may take."""

TRY_SHOWN = 20
"""Messages shown of each queue."""


def show_routes(request: Request) -> Response:
    site = get_site(request)
    check = site.watch.check
    states: dict[str, list[Object]] = {}
    for thing in check.objects if check else ():
        if thing.route and thing.state != "ok":
            states.setdefault(thing.route, []).append(thing)
    rows = [
        (name, sorted({spell(capture.identity) for capture in captures}), captures)
        for name, captures in site.project.read().routes.items()
    ]
    return show(request, "routes.html", rows=rows, states=states)


def show_route(request: Request) -> Response:
    return _show(request, sql="", trial=None, error=None)


def try_sql(request: Request) -> Response:
    """Run statements, show the messages that they would send, and roll back."""
    site, visit = get_site(request), get_visit(request)
    manifest = site.project.read().manifest
    text = visit.get("sql")
    _find(request)
    assert manifest is not None
    trial, error = None, None
    said = {"route": get_name(request, "route"), "sql": text}
    # Write the log before the statements run, so that it holds every try.
    perform(request, "try", queue=None, arguments=said, work=lambda conn: "begun")
    try:
        statements = site.split(text)
        with site.trying.lend() as conn:
            trial = attempt(conn, statements, manifest, timeout=TRY_TIMEOUT, limit=TRY_SHOWN, confined=True)
    except ChangelaneError as failure:
        error = failure
    return _show(request, sql=text, trial=trial, error=error)


def _show(request: Request, *, sql: str, trial: Trial | None, error: ChangelaneError | None) -> Response:
    site = get_site(request)
    name, captures = _find(request)
    check = site.watch.check
    try:
        text, problem = site.project.read_sql(name), None
    except ChangelaneError as failure:
        text, problem = "", failure
    return show(
        request,
        "route.html",
        status=409 if error else 200,
        name=name,
        here=f"/routes/{slug(name)}",
        captures=captures,
        objects=[thing for thing in (check.objects if check else ()) if thing.route == name],
        text=text,
        problem=problem,
        sql=sql,
        trial=trial,
        error=error,
        timeout=TRY_TIMEOUT,
    )


def _find(request: Request) -> tuple[str, tuple[Capture, ...]]:
    name = get_name(request, "route")
    captures = get_site(request).project.read().routes.get(name)
    if captures is None:
        raise Refusal(404, f"no route is called {name}", fix="the page Routes lists those that are declared")
    return name, captures


PAGE = Page(
    title="Routes",
    href="/routes",
    rank=40,
    routes=[
        Route("/routes", show_routes),
        Route("/routes/{route}", show_route),
        Route("/routes/{route}/try", try_sql, methods=["POST"]),
    ],
)
