"""The pages of routes: all of them, one with its reviewed SQL and state, and statements tried against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.contract.manifest import Capture
from changelane.errors import ChangelaneError
from changelane.runner.compare.object import Object
from changelane.runner.dashboard.data.pool import DatabaseUnavailable
from changelane.runner.dashboard.web.audited import perform
from changelane.runner.dashboard.web.formats import say_count, slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, go, show
from changelane.runner.operate.backfill import send_row
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
        statements = site.spec.split(text)
        with site.trying.lend() as conn:
            trial = attempt(conn, statements, manifest, timeout=TRY_TIMEOUT, limit=TRY_SHOWN, confined=True)
    except ChangelaneError as failure:
        error = failure
    return _show(request, sql=text, trial=trial, error=error)


def fire(request: Request) -> Response:
    """Send one row of a table of the route as a snapshot, chosen by its primary key."""
    site, visit = get_site(request), get_visit(request)
    name, _ = _find(request)
    place = visit.get("table")
    keys = _list_keys(request)
    if place not in keys:
        raise Refusal(400, f"route {name} sends no rows of a table {place!r} by a key", fix="choose another")
    key = {column: visit.get(f"key.{column}") for column in keys[place]}
    if any(column not in visit.form.get("columns", []) for column in key):
        raise Refusal(409, f"the primary key of {place} is another one by now", fix="reload the page")

    def work(conn: psycopg.Connection[Any]) -> str:
        sent = send_row(conn, source, key)
        if sent is None:
            raise ChangelaneError(f"table {place} has no row of this key", fix="nothing was sent")
        if not sent:
            return "nothing sent: the condition of the route does not hold for this row"
        return f"{say_count(sent, 'message')} sent"

    try:
        source = site.spec.prepare(name, place)
        # The key itself may be what the log must not hold.
        said = {"route": name, "table": place}
        outcome = perform(request, "fire", queue=None, arguments=said, work=work)
    except ChangelaneError as error:
        if isinstance(error, Refusal | DatabaseUnavailable):
            raise
        return _show(request, sql="", trial=None, error=None, unfired=error)
    return go(request, f"/routes/{slug(name)}", f"Row of {place}: {outcome}.")


def _list_keys(request: Request) -> dict[str, tuple[str, ...]]:
    """The primary key of each table of the route that has one."""
    manifest = get_site(request).project.read().manifest
    _, captures = _find(request)
    places = {capture.identity for capture in captures if capture.event != "truncate"}
    tables = manifest.tables if manifest else ()
    return {
        ".".join(table.identity): table.primary_key
        for table in tables
        if table.identity in places and table.primary_key
    }


def _describe(request: Request) -> tuple[Sequence[tuple[str, str]], str]:
    """What the spec says of the route, and why that cannot be told."""
    try:
        return get_site(request).spec.describe(get_name(request, "route")), ""
    except (ChangelaneError, ImportError) as error:
        return (), error.what if isinstance(error, ChangelaneError) else f"{error.name} is not installed"


def _show(
    request: Request,
    *,
    sql: str,
    trial: Trial | None,
    error: ChangelaneError | None,
    unfired: ChangelaneError | None = None,
) -> Response:
    site = get_site(request)
    name, captures = _find(request)
    check = site.watch.check
    facts, unknown = _describe(request)
    try:
        text, problem = site.project.read_sql(name), None
    except ChangelaneError as failure:
        text, problem = "", failure
    return show(
        request,
        "route.html",
        status=409 if error or unfired else 200,
        facts=facts,
        unknown=unknown,
        masked=sorted({column for capture in captures for column in capture.masked}),
        keys=_list_keys(request),
        unfired=unfired,
        typed={field: values[0] for field, values in get_visit(request).form.items()},
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
        Route("/routes/{route}/fire", fire, methods=["POST"]),
        Route("/routes/{route}/try", try_sql, methods=["POST"]),
    ],
)
