"""Actions on messages: send one; archive, delete or release some after a confirmation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.data.message_search import MOST, choose
from changelane.runner.dashboard.data.samples import read_session
from changelane.runner.dashboard.pages.queues import find_lack, find_target, read_search
from changelane.runner.dashboard.pages.queues import find_queue as find_listed
from changelane.runner.dashboard.web.audited import perform, perform_batches
from changelane.runner.dashboard.web.formats import read_number, say_count, slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, go, show
from changelane.runner.dashboard.web.tasks import Task
from changelane.runner.operate import settle_one
from changelane.runner.operate.send import send
from changelane.runner.queue.identity import find_queue

_SETTLED = re.compile(r"(\d{1,18}):(\d{1,9})")
BATCH = 500
"""Messages of one transaction."""

_CENTURY = 100 * 365 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """An action on single messages; ``done`` is its past participle. ``archived``: it is on those of the
    archive.
    """

    settle: Callable[..., bool]
    title: str
    question: str
    done: str
    warning: str
    archived: bool = False


VERBS = {
    "archive": Verb(
        settle=settle_one.archive,
        title="Archive",
        question="Archive {}?",
        done="archived",
        warning="What leaves the queue is not handled; it is kept in its archive.",
    ),
    "delete": Verb(
        settle=settle_one.delete,
        title="Delete",
        question="Delete {}?",
        done="deleted",
        warning="What is deleted is gone for good, without being handled.",
    ),
    "release": Verb(
        settle=settle_one.release,
        title="Make due now",
        question="Make {} due now?",
        done="made due now",
        warning="A worker may claim it at once. What is leased may be handled twice: is its worker gone?",
    ),
    "replay": Verb(
        settle=settle_one.replay,
        title="Send again",
        question="Send {} again?",
        done="sent again",
        warning="It was handled once, and will be handled again: under a new id, and with all attempts. The "
        "archive stays as it is.",
        archived=True,
    ),
}


def show_send(request: Request) -> Response:
    name = get_name(request)
    return _ask_message(request, name, {"message": "", "headers": "", "group": "", "delay": "0"}, None)


def send_one(request: Request) -> Response:
    """Send a message."""
    visit, name = get_visit(request), get_name(request)
    values = {field: visit.get(field) for field in ("message", "headers", "group", "delay")}
    try:
        delay = read_number(values["delay"] or "0", "the delay", most=_CENTURY)

        def work(conn: psycopg.Connection[Any]) -> str:
            number = send(
                conn,
                find_queue(conn, name),
                values["message"],
                headers=values["headers"].strip() or "{}",
                group=values["group"] or None,
                delay=delay,
            )
            return f"message {number} sent"

        said = {"bytes": len(values["message"].encode()), "delay": delay}
        outcome = perform(request, "send", queue=name, arguments=said, work=work)
    except ChangelaneError as error:
        return _ask_message(request, name, values, error)
    return go(request, f"/queues/{slug(name)}", f"{outcome.capitalize()}.")


def settle(request: Request) -> Response:
    """Archive, delete or release messages, fenced by the state that was shown: ``id`` is
    ``msg_id:deliveries``.
    """
    visit, name, key = get_visit(request), get_name(request), request.path_params["verb"]
    verb = _find_verb(key)
    if selection := visit.get("selection"):
        return _settle_all(request, key, get_site(request).selections.take(request.url.path, selection))
    seen = [found.groups() for text in visit.form.get("id", []) if (found := _SETTLED.fullmatch(text))]
    if not seen:
        raise Refusal(400, "no message was chosen", fix="go back and tick some")
    if not visit.get("confirmed"):
        return show(
            request,
            "confirm.html",
            title=verb.question.format(f"{say_count(len(seen), 'message')} of {name}"),
            warning=verb.warning,
            action=request.url.path,
            fields=[("id", f"{msg_id}:{count}") for msg_id, count in seen],
            details=[f"message {msg_id}" for msg_id, _ in seen],
            button=verb.title,
            back=f"/queues/{slug(name)}{'?state=archived' if verb.archived else ''}",
            tick="",
        )

    def work(conn: psycopg.Connection[Any]) -> str:
        queue = find_queue(conn, name)
        done = sum(verb.settle(conn, queue, id=int(msg_id), deliveries=int(count)) for msg_id, count in seen)
        missed = len(seen) - done
        rest = f"; {say_count(missed, 'message')} gone or delivered since, and left alone" if missed else ""
        return f"{say_count(done, 'message')} {verb.done}{rest}"

    ids = {"ids": [int(msg_id) for msg_id, _ in seen][:100], "count": len(seen)}
    outcome = perform(request, key, queue=name, arguments=ids, work=work)
    return go(request, f"/queues/{slug(name)}", f"{outcome}.")


def choose_matching(request: Request) -> Response:
    """Count and choose all messages that match a search, then ask for confirmation."""
    site, name, key = get_site(request), get_name(request), request.path_params["verb"]
    verb = _find_verb(key)
    search, problem = read_search(get_visit(request).get)
    archived = search.state == "archived"
    if problem or verb.archived != archived:
        raise Refusal(
            400,
            problem or f"{'archived' if archived else 'such'} messages cannot be {verb.done}",
            fix="go back and change the search",
        )
    with site.pool.read() as conn:
        session = read_session(conn)
        listed = find_listed(conn, session, name)
        if lack := find_lack(session, listed, archived=archived):
            raise Refusal(403, f"role {session.role} lacks {lack}", fix=f"GRANT {lack} TO {session.role}")
    here = f"/queues/{slug(name)}"
    place = f"{here}/messages/{key}"

    def work(task: Task) -> str:
        chosen: list[tuple[int, int]] = []
        with site.searching.lend() as conn:
            for found in choose(conn, find_target(listed, archived=archived), search):
                chosen += found.chosen
                task.done, task.chosen = found.looked, len(chosen)
                if task.stop.is_set():
                    return f"Stopped at {len(chosen):,} that match; nothing was changed"
        if chosen:
            task.selection = site.selections.keep(place, chosen)
        full = f", the first {MOST:,}" if len(chosen) == MOST else ""
        return f"{say_count(len(chosen), 'message')} of {name} match{full}. {verb.warning}".rstrip(".")

    task = site.tasks.start(
        work,
        title=verb.question.format(f"all messages of {name} that match"),
        back=here,
        verb=verb.title,
        place=place,
        total=(listed.archived if archived else listed.estimate) or None,
    )
    return go(request, f"/tasks/{task.name}")


def _settle_all(request: Request, key: str, chosen: Sequence[tuple[int, int]]) -> Response:
    """Settle the confirmed messages, BATCH in a transaction, if they are as when they were chosen."""
    site, name = get_site(request), get_name(request)
    verb = VERBS[key]

    def work(task: Task) -> str:
        def settle_batches(conn: psycopg.Connection[Any]) -> Iterator[int]:
            queue = find_queue(conn, name)
            for start in range(0, len(chosen), BATCH):
                if task.stop.is_set():
                    return
                batch = chosen[start : start + BATCH]
                with conn.transaction():
                    done = sum(verb.settle(conn, queue, id=id, deliveries=count) for id, count in batch)
                task.done = start + len(batch)
                yield done

        said = {"count": len(chosen), "first": chosen[0][0], "last": chosen[-1][0]}
        done = perform_batches(request, key, queue=name, arguments=said, work=settle_batches)
        missed = task.done - done
        rest = f"; {say_count(missed, 'message')} gone or delivered since, and left alone" if missed else ""
        stopped = f"; stopped before the last {len(chosen) - task.done:,}" if task.stop.is_set() else ""
        return f"{say_count(done, 'message')} {verb.done}{rest}{stopped}"

    task = site.tasks.start(
        work,
        title=f"{verb.title}: {say_count(len(chosen), 'message')} of {name}",
        back=f"/queues/{slug(name)}",
        total=len(chosen),
    )
    return go(request, f"/tasks/{task.name}")


def _find_verb(key: str) -> Verb:
    if key not in VERBS:
        raise Refusal(404, "there is no such page")
    return VERBS[key]


def _ask_message(
    request: Request, name: str, values: dict[str, str], error: ChangelaneError | None
) -> Response:
    with get_site(request).pool.read() as conn:
        find_listed(conn, read_session(conn), name)
    return show(
        request,
        "send.html",
        status=409 if error else 200,
        name=name,
        here=f"/queues/{slug(name)}",
        values=values,
        error=error,
    )


PAGE = Page(
    routes=[
        Route("/queues/{queue}/send", show_send),
        Route("/queues/{queue}/send", send_one, methods=["POST"]),
        Route("/queues/{queue}/messages/{verb}", settle, methods=["POST"]),
        Route("/queues/{queue}/matching/{verb}", choose_matching, methods=["POST"]),
    ],
)
