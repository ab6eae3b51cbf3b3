"""Sends archived messages again: each batch and its progress in one transaction, so that no message is sent
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.operate import progress
from changelane.runner.operate.send import wake
from changelane.runner.operate.where import evaluate, select
from changelane.runner.queue.identity import Queue

BATCH = 1000
BYTES = 8 * 1024 * 1024
"""Bytes of the messages of a batch, as stored."""

SHOWN = 5
"""Left-out messages named in the notice, at most."""


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
    """Send the messages archived from ``since`` to before ``until`` again, in the order of their ids.

    Yields the total sent, after each batch. An interrupted run with the same ``asked`` continues with its
    count, ``since`` and ``until``. Each message gets a new id, the header ``replayed_from`` with its old one,
    and all its attempts; the archive stays as it is. ``where`` is as for ``where.evaluate``. ``notify`` is
    told of messages that are left out. ``conn`` is in autocommit. Raises ChangelaneError, psycopg.Error.
    """
    if conn.execute(_compose("any", queue)).fetchone() is None:
        raise DatabaseError(
            f"the archive of queue {queue.name} is empty",
            fix="handled messages are kept once the queue declares `archive: {keep: 30 days}`",
        )
    with evaluate(conn, where, table=queue.archive):
        # Check the expression first: a task that starts with a broken one would block the next request.
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
        notify(f"not sent again, because the queue still holds them: {named}")
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
                    f"another replay of queue {queue.name} is running", fix="let it end, then look again"
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
    """The ids of the first messages that together take at most BYTES, and of at least one."""
    ids: list[int] = []
    left = BYTES
    for msg_id, size in rows:
        left -= size
        if ids and left < 0:
            break
        ids.append(msg_id)
    return ids


def _compose(name: str, queue: Queue, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(load_sql(__name__, f"replay/{name}")).format(
        archive=queue.archive, queue=queue.table, **parts
    )
