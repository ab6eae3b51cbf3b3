"""Reads messages without a change to them, their lease or their count of deliveries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg import sql

from changelane.contract.sql_text import load_sql
from changelane.runner.operate.readable_rows import UNREADABLE, Rows, read_readable_rows
from changelane.runner.operate.where import evaluate, select
from changelane.runner.queue.identity import Queue
from changelane.runner.queue.worker_notes import STATE, read_count

State = Literal["available", "delayed", "leased", "blocked", "archived"]
STATES: tuple[State, ...] = ("available", "delayed", "leased", "blocked", "archived")

LOOK = 10_000
"""Messages that a page without an expression reads at most, which limits its cost."""

SECONDS = 10.0
"""Seconds after which a search by an expression gives up."""

_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. ``key``, ``message`` and ``headers`` are JSON as text, so that numbers stay exact.

    ``state``: available (or waiting for its key's turn); delayed (sent with a delay, or to be retried);
    leased (claimed, no outcome yet); blocked (failed, and blocks its key until a person decides); archived. A
    time that Python cannot hold is ``moment.FIRST`` or ``moment.LAST``. ``due`` is the next time that it can
    be claimed. ``deliveries`` counts its claims (pgmq's ``read_ct``, the fencing token), ``attempts`` those
    that failed; ``error`` is the last failure.
    """

    id: int
    state: State
    enqueued_at: datetime
    due: datetime
    archived_at: datetime | None
    deliveries: int
    attempts: int
    error: str
    key: str | None
    operation: str
    table: str
    message: str
    headers: str | None


_FIELDS = tuple(field.name for field in fields(Message))


@dataclass(frozen=True, slots=True)
class Page:
    """``next`` is the id after which the next page starts; None on the last page."""

    messages: tuple[Message, ...]
    next: int | None


def peek(
    conn: psycopg.Connection[Any],
    queue: Queue,
    *,
    state: State | None = None,
    ids: Sequence[int] = (),
    after: int | None = None,
    newest: bool = False,
    where: str | None = None,
    limit: int = 20,
) -> Page:
    """Messages in the order of their ids, or from the newest down; ``state`` None means all except archived
    ones.

    Without ``where``, a page reads at most LOOK messages: by id from ``after``, or, for messages that are not
    due yet, the ones due first. So it may hold fewer than ``limit`` and still have a ``next``. ``where`` is
    as for ``where.evaluate``. Raises ChangelaneError after SECONDS; psycopg.Error.
    """
    archived = state == "archived"
    table = queue.archive if archived else queue.table
    by_due = state in ("delayed", "leased", "blocked")
    window = "ids" if ids else "search" if where is not None else "due" if by_due else "page"
    parts = {
        "table": table,
        "ids": sql.Literal(list(ids)),
        "beyond": sql.SQL("<" if newest else ">"),
        "after": sql.Literal((_LAST if newest else 0) if after is None else after),
        "direction": sql.SQL("DESC" if newest else "ASC"),
        "soonest": sql.SQL("DESC" if state == "blocked" else "ASC"),
        "look": sql.Literal(LOOK),
    }
    with evaluate(conn, where, table=table, seconds=SECONDS) as condition:

        def look(texts: str, id: int | None) -> Rows:
            place, chosen = (window, parts) if id is None else ("ids", {**parts, "ids": sql.Literal([id])})
            query = _read("peek").format(
                texts=_read(texts).format(unreadable=sql.Literal(UNREADABLE)),
                window=_read(f"window_{place}").format(where=condition, **chosen),
                state=_read("archived") if archived else STATE,
                attempts=read_count("attempts"),
                archived_at=sql.SQL("archived_at" if archived else "NULL::timestamptz"),
                wanted=sql.SQL("true") if state is None else sql.SQL("state = {}").format(sql.Literal(state)),
                limit=sql.Literal(limit + 1),
                direction=parts["direction"],
            )
            return select(conn, query)

        rows = read_readable_rows(conn, look, forms=("texts", "texts_short", "texts_none"))
        messages = tuple(Message(**row) for row in _name(rows))
        if len(messages) > limit:
            return Page(messages[:limit], messages[limit - 1].id)
        if window != "page" or state is None:
            return Page(messages, None)
        seen = select(conn, _read("looked").format(**parts))
        return Page(messages, seen[0][0] if seen else None)


def _name(rows: list[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield dict(zip(_FIELDS, row, strict=True))


def _read(name: str) -> sql.SQL:
    return sql.SQL(load_sql(__name__, f"peek/{name}"))
