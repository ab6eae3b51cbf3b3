"""Renders pages from templates; every inserted value is escaped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from changelane.runner.dashboard.data.alarms import list_bad
from changelane.runner.dashboard.web.formats import (
    break_name,
    change_query,
    cut,
    say_age,
    say_count,
    say_due,
    say_line,
    say_number,
    say_preview,
    say_rate,
    say_said,
    say_short,
    say_time,
    say_took,
    slug,
)

if TYPE_CHECKING:
    from changelane.runner.dashboard.data.declared import Declared
    from changelane.runner.dashboard.data.samples import Sample
    from changelane.runner.dashboard.web.context import Site
    from changelane.runner.dashboard.web.sessions import Visit


def get_site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def get_visit(request: Request) -> Visit:
    visit: Visit = request.scope["visit"]
    return visit


def reads_only(request: Request) -> bool:
    """Whether this visitor may change nothing."""
    visit = request.scope.get("visit")
    return get_site(request).read_only or bool(visit and visit.reads_only)


def get_name(request: Request, parameter: str = "queue") -> str:
    """A name from the path, decoded as ``slug`` encoded it."""
    return unquote(request.path_params[parameter])


def look(site: Site) -> tuple[Declared, Sample | None]:
    """The manifest and the last sample; a new one if a declared queue is not in that, as after ``apply``."""
    declared, sample = site.project.read(), site.watch.samples.last
    if sample and not declared.queues.keys() <= sample.queues.keys():
        site.watch.refresh()
    return declared, site.watch.samples.last


def show(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Render a page, with the values that ``base.html`` needs."""
    site, visit = get_site(request), request.scope.get("visit")
    text = _ENVIRONMENT.get_template(template).render(
        site=site,
        visit=visit,
        path=request.url.path,
        read_only=reads_only(request),
        links=request.app.state.links,
        declared=site.project.read(),
        sample=site.watch.samples.last,
        check=site.watch.check,
        notes=site.take_notes(visit.session) if visit and status < 400 else (),
        alarms=site.watch.alarms,
        outage=site.watch.outage,
        dead=site.watch.count_dead(),
        now=time.time(),
        **values,
    )
    return HTMLResponse(text, status)


def render_macro(template: str, macro: str, *values: object) -> str:
    """A part of a page, as its macro makes it."""
    made = getattr(_ENVIRONMENT.get_template(template).module, macro)(*values)
    return str(made).strip()


def go(request: Request, path: str, note: str = "") -> Response:
    """Redirect the browser after a change to a page of ours, which shows the new state, and the note once."""
    get_site(request).watch.refresh()
    if note:
        get_site(request).add_note(get_visit(request).session, note)
    return RedirectResponse(path, 303)


def _build() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "slug": slug,
        "age": say_age,
        "took": say_took,
        "number": say_number,
        "rate": say_rate,
        "short": say_short,
        "count": say_count,
        "moment": say_time,
        "due": say_due,
        "cut": cut,
        "said": say_said,
        "line": say_line,
        "preview": say_preview,
        "breaks": break_name,
    }
    environment.globals |= {"change_query": change_query, "list_bad": list_bad}
    return environment


_ENVIRONMENT = _build()
