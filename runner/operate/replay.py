"""Archived messages, sent again: each batch with its progress in one transaction, so that none is doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from changelane.errors import DatabaseError
from changelane.runner.operate import progress
from changelane.runner.operate.send import wake
from changelane.runner.operate.where import evaluate, select
from changelane.runner.queue.identity import Queue

BATCH = 1000
BYTES = 8 * 1024 * 1024
"""Of the messages of a batch, as stored."""

SHOWN = 5
"""Messages that are named of those set aside."""

_SQL = Path(__file__).parent / "sql" / "replay"


def replay(
    conn: psycopg.Connection[Any],
    queue: Queue,
    *,
    since: datetime,
    until: datetime,
    where: str | None = None,
    asked: progress.Asked,
    restart: bool = False,
    batch: int = BATCH,
    notify: Callable[[str], None],
) -> Iterator[int]:
    """Send what was archived from ``since`` to before ``until`` again, in the order of its ids.

    Yields how many are sent in all, after each batch. A run with the same ``asked`` that was cut short goes
    on: its count, ``since`` and ``until`` hold. Each message gets a new id, the header ``replayed_from``
    with its old one, and no attempt is spent; the archive stays as it is. ``where`` is as ``filter.evaluate``
    takes it; ``notify`` is told what is set aside. ``conn`` is in autocommit. Raises ChangelaneError,
    psycopg.Error.
    """
    if conn.execute(_compose("any", queue)).fetchone() is None:
        raise DatabaseError(
            f"the archive of queue {queue.name} is empty",
            help="handled messages are kept once the queue declares `archive: {keep: 30 days}`",
        )
    with evaluate(conn, where, table=queue.archive):
        # What can never be run is not begun: it would be in the way of what can.
        pass
    task = f"replay {queue.name}"
    begun = progress.begin(
        conn,
        task,
        asked=asked,
        fixed={"from": since.isoformat(), "to": until.isoformat()},
        restart=restart,
    )
    bounds = {"since": sql.Literal(begun.asked["from"]), "until": sql.Literal(begun.asked["to"])}
    after = begun.after or 0
    copies = conn.execute(_compose("copies", queue, **bounds, limit=sql.Literal(SHOWN + 1))).fetchall()
    if copies:
        named = ", ".join(str(msg_id) for (msg_id,) in copies[:SHOWN]) + ", ..." * (len(copies) > SHOWN)
        notify(f"not sent again, for the queue holds them as well as its archive: {named}")
    while True:
        with evaluate(conn, where, table=queue.archive) as condition:
            values = {"after": sql.Literal(after), "where": condition, "limit": sql.Literal(batch)}
            ids = _fit(select(conn, _compose("choose", queue, **bounds, **values)))
        with conn.transaction():
            found = progress.look(conn, task)
            if found is None:
                return
            if (found.after or 0) != after:
                raise DatabaseError(
                    f"another replay of queue {queue.name} is running", help="let it end, then look again"
                )
            if not ids:
                progress.end(conn, task)
                return
            row = conn.execute(_compose("send", queue), {"ids": ids, "queue": queue.name}).fetchone()
            sent = row[0] if row else 0
            after = ids[-1]
            progress.advance(conn, task, after=after, sent=sent)
            wake(conn, queue)
        yield found.done + sent


def _fit(rows: list[tuple[Any, ...]]) -> list[int]:
    """The ids of the first messages that together take BYTES at most, or of the first one."""
    ids: list[int] = []
    left = BYTES
    for msg_id, size in rows:
        left -= size
        if ids and left < 0:
            break
        ids.append(msg_id)
    return ids


def _compose(name: str, queue: Queue, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL((_SQL / f"{name}.sql").read_text()).format(
        archive=queue.archive, queue=queue.table, **parts
    )
