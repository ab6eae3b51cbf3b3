"""The overview: the whole flow, its recent rates, and differences from the spec."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from changelane.runner.dashboard.data.background import Check
from changelane.runner.dashboard.data.samples import Sample, to_record
from changelane.runner.dashboard.data.timeline import condense, find_range
from changelane.runner.dashboard.pages.workers import count_others, sort
from changelane.runner.dashboard.web.charting import show_charts
from changelane.runner.dashboard.web.context import Site
from changelane.runner.dashboard.web.flow_diagram import draw
from changelane.runner.dashboard.web.formats import slug
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_site, look, reads_only, render_macro, show

PING = 15
"""Seconds between keep-alive lines on a stream."""

STREAMS = 64
"""Streams at once, at most."""


def show_overview(request: Request) -> Response:
    site = get_site(request)
    (declared, sample), check = look(site), site.watch.check
    readings = sample.queues if sample else {}
    letters = declared.letters(frozenset(readings))
    return show(
        request,
        "overview.html",
        picture=draw(
            declared,
            readings,
            wrong=_find_wrong(check),
            alarms=site.watch.alarms,
            halted={
                relay.queue: relay.state
                for relay in (sample.relays if sample else ())
                if relay.state in ("paused", "stopped")
            },
        ),
        letters=letters,
        **show_charts(request, None),
    )


def show_drift(request: Request) -> Response:
    if request.query_params.get("again"):
        get_site(request).watch.ask()
    return show(request, "drift.html")


def give_samples(request: Request) -> Response:
    """The data of the charts, for one queue or for all together."""
    query = request.query_params
    name, _ = find_range(query.get("range", ""))
    site = get_site(request)
    points = site.timelines.read(site.pool, site.watch.samples.all, query.get("queue"), name)
    told = {"range": name, "samples": points}
    return Response(orjson.dumps(told), media_type="application/json")


async def stream(request: Request) -> Response:
    """Each new sample as a server-sent event."""
    site = get_site(request)
    if site.watch.streams >= STREAMS:
        return Response("too many streams\n", 503, media_type="text/plain")
    # Count the stream before its answer begins: many requests can arrive before the first answer starts.
    site.watch.streams += 1
    query = request.query_params
    offers = not reads_only(request) if query.get("processes") else None
    return _Stream(_follow(site, query.get("queue"), offers=offers), site=site)


class _Stream(EventSourceResponse):
    """Gives its place back however the stream ends, also if the visitor leaves before it begins."""

    def __init__(self, content: AsyncIterator[ServerSentEvent], *, site: Site) -> None:
        super().__init__(content, ping=PING)
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._site.watch.streams -= 1


async def _follow(site: Site, queue: str | None, *, offers: bool | None) -> AsyncIterator[ServerSentEvent]:
    """Each pulse and sample; with the lists of workers unless ``offers`` is None, which says whether they
    offer to stop one.
    """
    at = 0.0
    yield ServerSentEvent(retry=1000, comment="samples follow")
    while not site.watch.closing:
        sample = await site.watch.wait(at, timeout=1)
        pulse = {"away": site.watch.outage, "boot": site.watch.boot}
        yield ServerSentEvent(event="pulse", data=orjson.dumps(pulse).decode())
        if sample is not None:
            at = sample.at
            told = _tell(site, sample, queue)
            if offers is not None:
                told |= _tell_processes(sample, offers=offers)
            yield ServerSentEvent(event="sample", data=orjson.dumps(told).decode())


def _tell(site: Site, sample: Sample, queue: str | None) -> dict[str, Any]:
    queues = sample.queues.items() if queue is None else [(queue, sample.queues.get(queue))]
    check = site.watch.check
    alarms = site.watch.alarms
    return {
        "at": sample.at,
        "error": sample.error,
        "workers": sample.workers,
        "dead": site.watch.count_dead(),
        "names": ",".join(sorted(map(slug, sample.queues))),
        "queues": {name: to_record(reading) for name, reading in queues if reading},
        "point": condense(sample, queue),
        "drift": None if check is None or check.error else len(check.differences),
        "stale": bool(site.project.read().stale),
        "findings": None if check is None or check.error else len(check.findings),
        "banner": render_macro("macros.html", "banner", alarms),
        "alarms": {
            name: {
                "states": [alarm.state for alarm in found],
                "level": found[0].level,
                "badges": render_macro("macros.html", "states", found),
                "causes": render_macro("macros.html", "causes", found),
            }
            for name, found in alarms.items()
        },
    }


def _tell_processes(sample: Sample, *, offers: bool) -> dict[str, str]:
    """The lists of workers and of destinations, as the page shows them."""
    values = (sort(sample), count_others(sample), sample.processes is None, not offers, sample.at)
    return {
        "processes": render_macro("processes.html", "processes", *values),
        "relays": render_macro("processes.html", "relays", sample.relays, sample.at),
    }


def _find_wrong(check: Check | None) -> dict[str, str]:
    """The findings of the comparison, by ``route NAME`` and ``queue NAME``."""
    found: dict[str, str] = {}
    for thing in check.differences if check else ():
        if thing.route:
            found.setdefault(f"route {thing.route}", thing.state)
        elif thing.kind == "queue":
            found.setdefault(f"queue {thing.name}", thing.state)
    return found


PAGE = Page(
    title="Overview",
    href="/",
    rank=10,
    routes=[
        Route("/", show_overview),
        Route("/drift", show_drift),
        Route("/samples.json", give_samples),
        Route("/events", stream),
    ],
)
