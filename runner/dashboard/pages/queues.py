"""The pages of queues: all of them, one with its messages, and a single message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.runner.dashboard.data.message_search import (
    FIRST,
    LENGTH,
    STEP,
    Found,
    Search,
    browse,
    count_available,
)
from changelane.runner.dashboard.data.samples import (
    CAP,
    Depth,
    QueueStats,
    Reading,
    Session,
    peek,
    read_queues,
    read_session,
)
from changelane.runner.dashboard.web.charting import show_charts
from changelane.runner.dashboard.web.formats import change_query, say_number, slug
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_name, get_site, look, show
from changelane.runner.live.queue_tables import Table
from changelane.runner.operate.peek import State
from changelane.runner.operate.peek import peek as peek_messages
from changelane.runner.queue.identity import Queue
from changelane.runner.queue.worker_notes import LOOK

TABS: dict[State | None, str] = {
    None: "All in the queue",
    "available": "Available",
    "delayed": "Delayed",
    "leased": "Leased",
    "blocked": "Blocked",
    "archived": "Archived",
}


SORTS: dict[str, Callable[[Reading, Reading | None], float | None]] = {
    "depth": lambda reading, dead: reading.depth,
    "oldest": lambda reading, dead: reading.oldest,
    "sent": lambda reading, dead: reading.sent,
    "left": lambda reading, dead: reading.left,
    "dead": lambda reading, dead: dead.depth if dead else None,
}
"""What the list of queues is sorted by, the largest first; else by name. The second reading is of its dead
letters.
"""


def show_queues(request: Request) -> Response:
    site = get_site(request)
    declared, sample = look(site)
    readings = sample.queues if sample else {}
    wanted = request.query_params.get("q", "").strip().lower()
    letters = declared.letters(frozenset(readings))
    sort = request.query_params.get("sort", "name")
    found = [reading for name, reading in readings.items() if wanted in name.lower()]
    if sort in SORTS:
        found.sort(
            key=lambda reading: (
                -(SORTS[sort](reading, readings.get(letters.get(reading.queue.name, ""))) or 0)
            )
        )
    return show(
        request,
        "queues.html",
        readings=found,
        letters=letters,
        wanted=wanted,
        sort=sort,
    )


def show_queue(request: Request) -> Response:
    """Show a queue's numbers and a page of its messages. A part that the role may not read names the missing
    right.
    """
    site, name = get_site(request), get_name(request)
    declared = site.project.read()
    search, problem = read_search(request.query_params.get)
    archived = search.state == "archived"
    with site.pool.read() as conn:
        session = read_session(conn)
        queue = find_queue(conn, session, name)
        lacks = find_lack(session, queue, archived=archived)
        depth = available = found = None
        looked, halted = 0, False
        if not find_lack(session, queue, archived=False):
            depth = peek(conn, queue)
            available = count_available(conn, queue.identifier)
        if not lacks:
            seen, looked = read_progress(request)
            halted = bool(request.query_params.get("halt"))
            found = browse(
                conn,
                find_target(queue, archived=archived),
                search,
                seen=seen,
                seconds=STEP if looked else FIRST,
            )
    samples = site.watch.samples
    names = frozenset(samples.last.queues) if samples.last else frozenset()
    letters = declared.letters(names | {name})
    sources = [source for source, target in letters.items() if target == name]
    return show(
        request,
        "queue.html",
        here=f"/queues/{slug(name)}",
        queue=queue,
        reading=samples.last.queues.get(name) if samples.last else None,
        depth=depth,
        found=found,
        further=found and not halted and go_on(request, found, looked=looked),
        halted=halted and search.filtered,
        counts=_count_states(queue, depth, available),
        looked=looked + (found.looked or 0 if found else 0),
        size=queue.archived if archived else queue.estimate,
        lacks=lacks,
        role=session.role,
        search=search,
        problem=problem,
        query=dict(request.query_params),
        tabs=TABS,
        page_size=LENGTH,
        entry=declared.queues.get(name),
        consumer=declared.consumers.get(name),
        letters=letters.get(name),
        source=sources[0] if sources else None,
        relays=[relay for relay in (samples.last.relays if samples.last else ()) if relay.queue == name],
        **show_charts(request, name),
    )


def _count_states(queue: QueueStats, depth: Depth | None, available: int | None) -> dict[State | None, str]:
    """The number on each tab; only those that are known."""
    counts: dict[State | None, str] = {"archived": say_number(queue.archived, about=True)}
    if depth is not None and available is not None:
        counts[None] = say_number(depth.count, about=depth.about)
        counts["available"] = f"over {CAP:,}" if available > CAP else say_number(available)
        waiting: dict[State, int] = {
            "delayed": depth.delayed,
            "leased": depth.leased,
            "blocked": depth.blocked,
        }
        counts |= {state: f"{count:,}" + "+" * (count >= LOOK) for state, count in waiting.items()}
    return counts


def read_progress(request: Request) -> tuple[Sequence[int], int]:
    """The ids that earlier steps of this search found, and the number of messages that they looked at."""
    query = request.query_params
    seen = [int(text) for text in query.get("seen", "").split("-") if text.isdecimal() and len(text) < 19]
    looked = query.get("looked", "")
    return seen[:LENGTH], int(looked) if looked.isdecimal() and len(looked) < 19 else 0


def go_on(request: Request, found: Found, *, looked: int) -> str:
    """The query of the next step of a search whose time was up, or empty."""
    if found.looked is None or found.next is None:
        return ""
    seen = "-".join(str(message.id) for message in found.messages)
    further = {"after": found.next, "looked": looked + found.looked, "seen": seen}
    return change_query(dict(request.query_params), **further)


def show_message(request: Request) -> Response:
    site, name = get_site(request), get_name(request)
    archived = request.query_params.get("in") == "archive"
    msg_id = min(int(request.path_params["msg_id"]), 2**63 - 1)
    with site.pool.read() as conn:
        session = read_session(conn)
        queue = find_queue(conn, session, name)
        if lack := find_lack(session, queue, archived=archived):
            raise Refusal(403, f"role {session.role} lacks {lack}", fix=f"GRANT {lack} TO {session.role}")
        target = find_target(queue, archived=archived)
        found = peek_messages(conn, target, ids=[msg_id], state="archived" if archived else None).messages
    if not found:
        where = "the archive of queue" if archived else "queue"
        raise Refusal(
            404,
            f"{where} {name} holds no message {msg_id}",
            fix="it was handled, moved or deleted meanwhile; look in the archive, or among the dead letters",
        )
    here = f"/queues/{slug(name)}"
    return show(request, "message.html", here=here, queue=queue, message=found[0], archived=archived)


def find_queue(conn: psycopg.Connection[Any], session: Session, name: str) -> QueueStats:
    """The queue of this name. Raises Refusal if there is none."""
    for queue in read_queues(conn, session):
        if queue.name == name:
            return queue
    raise Refusal(404, f"queue {name} does not exist", fix="the page Queues lists those that do")


def find_lack(session: Session, queue: QueueStats, *, archived: bool) -> str:
    """The right that is missing to read a queue or its archive, in the words of GRANT; empty if the
    role has every right.
    """
    if not session.uses_pgmq:
        return "USAGE ON SCHEMA pgmq"
    if archived and queue.archive and not queue.archive_readable:
        return f"SELECT ON {Table(queue.archive).as_string()}"
    if not archived and not queue.readable:
        return f"SELECT ON {queue.identifier.as_string()}"
    return ""


def find_target(queue: QueueStats, *, archived: bool) -> Queue:
    """The queue as ``runner/operate`` takes it. Raises Refusal if it has no archive."""
    if archived and queue.archive is None:
        raise Refusal(404, f"queue {queue.name} has no archive", fix="look at the other states")
    # Take the name from the table: it is always lower case, and the queue's own name may not be.
    return Queue(queue.table.removeprefix("q_"), ())


def read_search(get: Callable[[str, str], str]) -> tuple[Search, str]:
    """The search in a query string or a form, and a problem with it in words."""
    problem = ""

    def read_moment(name: str) -> datetime | None:
        nonlocal problem
        text = get(name, "").strip()
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            problem = f"{text!r} is no time: write 2026-11-24T09:30, in UTC"
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def read_id(name: str) -> int | None:
        text = get(name, "").strip()
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None

    if get("msg_id", "").strip() and read_id("msg_id") is None:
        problem = f"{get('msg_id', '')!r} is no id of a message: write a number"
    states: dict[str, State] = {state: state for state in get_args(State)}
    return Search(
        state=states.get(get("state", "")),
        newest=get("order", "") == "newest",
        after=read_id("after"),
        id=read_id("msg_id"),
        text=get("text", "").replace("\0", ""),
        key=get("key", "").replace("\0", "").strip(),
        error=get("error", "").replace("\0", ""),
        since=read_moment("since"),
        until=read_moment("until"),
    ), problem


PAGE = Page(
    title="Queues",
    href="/queues",
    rank=20,
    routes=[
        Route("/queues", show_queues),
        Route("/queues/{queue}", show_queue),
        Route("/queues/{queue}/messages/{msg_id:int}", show_message),
    ],
)
