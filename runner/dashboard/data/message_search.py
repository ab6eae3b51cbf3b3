"""Searches the messages of a queue by state and content, a page at a time, in a time independent of the
depth.

A search scans ranges of the index of msg_id until a page is full or the time is up. The result then says how
far it came, and the next step goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import errors, sql

from changelane.contract.sql_text import load_sql
from changelane.runner.dashboard.data.samples import CAP
from changelane.runner.operate.peek import LOOK, Message, State, peek
from changelane.runner.queue.identity import Queue
from changelane.runner.queue.unreadable import is_unreadable
from changelane.runner.queue.worker_notes import STATE

LENGTH = 50

FIRST = 0.12
"""Seconds after which the first step begins no further range, so that the page comes soon."""

STEP = 1.5
"""The same for each further step; with the range in work, a step ends within about 2 s."""

RANGE = 0.06
"""Seconds that one range should take. The next one is longer or shorter accordingly."""

STRETCH = 2000
"""Messages of the first range."""

LONGEST = 32_000
SHORTER = 50
"""Divisor for a range that failed. It is large, because each failure may take the server seconds."""

MOST = 100_000
"""Messages that are chosen at once, at most."""

SAME_KEY = 10_000
"""Messages of one key that are found by index, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search. ``id`` is a msg_id; ``after`` is the msg_id to start after. ``text`` is part of the payload,
    ``error`` of the error; ``key`` is the message's key or group, or a part of the key. ``since`` and
    ``until`` limit ``enqueued_at``. ``state`` None is all but archived messages.
    """

    state: State | None = None
    newest: bool = False
    after: int | None = None
    id: int | None = None
    text: str = ""
    key: str = ""
    error: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def filtered(self) -> bool:
        return bool(self.text or self.key or self.error or self.since or self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of results. ``next`` is the start of the next page, None at the end. ``looked`` is the number of
    messages scanned if the search ended before the page was full; ``stopped``: a statement took too long.
    ``indexed``: an index found them.
    """

    messages: tuple[Message, ...]
    next: int | None = None
    looked: int | None = None
    stopped: bool = False
    indexed: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """What matches in one range: msg_id and deliveries; ``end`` is its last msg_id, None at the table's end.
    ``looked`` counts the messages of all ranges until now.
    """

    chosen: tuple[tuple[int, int], ...]
    end: int | None
    looked: int


def browse(
    conn: psycopg.Connection[Any],
    queue: Queue,
    search: Search,
    *,
    seen: Sequence[int] = (),
    seconds: float = FIRST,
) -> Found:
    """Read one page, or go on with a search that has ``seen`` some, for about ``seconds``.

    ``conn`` is in a transaction. Raises ChangelaneError, psycopg.Error.
    """
    if search.id is not None:
        page = peek(conn, queue, state=search.state, ids=[search.id], limit=1)
        return Found(messages=page.messages, indexed=True)
    if search.filtered:
        ids = _find_by_key(conn, queue, search)
        if ids:
            page = peek(conn, queue, state=search.state, ids=ids, newest=search.newest, limit=LENGTH)
            return Found(messages=page.messages, next=page.next, indexed=True)
        return _scan(conn, queue, search, seen=seen, seconds=seconds)
    if seen:
        return _scan(conn, queue, search, seen=seen, seconds=seconds)
    page = peek(conn, queue, state=search.state, after=search.after, newest=search.newest, limit=LENGTH)
    if page.next is None or len(page.messages) == LENGTH:
        return Found(messages=page.messages, next=page.next)
    ids = [message.id for message in page.messages]
    return _scan(conn, queue, replace(search, after=page.next), seen=ids, seconds=seconds, looked=LOOK)


def choose(conn: psycopg.Connection[Any], queue: Queue, search: Search) -> Iterator[Range]:
    """All messages that match now, MOST at most, range by range. ``conn`` is in autocommit, so that it holds
    no snapshot. Raises psycopg.Error.
    """
    left = MOST
    for found in _walk(conn, queue.archive if search.state == "archived" else queue.table, search):
        yield Range(found.chosen[:left], found.end, found.looked)
        left -= len(found.chosen)
        if left <= 0:
            return


def count_available(conn: psycopg.Connection[Any], table: sql.Identifier) -> int:
    """The number of messages that can be claimed now, by the index of vt; CAP + 1 stands for more."""
    query = sql.SQL(load_sql(__name__, "available")).format(queue=table, cap=sql.Literal(CAP + 1))
    row = conn.execute(query).fetchone()
    return row[0] if row else 0


def _scan(
    conn: psycopg.Connection[Any],
    queue: Queue,
    search: Search,
    *,
    seen: Sequence[int],
    seconds: float,
    looked: int = 0,
) -> Found:
    began = time.monotonic()
    table = queue.archive if search.state == "archived" else queue.table
    ids, end, before = list(seen), search.after, looked

    def show(*, next: int | None, looked: int | None = None, stopped: bool = False) -> Found:
        shown = sorted(ids, reverse=search.newest)[:LENGTH]
        page = peek(conn, queue, ids=shown, newest=search.newest, limit=LENGTH, **archived) if shown else None
        return Found(messages=page.messages if page else (), next=next, looked=looked, stopped=stopped)

    archived: dict[str, Any] = {"state": "archived"} if search.state == "archived" else {}
    try:
        for found in _walk(conn, table, search):
            matching = [msg_id for msg_id, _ in found.chosen]
            room = LENGTH - len(ids)
            ids += matching[:room]
            looked = before + found.looked
            if len(matching) >= room:
                last = len(matching) == room and found.end is None
                return show(next=None if last else matching[room - 1])
            end = found.end
            if end is None:
                return show(next=None)
            if time.monotonic() - began > seconds:
                return show(next=end, looked=looked)
    except errors.QueryCanceled:
        return show(next=end, looked=looked, stopped=True)
    return show(next=None)


def _walk(conn: psycopg.Connection[Any], table: sql.Identifier, search: Search) -> Iterator[Range]:
    """Range by range, in the order of the search. A value that cannot be searched is singled out and skipped.

    Raises errors.QueryCanceled if a single message takes too long.
    """
    looked, stretch, place = 0, STRETCH, search
    while True:
        began = time.monotonic()
        try:
            with conn.transaction():
                end = _find_end(conn, table, place, stretch)
                chosen = _match(conn, table, place, end)
        except psycopg.Error as error:
            slow = isinstance(error, errors.QueryCanceled)
            if not (slow or is_unreadable(error)) or (slow and stretch == 1):
                raise
            # Shorter ranges isolate its message, which is then skipped.
            if stretch > 1:
                stretch = max(1, stretch // SHORTER)
                continue
            end, chosen = _find_end(conn, table, place, 1), ()
        looked += stretch
        yield Range(chosen, end, looked)
        if end is None:
            return
        place = replace(place, after=end)
        share = RANGE / max(time.monotonic() - began, 0.001)
        stretch = max(1, min(int(stretch * min(max(share, 0.25), 2.0)), LONGEST))


def _find_by_key(conn: psycopg.Connection[Any], queue: Queue, search: Search) -> list[int]:
    """The messages of the key by the index of queues that keep the order of keys; none without that index."""
    others = search.text or search.error or search.since or search.until or search.state == "archived"
    if not search.key or others:
        return []
    tables = [queue.table.name]
    if conn.execute(load_sql(__name__, "key_index"), {"tables": tables}).fetchone() is None:
        return []
    query = sql.SQL(load_sql(__name__, "same_key")).format(
        table=queue.table,
        key=sql.Literal(search.key),
        beyond=_beyond(search),
        order=_order(search),
        limit=sql.Literal(SAME_KEY),
    )
    return [row[0] for row in conn.execute(query)]


def _find_end(
    conn: psycopg.Connection[Any], table: sql.Identifier, place: Search, stretch: int
) -> int | None:
    """The last msg_id of a range, None if the table ends before."""
    query = sql.SQL(load_sql(__name__, "stretch")).format(
        table=table, beyond=_beyond(place), order=_order(place), offset=sql.Literal(stretch - 1)
    )
    row = conn.execute(query).fetchone()
    return row[0] if row else None


def _match(
    conn: psycopg.Connection[Any], table: sql.Identifier, place: Search, end: int | None
) -> tuple[tuple[int, int], ...]:
    """The messages in a range that match the search: msg_id and deliveries."""
    within: sql.Composable = sql.SQL("true")
    if end is not None:
        within = sql.SQL("msg_id >= {}" if place.newest else "msg_id <= {}").format(sql.Literal(end))
    query = sql.SQL(load_sql(__name__, "match")).format(
        table=table,
        within=within,
        beyond=_beyond(place),
        filters=sql.SQL(" AND ").join([sql.SQL("true"), *_filter(place)]),
        order=_order(place),
    )
    return tuple(conn.execute(query).fetchall())


def _filter(search: Search) -> Iterator[sql.Composable]:
    if search.text:
        yield sql.SQL("strpos(lower(message::text), lower({})) > 0").format(sql.Literal(search.text))
    if search.key:
        yield sql.SQL(load_sql(__name__, "key")).format(key=sql.Literal(search.key))
    if search.error:
        yield sql.SQL(load_sql(__name__, "error")).format(error=sql.Literal(search.error))
    if search.state not in (None, "archived"):
        yield sql.SQL("{} = {}").format(STATE, sql.Literal(search.state))
    if search.since:
        yield sql.SQL("enqueued_at >= {}").format(sql.Literal(search.since))
    if search.until:
        yield sql.SQL("enqueued_at <= {}").format(sql.Literal(search.until))


def _beyond(search: Search) -> sql.Composable:
    if search.after is None:
        return sql.SQL("true")
    form = sql.SQL("msg_id < {}") if search.newest else sql.SQL("msg_id > {}")
    return form.format(sql.Literal(search.after))


def _order(search: Search) -> sql.SQL:
    return sql.SQL("msg_id DESC" if search.newest else "msg_id")
