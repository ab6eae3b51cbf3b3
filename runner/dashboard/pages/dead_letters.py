"""The pages of dead letters: of all queues, of one queue, and a single letter; redrive and discard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.data.message_search import FIRST, STEP, Search, browse
from changelane.runner.dashboard.data.pool import DatabaseUnavailable
from changelane.runner.dashboard.data.samples import Session, peek, read_queues, read_session
from changelane.runner.dashboard.pages.queues import find_lack, find_queue, go_on, read_progress, read_search
from changelane.runner.dashboard.web.audited import TIMEOUT, note, perform
from changelane.runner.dashboard.web.formats import say_count, slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, go, look, show
from changelane.runner.operate.dead_letter import (
    DeadLetterQueue,
    Letter,
    choose,
    count_kinds,
    discard,
    read,
    redrive,
    resend,
)
from changelane.runner.queue.identity import Queue

MOST = 100_000
"""Letters of one action, at most."""

SECONDS = 10.0
"""Seconds to evaluate a person's expression over all of them."""

PREVIEW = 5

LOOKED = 1000
"""Letters whose errors are summarised."""

KINDS = 10

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
    """The letters of one queue, the newest first, in groups of one error."""
    return _list(request, where=request.query_params.get("where", ""))


def _list(request: Request, *, where: str, problem: ChangelaneError | None = None) -> Response:
    site, query = get_site(request), request.query_params
    search = Search(
        newest=query.get("order") != "oldest",
        after=read_search(query.get)[0].after,
        error=query.get("error", "").replace("\0", ""),
        text=query.get("text", "").replace("\0", ""),
    )
    with site.pool.read() as conn:
        session, place = _find(request, conn)
        queue = find_queue(conn, session, place.queue)
        depth = peek(conn, queue)
        seen, looked = read_progress(request)
        page = browse(conn, Queue(place.queue, ()), search, seen=seen, seconds=STEP if looked else FIRST)
        letters = read(conn, place, [message.id for message in page.messages])
        kinds = count_kinds(conn, place, limit=LOOKED, kinds=KINDS)
    return show(
        request,
        "letters.html",
        status=409 if problem else 200,
        kinds=kinds,
        examined=LOOKED,
        where=where,
        problem=problem,
        place=place,
        here=f"/dead-letters/{slug(place.source)}",
        letters=sorted(letters, key=lambda letter: letter.id, reverse=search.newest),
        depth=depth,
        search=search,
        query=dict(query),
        found=page,
        further=go_on(request, page, looked=looked),
        looked=looked + (page.looked or 0),
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


def show_edit(request: Request) -> Response:
    with get_site(request).pool.read() as conn:
        _, place = _find(request, conn)
        letters = read(conn, place, [_read_id(request)])
    return _ask_message(request, place, letters[0].message if letters else "", None)


def edit(request: Request) -> Response:
    """Send another message in place of the letter's."""
    visit, id = get_visit(request), _read_id(request)
    with get_site(request).pool.read() as conn:
        _, place = _find(request, conn)

    def work(conn: psycopg.Connection[Any]) -> str:
        number = resend(conn, place, id, visit.get("message"))
        if number is None:
            raise ChangelaneError(
                f"queue {place.queue} holds no dead letter {id}",
                fix="it was sent back or discarded meanwhile; nothing was sent",
            )
        return f"dead letter {id} edited and sent to {place.source} as message {number}"

    said = {"ids": [id], "bytes": len(visit.get("message").encode())}
    try:
        outcome = perform(request, "dead-letter edit", queue=place.source, arguments=said, work=work)
    except ChangelaneError as error:
        if isinstance(error, Refusal | DatabaseUnavailable):
            raise
        return _ask_message(request, place, visit.get("message"), error)
    return go(request, f"/dead-letters/{slug(place.source)}", f"{outcome.capitalize()}.")


def _ask_message(
    request: Request, place: DeadLetterQueue, message: str, error: ChangelaneError | None
) -> Response:
    return show(
        request,
        "letter_edit.html",
        status=409 if error else 200,
        place=place,
        id=_read_id(request),
        here=f"/dead-letters/{slug(place.source)}",
        message=message,
        error=error,
    )


def decide(request: Request) -> Response:
    """Redrive or discard letters: those of ``id``, those for which ``where`` is true, or ``all``.

    Asks for confirmation first, unless the form says ``confirmed``.
    """
    visit, verb = get_visit(request), request.path_params["verb"]
    if verb not in _VERBS:
        raise Refusal(404, "there is no such page")
    ids = [int(text) for text in visit.form.get("id", []) if text.isdecimal() and len(text) < 19]
    if selection := visit.get("selection"):
        ids = list(get_site(request).selections.take(request.url.path, selection))
        return _carry_out(request, verb, ids, visit.get("where").strip() or None)
    where = visit.get("where").strip() or None
    if not ids and where is None and not visit.get("all"):
        raise Refusal(400, "no dead letter was chosen", fix="tick some, write an expression, or take all")
    with get_site(request).pool.read() as conn:
        _, place = _find(request, conn)
    try:
        return _decide(request, place, verb, ids, where)
    except ChangelaneError as error:
        if where is None or isinstance(error, Refusal | DatabaseUnavailable):
            raise
        return _list(request, where=where, problem=error)


def _decide(
    request: Request, place: DeadLetterQueue, verb: str, ids: Sequence[int], where: str | None
) -> Response:
    site, visit = get_site(request), get_visit(request)
    here = f"/dead-letters/{slug(place.source)}"
    chosen: dict[str, object] = {"ids": ids[:100], "count": len(ids)} if ids else {}
    chosen = chosen | ({"where": where} if where else {}) or {"all": True}
    condition = where and site.spec.resolve(where)
    # Letters of one error, or all, are confirmed by the ids that the question was about.
    if not (visit.get("confirmed") and ids and where is None):
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
            selection=site.selections.keep(request.url.path, found) if found else "",
            where=where,
        )
    return _carry_out(request, verb, ids, None)


def _carry_out(request: Request, verb: str, ids: Sequence[int], where: str | None) -> Response:
    """Redrive or discard the letters of these ids that are still there. ``where`` is for the audit log."""
    with get_site(request).pool.read() as conn:
        _, place = _find(request, conn)
    chosen: dict[str, object] = {"ids": list(ids)[:100], "count": len(ids)} | (
        {"where": where} if where else {}
    )

    def work(conn: psycopg.Connection[Any]) -> str:
        if verb == "redrive":
            done, what = len(redrive(conn, place, ids)), f"sent back to {place.source}"
        else:
            done, what = len(discard(conn, place, ids)), "discarded"
        missed = len(ids) - done
        rest = f"; {say_count(missed, 'dead letter')} gone since" if missed else ""
        return f"{say_count(done, 'dead letter')} of {place.source} {what}{rest}"

    outcome = perform(request, f"dead-letter {verb}", queue=place.source, arguments=chosen, work=work)
    return go(request, f"/dead-letters/{slug(place.source)}", f"{outcome}.")


def _choose(
    conn: psycopg.Connection[Any], place: DeadLetterQueue, ids: Sequence[int], where: str | None
) -> list[int]:
    if ids:
        # Leave out the letters that another session took meanwhile, and send the rest.
        there: list[Letter] = read(conn, place, ids)
        ids = [letter.id for letter in there]
        return choose(conn, place, ids=ids, where=where, seconds=SECONDS, confined=True) if ids else []
    return choose(conn, place, where=where, limit=MOST, seconds=SECONDS, confined=True)


def _find(request: Request, conn: psycopg.Connection[Any]) -> tuple[Session, DeadLetterQueue]:
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
    return session, DeadLetterQueue(target, source)


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
        Route("/dead-letters/{queue}/{id:int}/edit", show_edit),
        Route("/dead-letters/{queue}/{id:int}/edit", edit, methods=["POST"]),
        Route("/dead-letters/{queue}/{verb}", decide, methods=["POST"]),
    ],
)
