"""Searches the messages of a queue by state and content, a page at a time, in a time independent of the
depth.

A search scans ranges of the index of msg_id until a page is full or the time is up. The result then says how
far it came, and the next request goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
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

LENGTH = 50
BUDGET = 0.12
"""Seconds after which no further range is begun."""

STRETCH = 2000
"""Messages of the first range. Each range is twice as long as the one before, up to LONGEST."""

LONGEST = 32_000
SHORTER = 50
"""Divisor for a range that failed. It is large, because each failure may take the server seconds."""

BATCH = 200
"""Messages of a range that are checked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search. ``after`` is the msg_id to start after; ``text`` is part of the payload, ``key`` of the
    message's key or group; ``since`` and ``until`` limit ``enqueued_at``. ``state`` None is all but archived
    messages.
    """

    state: State | None = None
    newest: bool = False
    after: int | None = None
    text: str = ""
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def filtered(self) -> bool:
        return bool(self.text or self.key or self.since or self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of results. ``next`` is the start of the next page, None at the end. ``looked`` is the number of
    messages scanned if the search ended before the page was full; ``stopped``: a statement took too long.
    """

    messages: tuple[Message, ...]
    next: int | None = None
    looked: int | None = None
    stopped: bool = False


def browse(conn: psycopg.Connection[Any], queue: Queue, search: Search) -> Found:
    """Read one page. ``conn`` is in a transaction. Raises ChangelaneError, psycopg.Error."""
    if search.filtered:
        return _scan(conn, queue, search)
    page = peek(conn, queue, state=search.state, after=search.after, newest=search.newest, limit=LENGTH)
    early = page.next is not None and len(page.messages) < LENGTH
    return Found(messages=page.messages, next=page.next, looked=LOOK if early else None)


def count_available(conn: psycopg.Connection[Any], table: sql.Identifier) -> int:
    """The number of messages that can be claimed now, by the index of vt; CAP + 1 stands for more."""
    query = sql.SQL(load_sql(__name__, "available")).format(queue=table, cap=sql.Literal(CAP + 1))
    row = conn.execute(query).fetchone()
    return row[0] if row else 0


def _scan(conn: psycopg.Connection[Any], queue: Queue, search: Search) -> Found:
    began = time.monotonic()
    table = queue.archive if search.state == "archived" else queue.table
    found: list[Message] = []
    looked, stretch, place = 0, STRETCH, search
    while True:
        try:
            with conn.transaction():
                end = _find_end(conn, table, place, stretch)
                ids = _match(conn, table, place, end)
        except errors.QueryCanceled:
            return Found(messages=tuple(found), next=place.after, looked=looked, stopped=True)
        except psycopg.Error as error:
            if not is_unreadable(error):
                raise
            # A value in this range cannot be searched. Shorter ranges isolate its message, which is then
            # skipped.
            if stretch > 1:
                stretch = max(1, stretch // SHORTER)
                continue
            end, ids = _find_end(conn, table, place, 1), []
        if ids:
            page = peek(
                conn, queue, state=search.state, ids=ids, newest=search.newest, limit=LENGTH - len(found)
            )
            found += page.messages
            if page.next is not None:
                return Found(messages=tuple(found), next=page.next)
        if len(ids) == BATCH:
            end = ids[-1]
        elif end is None:
            return Found(messages=tuple(found))
        else:
            looked += stretch
            stretch = min(stretch * 2, LONGEST)
        place = replace(place, after=end)
        if len(found) == LENGTH:
            return Found(messages=tuple(found), next=end)
        if time.monotonic() - began > BUDGET:
            return Found(messages=tuple(found), next=end, looked=looked)


def _find_end(
    conn: psycopg.Connection[Any], table: sql.Identifier, place: Search, stretch: int
) -> int | None:
    """The last msg_id of a range, None if the table ends before."""
    query = sql.SQL(load_sql(__name__, "stretch")).format(
        table=table, beyond=_beyond(place), order=_order(place), offset=sql.Literal(stretch - 1)
    )
    row = conn.execute(query).fetchone()
    return row[0] if row else None


def _match(conn: psycopg.Connection[Any], table: sql.Identifier, place: Search, end: int | None) -> list[int]:
    """The first BATCH ids in a range that match the search, whatever their state."""
    within: sql.Composable = sql.SQL("true")
    if end is not None:
        within = sql.SQL("msg_id >= {}" if place.newest else "msg_id <= {}").format(sql.Literal(end))
    query = sql.SQL(load_sql(__name__, "match")).format(
        table=table,
        within=within,
        beyond=_beyond(place),
        filters=sql.SQL(" AND ").join(_filter(place)),
        order=_order(place),
        limit=sql.Literal(BATCH),
    )
    return [row[0] for row in conn.execute(query)]


def _filter(search: Search) -> Iterator[sql.Composable]:
    if search.text:
        yield sql.SQL("strpos(lower(message::text), lower({})) > 0").format(sql.Literal(search.text))
    if search.key:
        yield sql.SQL(load_sql(__name__, "key")).format(key=sql.Literal(search.key))
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
