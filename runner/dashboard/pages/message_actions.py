"""Actions on messages: send one; archive, delete or release some after a confirmation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.data.samples import read_session
from changelane.runner.dashboard.pages.queues import find_queue as find_listed
from changelane.runner.dashboard.web.audited import perform
from changelane.runner.dashboard.web.formats import read_number, say_count, slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, go, show
from changelane.runner.operate import settle_one
from changelane.runner.operate.send import send
from changelane.runner.queue.identity import find_queue

_SETTLED = re.compile(r"(\d{1,18}):(\d{1,9})")
_CENTURY = 100 * 365 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """An action on single messages; ``done`` is its past participle."""

    settle: Callable[..., bool]
    title: str
    question: str
    done: str
    warning: str


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
    verb = VERBS.get(key)
    if verb is None:
        raise Refusal(404, "there is no such page")
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
            back=f"/queues/{slug(name)}",
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
    ],
)
