"""The page of workers: each process with what it runs, stop and drain; and the destinations of relays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.runner.dashboard.data.samples import Sample
from changelane.runner.dashboard.web.audited import perform
from changelane.runner.dashboard.web.formats import slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, go, look, show
from changelane.runner.live.worker_states import WorkerState
from changelane.runner.operate.worker import Wish, ask_worker

QUESTIONS: dict[Wish, tuple[str, str]] = {
    "stop": (
        "Stop",
        "It claims nothing more, ends what it runs within its grace, and exits. Where systemd or a container "
        "platform keeps it running, that starts another.",
    ),
    "drain": (
        "Drain",
        "It works until its queues are empty, retries included, and exits. Paused queues and blocked keys do "
        "not keep it.",
    ),
}
"""Of each wish: the button, and what it means."""


def show_workers(request: Request) -> Response:
    _, sample = look(get_site(request))
    return show(request, "workers.html", processes=sort(sample), others=count_others(sample))


def give_workers(request: Request) -> Response:
    """The processes and the relays as JSON."""
    sample = get_site(request).watch.samples.last
    records = [
        {
            "process": process.process,
            "host": process.host,
            "pid": process.pid,
            "version": process.version,
            "since": process.since,
            "queues": list(process.queues),
            "state": "stale" if process.stale else process.state,
            "asked": process.wish,
            "silent_seconds": round(process.silent, 1),
            "running": [
                {
                    "queue": call.queue,
                    "ids": list(call.ids),
                    "messages": call.messages,
                    "seconds": call.seconds,
                }
                for call in process.calls
            ],
            "error": process.error,
            "error_at": process.error_at,
        }
        for process in sort(sample)
    ]
    relays = [
        {
            "queue": relay.queue,
            "process": relay.process,
            "destination": relay.destination,
            "engine": relay.engine,
            "state": relay.state,
            "since": relay.since,
            "error": relay.error,
        }
        for relay in (sample.relays if sample else ())
    ]
    told = {"workers": records, "untold": count_others(sample), "relays": relays}
    return Response(orjson.dumps(told), media_type="application/json")


def ask(request: Request) -> Response:
    """Ask a process to stop or to drain, after a confirmation."""
    name = get_name(request, "process")
    wish: Wish | None = next((wish for wish in QUESTIONS if wish == request.path_params["wish"]), None)
    if wish is None:
        raise Refusal(404, "there is no such page")
    button, warning = QUESTIONS[wish]
    if request.method != "POST" or not get_visit(request).get("confirmed"):
        known = sort(get_site(request).watch.samples.last)
        found = next((process for process in known if process.process == name), None)
        if found is None:
            raise Refusal(
                404, f"no worker is called {name}", fix="the page Workers lists those that are known"
            )
        return show(
            request,
            "confirm.html",
            title=f"{button} worker {name}?",
            warning=warning,
            action=f"/workers/{slug(name)}/{wish}",
            fields=[],
            details=[f"queue {queue}" for queue in found.queues],
            button=button,
            back="/workers",
            tick="",
        )

    def work(conn: psycopg.Connection[Any]) -> str:
        ask_worker(conn, name, wish)
        return "asked"

    perform(request, f"{wish} worker", queue=None, arguments={"process": name}, work=work)
    return go(request, "/workers", f"Worker {name} was asked to {wish}; it heeds that within seconds.")


def sort(sample: Sample | None) -> Sequence[WorkerState]:
    """The processes, the stale ones first."""
    known = (sample.processes if sample else None) or ()
    return sorted(known, key=lambda process: (not process.stale, process.host, process.pid))


def count_others(sample: Sample | None) -> int:
    """How many processes have a session and do not tell of themselves."""
    if sample is None or sample.workers is None:
        return 0
    return max(0, sample.workers - sum(not process.stale for process in sample.processes or ()))


PAGE = Page(
    title="Workers",
    href="/workers",
    rank=35,
    routes=[
        Route("/workers", show_workers),
        Route("/workers.json", give_workers),
        Route("/workers/{process}/{wish}", ask, methods=["GET", "POST"]),
    ],
)
