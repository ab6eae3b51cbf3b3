"""Messages of a queue by state and search, a page at a time, in a time that does not follow the depth.

Messages are looked through in stretches of their index, until a page is full or the time is up; then the
answer says how far it came, and the next request goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import class_row

from changelane.runner.dashboard.sample import CAP

_SQL = Path(__file__).parent / "sql"

PAGE = 50
BUDGET = 0.15
"""Seconds after which no further stretch is begun."""

STRETCH = 2000
"""Messages of the first stretch; each is double the one before."""

LONGEST = 64_000
FEW = 2000
"""Where a state has no more than so many messages, they are found by the index of vt."""

STATES = {
    "all": "All in the queue",
    "available": "Available",
    "delayed": "Delayed",
    "leased": "Leased",
    "blocked": "Blocked",
    "archived": "Archived",
}

_VT = {
    "available": sql.SQL("vt <= now()"),
    "delayed": sql.SQL("vt > now() AND read_ct = 0"),
    "leased": sql.SQL("vt > now() AND vt <= now() + interval '50 years' AND read_ct > 0"),
    "blocked": sql.SQL("vt > now() + interval '50 years'"),
}
"""``blocked`` as the worker's ``on_exhausted: block`` leaves them."""

_RANGE = {
    "available": sql.SQL("vt <= now()"),
    "delayed": sql.SQL("vt > now()"),
    "leased": sql.SQL("vt > now() AND vt <= now() + interval '50 years'"),
    "blocked": sql.SQL("vt > now() + interval '50 years'"),
}
"""What of a state the index of vt alone can tell."""

_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to show. ``after`` is the msg_id to go on from; ``text`` is part of the payload, ``key`` of the
    message's key or group; ``since`` and ``until`` bound ``enqueued_at``.
    """

    state: str = "all"
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
class Message:
    """A line of the list. ``start`` is the beginning of the payload; ``due`` seconds until vt."""

    msg_id: int
    read_ct: int
    enqueued_at: datetime
    vt: datetime
    archived_at: datetime | None
    due: float
    key: str | None
    start: str
    size: int

    @property
    def state(self) -> str:
        if self.archived_at is not None:
            return "archived"
        if self.due <= 0:
            return "available"
        if self.due > 49 * 365 * 86400:
            return "blocked"
        return "leased" if self.read_ct else "delayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page. ``next`` is where the next one goes on, None at the end. ``looked`` is how many messages were
    looked at where the time was up before the page was full, and ``stopped`` whether it was a single
    statement that took too long.
    """

    messages: tuple[Message, ...]
    next: int | None = None
    looked: int | None = None
    stopped: bool = False


def browse(conn: psycopg.Connection[Any], table: sql.Identifier, search: Search) -> Found:
    """One page of the messages of a queue's table or archive. ``conn`` is in a transaction.

    Raises psycopg.Error.
    """
    began = time.monotonic()
    if search.state in _RANGE:
        few = _find_few(conn, table, search)
        if few is not None:
            return _read_page(conn, table, search, sql.SQL("msg_id = ANY ({})").format(sql.Literal(few)))
    elif not search.filtered:
        return _read_page(conn, table, search, sql.SQL("true"))
    return _scan(conn, table, search, began=began)


def count_states(conn: psycopg.Connection[Any], table: sql.Identifier) -> dict[str, int]:
    """How many messages are in each state, by the index of vt; CAP + 1 stands for more."""
    query = sql.SQL((_SQL / "states.sql").read_text()).format(queue=table, cap=sql.Literal(CAP + 1))
    row = conn.execute(query).fetchone()
    assert row is not None
    return dict(zip(("available", "later", "delayed", "leased", "blocked"), row, strict=True))


def _scan(conn: psycopg.Connection[Any], table: sql.Identifier, search: Search, *, began: float) -> Found:
    found: list[Message] = []
    looked, stretch, place = 0, STRETCH, search
    while True:
        end = _find_end(conn, table, place, stretch)
        low, high = _bounds(place, end)
        within = sql.SQL("msg_id BETWEEN {} AND {}").format(sql.Literal(low), sql.Literal(high))
        try:
            with conn.transaction():
                page = _read_page(conn, table, place, within, limit=PAGE - len(found))
        except errors.QueryCanceled:
            return Found(messages=tuple(found), next=place.after, looked=looked, stopped=True)
        found += page.messages
        if page.next is not None:
            return Found(messages=tuple(found), next=page.next)
        if end is None:
            return Found(messages=tuple(found))
        looked += stretch
        place = replace(place, after=end)
        if len(found) >= PAGE:
            return Found(messages=tuple(found), next=end)
        if time.monotonic() - began > BUDGET:
            return Found(messages=tuple(found), next=end, looked=looked)
        stretch = min(stretch * 2, LONGEST)


def _find_end(
    conn: psycopg.Connection[Any], table: sql.Identifier, place: Search, stretch: int
) -> int | None:
    """The last msg_id of a stretch, None where the table ends before."""
    query = sql.SQL((_SQL / "stretch.sql").read_text()).format(
        table=table, beyond=_beyond(place), order=_order(place), offset=sql.Literal(stretch - 1)
    )
    row = conn.execute(query).fetchone()
    return row[0] if row else None


def _bounds(place: Search, end: int | None) -> tuple[int, int]:
    if place.newest:
        return end if end is not None else -_LAST, _LAST if place.after is None else place.after - 1
    return -_LAST if place.after is None else place.after + 1, end if end is not None else _LAST


def _find_few(conn: psycopg.Connection[Any], table: sql.Identifier, search: Search) -> list[int] | None:
    """The ids of all that may be of the state, None where they are many."""
    query = sql.SQL((_SQL / "few.sql").read_text()).format(
        table=table, range=_RANGE[search.state], limit=sql.Literal(FEW + 1)
    )
    ids = [row[0] for row in conn.execute(query)]
    return ids if len(ids) <= FEW else None


def _read_page(
    conn: psycopg.Connection[Any],
    table: sql.Identifier,
    search: Search,
    within: sql.Composable,
    *,
    limit: int = PAGE,
) -> Found:
    query = sql.SQL((_SQL / "messages.sql").read_text()).format(
        table=table,
        archived_at=sql.SQL("archived_at" if search.state == "archived" else "NULL::timestamptz"),
        within=within,
        beyond=_beyond(search),
        filters=sql.SQL(" AND ").join(_filter(search)),
        order=_order(search),
        limit=sql.Literal(limit + 1),
    )
    with conn.cursor(row_factory=class_row(Message)) as cursor:
        rows = cursor.execute(query).fetchall()
    messages = tuple(rows[:limit])
    return Found(messages=messages, next=messages[-1].msg_id if len(rows) > limit and messages else None)


def _filter(search: Search) -> Iterator[sql.Composable]:
    yield _VT.get(search.state, sql.SQL("true"))
    if search.text:
        yield sql.SQL("strpos(lower(message::text), lower({})) > 0").format(sql.Literal(search.text))
    if search.key:
        yield sql.SQL((_SQL / "key.sql").read_text()).format(key=sql.Literal(search.key))
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
