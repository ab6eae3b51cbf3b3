"""The pages of dead letters: of all queues, of one queue, and a single letter; redrive and discard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.data.pool import Away
from changelane.runner.dashboard.data.samples import Session, peek, read_queues, read_session
from changelane.runner.dashboard.pages.queues import find_lack, find_queue
from changelane.runner.dashboard.web.audited import TIMEOUT, note, perform
from changelane.runner.dashboard.web.formats import say_count, slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, go, look, show
from changelane.runner.operate import peek as messages
from changelane.runner.operate.dead_letter import Letter, Place, choose, count_kinds, discard, read, redrive
from changelane.runner.queue.identity import Queue

LENGTH = 50
MOST = 100_000
"""Letters of one action, at most."""

SECONDS = 10.0
"""Seconds to evaluate a person's expression over all of them."""

PREVIEW = 5

LOOKED = 1000
"""Letters whose errors are summarised."""

KINDS = 5

_VERBS = {"redrive": "Send back", "discard": "Discard"}


def show_all(request: Request) -> Response:
    site = get_site(request)
    declared, sample = look(site)
    readings = sample.queues if sample else {}
    return show(
        request,
        "letters_all.html",
        letters=declared.letters(frozenset(readings)),
        queues=declared.queues,
        readings=readings,
    )


def show_letters(request: Request) -> Response:
    """The letters of one queue, oldest first, with a summary of their errors."""
    return _list(request, where=request.query_params.get("where", ""))


def _list(request: Request, *, where: str, problem: ChangelaneError | None = None) -> Response:
    site = get_site(request)
    after = request.query_params.get("after", "")
    with site.pool.read() as conn:
        session, place = _find(request, conn)
        queue = find_queue(conn, session, place.queue)
        depth = peek(conn, queue)
        page = messages.peek(
            conn,
            Queue(place.queue, ()),
            after=int(after) if after.isdecimal() and len(after) < 19 else None,
            limit=LENGTH,
        )
        letters = read(conn, place, [message.id for message in page.messages])
        kinds = count_kinds(conn, place, limit=LOOKED, kinds=KINDS)
    return show(
        request,
        "letters.html",
        status=409 if problem else 200,
        kinds=kinds,
        looked=LOOKED,
        where=where,
        problem=problem,
        place=place,
        here=f"/dead-letters/{slug(place.source)}",
        letters=letters,
        depth=depth,
        after=after,
        next=page.next,
    )


def show_letter(request: Request) -> Response:
    with get_site(request).pool.read() as conn:
        _, place = _find(request, conn)
        letters = read(conn, place, [_read_id(request)])
    if not letters:
        raise Refusal(
            404,
            f"queue {place.queue} holds no dead letter {request.path_params['id']}",
            fix="it was sent back or discarded meanwhile",
        )
    here = f"/dead-letters/{slug(place.source)}"
    return show(request, "letter.html", place=place, letter=letters[0], here=here)


def decide(request: Request) -> Response:
    """Redrive or discard letters: those of ``id``, those for which ``where`` is true, or ``all``.

    Asks for confirmation first, unless the form says ``confirmed``.
    """
    visit, verb = get_visit(request), request.path_params["verb"]
    if verb not in _VERBS:
        raise Refusal(404, "there is no such page")
    ids = [int(text) for text in visit.form.get("id", []) if text.isdecimal() and len(text) < 19]
    where = visit.get("where").strip() or None
    if not ids and where is None and not visit.get("all"):
        raise Refusal(400, "no dead letter was chosen", fix="tick some, write an expression, or take all")
    with get_site(request).pool.read() as conn:
        _, place = _find(request, conn)
    try:
        return _decide(request, place, verb, ids, where)
    except ChangelaneError as error:
        if where is None or isinstance(error, Refusal | Away):
            raise
        return _list(request, where=where, problem=error)


def _decide(request: Request, place: Place, verb: str, ids: Sequence[int], where: str | None) -> Response:
    site, visit = get_site(request), get_visit(request)
    here = f"/dead-letters/{slug(place.source)}"
    chosen: dict[str, object] = {"ids": ids[:100], "count": len(ids)} if ids else {}
    chosen = chosen | ({"where": where} if where else {}) or {"all": True}
    condition = where and site.resolve(where)
    if not visit.get("confirmed"):
        if where is not None:
            note(request, "dead-letter preview", queue=place.source, arguments=chosen, outcome="shown")
        # The transaction must be able to write: it creates the role without rights that evaluates the
        # expression.
        with site.searching.change(timeout=TIMEOUT) as conn:
            found = _choose(conn, place, ids, condition)
            letters = read(conn, place, found[:PREVIEW])
        return show(
            request,
            "letters_confirm.html",
            place=place,
            here=here,
            verb=verb,
            title=_VERBS[verb],
            count=len(found),
            most=MOST,
            letters=letters,
            ids=ids,
            where=where,
        )

    def work(conn: psycopg.Connection[Any]) -> str:
        found = _choose(conn, place, ids, condition)
        if verb == "redrive":
            return f"{say_count(len(redrive(conn, place, found)), 'dead letter')} sent back to {place.source}"
        return f"{say_count(len(discard(conn, place, found)), 'dead letter')} of {place.source} discarded"

    outcome = perform(
        request,
        f"dead-letter {verb}",
        queue=place.source,
        arguments=chosen,
        work=work,
        pool=site.searching if where else None,
    )
    return go(request, here, f"{outcome}.")


def _choose(conn: psycopg.Connection[Any], place: Place, ids: Sequence[int], where: str | None) -> list[int]:
    if ids:
        # Leave out the letters that another session took meanwhile, and send the rest.
        there: list[Letter] = read(conn, place, ids)
        ids = [letter.id for letter in there]
        return choose(conn, place, ids=ids, where=where, seconds=SECONDS, confined=True) if ids else []
    return choose(conn, place, where=where, limit=MOST, seconds=SECONDS, confined=True)


def _find(request: Request, conn: psycopg.Connection[Any]) -> tuple[Session, Place]:
    """The dead letters of the queue in the path. Raises Refusal."""
    source = get_name(request)
    session = read_session(conn)
    queues = {queue.name: queue for queue in read_queues(conn, session)}
    letters = get_site(request).project.read().letters(frozenset(queues))
    if source not in letters:
        raise Refusal(
            404,
            f"queue {source} has no dead-letter queue",
            fix="the page Dead letters lists those that have",
        )
    target = letters[source]
    if target not in queues:
        raise Refusal(404, f"queue {target} is not in the database", fix="run `changelane apply`")
    if lack := find_lack(session, queues[target], archived=False):
        raise Refusal(403, f"role {session.role} lacks {lack}", fix=f"GRANT {lack} TO {session.role}")
    return session, Place(target, source)


def _read_id(request: Request) -> int:
    return min(int(request.path_params["id"]), 2**63 - 1)


PAGE = Page(
    title="Dead letters",
    href="/dead-letters",
    rank=30,
    routes=[
        Route("/dead-letters", show_all),
        Route("/dead-letters/{queue}", show_letters),
        Route("/dead-letters/{queue}/{id:int}", show_letter),
        Route("/dead-letters/{queue}/{verb}", decide, methods=["POST"]),
    ],
)
