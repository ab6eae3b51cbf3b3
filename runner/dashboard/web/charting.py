"""What a page with charts shows: the chosen range, and its numbers as a table."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from changelane.runner.dashboard.data.timeline import RANGES, find_range, tabulate
from changelane.runner.dashboard.web.render import get_site


def show_charts(request: Request, queue: str | None) -> dict[str, Any]:
    """The values that the macro ``charts`` takes, of one queue or of all together."""
    site = get_site(request)
    name, shown = find_range(request.query_params.get("range", ""))
    points = site.timelines.read(site.pool, site.watch.samples.all, queue, name)
    return {"ranges": RANGES, "range": name, "points": tabulate(points, shown)}
