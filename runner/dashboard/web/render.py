"""Pages out of templates: everything that is filled in is escaped."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from changelane.errors import ChangelaneError
from changelane.runner.live.moment import LAST, tell_moment

if TYPE_CHECKING:
    from changelane.runner.dashboard.web.context import Site
    from changelane.runner.dashboard.web.sessions import Visit

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def get_site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def get_visit(request: Request) -> Visit:
    visit: Visit = request.scope["visit"]
    return visit


def get_name(request: Request, parameter: str = "queue") -> str:
    """A name out of the path, as ``slug`` put it there."""
    return unquote(request.path_params[parameter])


def show(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page. What ``base.html`` needs is added."""
    site, visit = get_site(request), request.scope.get("visit")
    text = _ENVIRONMENT.get_template(template).render(
        site=site,
        visit=visit,
        path=request.url.path,
        declared=site.project.read(),
        sample=site.watch.samples.last,
        check=site.watch.check,
        notes=site.take_notes(visit.session) if visit and status < 400 else (),
        now=time.time(),
        **values,
    )
    return HTMLResponse(text, status)


def go(request: Request, path: str, note: str = "") -> Response:
    """Send the browser to a page of ours, which says the note once."""
    if note:
        get_site(request).add_note(get_visit(request).session, note)
    return RedirectResponse(path, 303)


def slug(name: object) -> str:
    """A name as one segment of a path; doubly, as servers decode a slash before they take paths apart."""
    return quote(quote(str(name), safe=""), safe="")


def say_age(seconds: float | None) -> str:
    """``3 min 5 s``: the two largest units."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    parts: list[str] = []
    rest = int(seconds)
    for size, unit in _UNITS:
        if rest >= size or parts:
            parts.append(f"{rest // size} {unit}")
            rest %= size
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def say_number(value: float | None, about: bool = False) -> str:
    """With thin groups of thousands, and marked where it is an estimate."""
    if value is None:
        return "–"
    return f"{'about ' if about else ''}{value:,.0f}"


def say_rate(value: float | None) -> str:
    """Per second, with as many digits as matter."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def say_count(number: int, noun: str) -> str:
    """``1 message``, ``2 messages``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_time(value: datetime | float | None) -> str:
    """In UTC, to the second."""
    if value is None:
        return "–"
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return tell_moment(moment, zone=UTC)


def say_due(moment: datetime, now: float) -> str:
    """In how long a message is due."""
    return "never" if moment >= LAST else say_age(moment.timestamp() - now)


def read_number(text: str, what: str, *, most: float) -> float:
    """A number out of a form. Raises ChangelaneError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise ChangelaneError(f"{what} {text!r} is not a number from 0 to {most:g}", help="write one")
    return number


def cut(text: str, length: int) -> str:
    """The beginning of a text, and an ellipsis where more follows."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def say_line(text: str, length: int) -> str:
    """The beginning of indented JSON, on one line."""
    return cut(" ".join(text[: 8 * length].split()), length)


def change_query(query: dict[str, str], **changes: object) -> str:
    """A query string with some parameters changed, or left out where the change is None."""
    merged = {**query, **changes}
    return urlencode([(name, str(value)) for name, value in merged.items() if value not in (None, "")])


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
        "number": say_number,
        "rate": say_rate,
        "count": say_count,
        "moment": say_time,
        "due": say_due,
        "cut": cut,
        "line": say_line,
    }
    environment.globals["change_query"] = change_query
    return environment


_ENVIRONMENT = _build()
