"""Actions on a queue: create, pause, purge, prune and drop it. Each loss of messages needs a confirmation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.contract.queue_name import find_fault, fold
from changelane.contract.sql_text import load_sql
from changelane.errors import ChangelaneError
from changelane.runner.compare.renames import read_queues as read_targets
from changelane.runner.compare.statement import drop_queue
from changelane.runner.dashboard.data.declared import NOTHING
from changelane.runner.dashboard.data.samples import QueueStats, peek, read_session
from changelane.runner.dashboard.pages.queues import find_queue as find_listed
from changelane.runner.dashboard.web.audited import perform, perform_batches
from changelane.runner.dashboard.web.formats import read_number, say_count, say_number, slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, go, show
from changelane.runner.live.observe import observe
from changelane.runner.operate import pause
from changelane.runner.operate.purge import purge
from changelane.runner.queue.identity import Queue, find_queue
from changelane.runner.queue.pruning import BATCH, prune

_SETTLED = re.compile(r"(\d{1,18}):(\d{1,9})")
_KINDS = ("logged", "unlogged")
_DAY = 86400.0


def show_new(request: Request) -> Response:
    return show(request, "queue_new.html", name="", kind="logged", error=None)


def create(request: Request) -> Response:
    """Create a queue outside of the spec."""
    site, visit = get_site(request), get_visit(request)
    name, kind = visit.get("name").strip(), visit.get("kind", "logged")

    def work(conn: psycopg.Connection[Any]) -> str:
        names = [name, f"{name}_dlq"] if visit.get("dead_letter") else [name]
        if shared := [queue.name for queue in _list(conn) if fold(queue.name) in map(fold, names)]:
            raise ChangelaneError(f"queue {shared[0]} exists", fix="choose another name")
        for one in names:
            conn.execute(load_sql(__name__, f"create_{kind}"), [one])
        return f"{' and '.join(names)} created"

    try:
        if (fault := find_fault(name)) or kind not in _KINDS:
            raise ChangelaneError(
                f"{name!r} cannot name a queue: it {fault}", fix="letters, digits, _ and - always can"
            )
        if visit.get("dead_letter") and find_fault(f"{name}_dlq"):
            raise ChangelaneError(
                f"{name!r} is too long for a queue with dead letters", fix="use up to 43 characters"
            )
        if name in site.project.read().queues:
            raise ChangelaneError(
                f"queue {name} is declared", fix="`changelane apply` creates it as declared"
            )
        outcome = perform(request, "create", queue=name, arguments={"kind": kind}, work=work)
    except ChangelaneError as error:
        return show(request, "queue_new.html", status=409, name=name, kind=kind, error=error)
    return go(request, f"/queues/{slug(name)}", f"Queue {outcome}.")


def turn(request: Request) -> Response:
    """Pause or resume the queue."""
    name, verb = get_name(request), request.url.path.rpartition("/")[2]
    done = {"pause": pause.pause, "resume": pause.resume}[verb]

    def work(conn: psycopg.Connection[Any]) -> str:
        return f"{verb}d" if done(conn, name) else f"{verb}d already"

    outcome = perform(request, verb, queue=name, arguments={}, work=work)
    return go(request, f"/queues/{slug(name)}", f"Queue {name} is {outcome}.")


def empty(request: Request) -> Response:
    """Delete all messages of a queue."""
    site, visit, name = get_site(request), get_visit(request), get_name(request)
    with site.pool.read() as conn:
        depth = _look(conn, name)[1]
        find_queue(conn, name)
    if request.method != "POST" or not visit.get("confirmed"):
        return show(
            request,
            "confirm.html",
            title=f"Purge queue {name}?",
            warning=f"It holds {depth}. All of them are deleted for good, without being handled, leased and "
            "delayed ones too. The archive, the dead letters and what is sent meanwhile stay.",
            action=request.url.path,
            fields=[],
            details=[],
            button="Purge",
            back=f"/queues/{slug(name)}",
            tick="",
        )

    def work(conn: psycopg.Connection[Any]) -> Iterator[int]:
        return purge(conn, find_queue(conn, name))

    gone = perform_batches(request, "purge", queue=name, arguments={}, work=work)
    return go(request, f"/queues/{slug(name)}", f"{say_count(gone, 'message')} deleted.")


def drop(request: Request) -> Response:
    """Drop a queue that no route sends to."""
    site, visit, name = get_site(request), get_visit(request), get_name(request)
    declared = site.project.read()
    with site.pool.lend() as conn:
        listed, depth = _look(conn, name)
        observed = observe(conn, declared.manifest or NOTHING)
    senders = [
        function.name
        for function in observed.functions.values()
        if fold(name) in map(fold, read_targets(function))
    ]
    if name in declared.queues:
        raise Refusal(
            409,
            f"queue {name} is declared in {site.project.spec}, so apply would make it again",
            fix="take it out there, run `changelane generate` and `changelane apply --prune`; then drop it",
        )
    if senders:
        raise Refusal(
            409,
            f"function changelane.{senders[0]} sends to queue {name}: without it, writes to its table fail",
            fix="take its route away first: `changelane apply --prune`, or `changelane destroy` there",
        )
    holds = depth != say_count(0, "message") or listed.archived > 0
    tick = "Lose the messages in it and in its archive" if holds else ""
    if request.method != "POST" or not visit.get("confirmed") or (tick and not visit.get("lose")):
        return show(
            request,
            "confirm.html",
            title=f"Drop queue {name}?",
            warning=f"It holds {depth}, and its archive {say_number(listed.archived, True)}. Whoever sends "
            "to it or reads from it after that gets an error.",
            action=request.url.path,
            fields=[],
            details=[],
            button="Drop",
            back=f"/queues/{slug(name)}",
            tick=tick,
        )

    def work(conn: psycopg.Connection[Any]) -> str:
        conn.execute(drop_queue(name, discard=bool(visit.get("lose"))).encode())
        if any(queue.name == name for queue in _list(conn)):
            raise ChangelaneError(f"queue {name} holds messages by now", fix="look again, then drop it")
        return "dropped"

    perform(request, "drop", queue=name, arguments={"lose": bool(visit.get("lose"))}, work=work)
    return go(request, "/queues", f"Queue {name} is dropped.")


def show_keeping(request: Request) -> Response:
    return _ask_keeping(request, None)


def keep(request: Request) -> Response:
    """Prune the archive of a queue outside of the spec. A declared archive is pruned as declared."""
    site, visit, name = get_site(request), get_visit(request), get_name(request)
    if name in site.project.read().queues:
        raise Refusal(
            409, f"queue {name} is declared", fix="change its keeping in the spec, as this page says"
        )
    try:
        days = read_number(visit.get("days"), "the age", most=36500)
    except ChangelaneError as error:
        return _ask_keeping(request, error)
    if not visit.get("confirmed"):
        return show(
            request,
            "confirm.html",
            title=f"Prune the archive of {name}?",
            warning=f"Messages that were archived more than {days:g} days ago are deleted for good.",
            action=request.url.path,
            fields=[("days", f"{days:g}")],
            details=[],
            button="Prune",
            back=f"/queues/{slug(name)}",
            tick="",
        )

    def work(conn: psycopg.Connection[Any]) -> Iterator[int]:
        while count := prune(conn, queue=name, keep=int(days * _DAY)):
            yield count
            if count < BATCH:
                return

    gone = perform_batches(request, "prune", queue=name, arguments={"days": days}, work=work)
    return go(request, f"/queues/{slug(name)}", f"{say_count(gone, 'archived message')} deleted.")


def _ask_keeping(request: Request, error: ChangelaneError | None) -> Response:
    site, name = get_site(request), get_name(request)
    with site.pool.read() as conn:
        listed = find_listed(conn, read_session(conn), name)
    return show(
        request,
        "keeping.html",
        status=409 if error else 200,
        name=name,
        here=f"/queues/{slug(name)}",
        queue=listed,
        entry=site.project.read().queues.get(name),
        spec=str(site.project.spec),
        error=error,
    )


def _list(conn: psycopg.Connection[Any]) -> list[Queue]:
    return [Queue(row[0], ()) for row in conn.execute("SELECT queue_name::text FROM pgmq.meta")]


def _look(conn: psycopg.Connection[Any], name: str) -> tuple[QueueStats, str]:
    """The queue, and the number of its messages in words. Raises Refusal, psycopg.Error."""
    listed = find_listed(conn, read_session(conn), name)
    seen = peek(conn, listed)
    depth, about = seen.count, seen.about
    return listed, f"{say_number(depth, about)} messages" if about else say_count(depth, "message")


PAGE = Page(
    routes=[
        Route("/queues/new", show_new),
        Route("/queues/new", create, methods=["POST"]),
        Route("/queues/{queue}/pause", turn, methods=["POST"]),
        Route("/queues/{queue}/resume", turn, methods=["POST"]),
        Route("/queues/{queue}/purge", empty, methods=["GET", "POST"]),
        Route("/queues/{queue}/drop", drop, methods=["GET", "POST"]),
        Route("/queues/{queue}/keeping", show_keeping),
        Route("/queues/{queue}/keeping", keep, methods=["POST"]),
    ],
)
