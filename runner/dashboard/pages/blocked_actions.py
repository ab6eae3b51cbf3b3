"""Actions on messages that block their keys: retry them afresh, make them dead letters, or discard them."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.runner.dashboard.data.declared import NOTHING
from changelane.runner.dashboard.web.audited import perform
from changelane.runner.dashboard.web.formats import say_count, slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, get_visit, go, show
from changelane.runner.operate.peek import peek
from changelane.runner.operate.unblock import LIMIT, Way, unblock
from changelane.runner.queue.identity import find_queue

_SEEN = re.compile(r"(\d{1,18}):(\d{1,9})")

WAYS: dict[Way, tuple[str, str, str]] = {
    "retry": ("Retry afresh", "due again", "They are due again, with all their attempts."),
    "dead-letter": (
        "Bury",
        "made dead letters",
        "They become dead letters, and their keys go on.",
    ),
    "discard": ("Discard", "discarded", "They are gone for good, and their keys go on."),
}
"""Of each way: the button, the outcome, and what it means."""


def release(request: Request) -> Response:
    """Release the keys of the messages of ``id``, which is ``msg_id:deliveries``, as they were shown."""
    visit, name = get_visit(request), get_name(request)
    way: Way | None = next((way for way in WAYS if way == request.path_params["way"]), None)
    if way is None:
        raise Refusal(404, "there is no such page")
    title, done, warning = WAYS[way]
    seen = {
        int(found[1]): int(found[2]) for text in visit.form.get("id", []) if (found := _SEEN.fullmatch(text))
    }
    if not seen:
        raise Refusal(400, "no message was chosen", fix="go back and tick some")
    if not visit.get("confirmed"):
        return show(
            request,
            "confirm.html",
            title=f"{title}: {say_count(len(seen), 'blocked message')} of {name}?",
            warning=warning,
            action=request.url.path,
            fields=[("id", f"{id}:{deliveries}") for id, deliveries in seen.items()],
            details=[f"message {id}" for id in seen],
            button=title,
            back=f"/queues/{slug(name)}?state=blocked",
            tick="",
        )

    def work(conn: psycopg.Connection[Any]) -> str:
        page = peek(conn, find_queue(conn, name), state="blocked", ids=list(seen), limit=LIMIT)
        held = [message for message in page.messages if seen[message.id] == message.deliveries]
        manifest = get_site(request).project.read().manifest or NOTHING
        count = len(unblock(conn, manifest, name, held, way=way))
        missed = len(seen) - count
        rest = f"; {say_count(missed, 'message')} not blocked any more, and left alone" if missed else ""
        return f"{say_count(count, 'message')} {done}{rest}"

    ids = {"ids": list(seen)[:100], "count": len(seen)}
    outcome = perform(request, f"unblock {way}", queue=name, arguments=ids, work=work)
    return go(request, f"/queues/{slug(name)}?state=blocked", f"{outcome}.")


PAGE = Page(routes=[Route("/queues/{queue}/blocked/{way}", release, methods=["POST"])])
