"""Dead letters: find them, read them, redrive them to their queue, or discard them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.manifest import Manifest
from changelane.contract.sql_text import load_sql
from changelane.errors import ChangelaneError, DatabaseError, ManifestError
from changelane.runner.live.queue_tables import name_queue
from changelane.runner.operate.readable_rows import UNREADABLE, Rows, read_readable_rows
from changelane.runner.operate.where import evaluate, select
from changelane.runner.queue.identity import find_queue
from changelane.runner.queue.unreadable import fetch
from changelane.suggestion import suggest


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """``queue`` holds the dead letters of ``source``."""

    queue: str
    source: str

    @property
    def table(self) -> sql.Identifier:
        return name_queue(self.queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One dead letter. ``queue`` and ``msg_id`` name the original message.

    For a message that no worker put here, they and ``attempts`` are None, and ``error`` and ``traceback`` are
    empty. ``key``, ``message`` and ``headers`` are JSON as text, so that numbers stay exact.
    """

    id: int
    failed_at: datetime
    queue: str | None
    msg_id: int | None
    attempts: int | None
    error: str
    traceback: str
    key: str | None
    message: str
    headers: str | None


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """The start of an error, the number of letters that have it, and when the first and the last failed."""

    error: str
    count: int
    first: datetime
    last: datetime

    @property
    def where(self) -> str:
        """An SQL expression that is true for these letters."""
        return f"starts_with(headers->'dead_letter'->>'error', {sql.Literal(self.error).as_string()})"


def find_dead_letter_queue(manifest: Manifest, name: str) -> DeadLetterQueue:
    """The dead-letter queue of queue ``name``, which may also be the name of a dead-letter queue.

    Raises ManifestError for a name that is neither.
    """
    letters = {queue.name: queue.dead_letter for queue in manifest.queues if queue.dead_letter}
    letters |= {consumer.queue: consumer.dead_letter for consumer in manifest.consumers}
    if name in letters:
        return DeadLetterQueue(letters[name], name)
    for source, queue in letters.items():
        if queue == name:
            return DeadLetterQueue(queue, source)
    known = ", ".join(sorted(letters)) or "none"
    raise ManifestError(
        f"queue {name} has no dead letters",
        fix=suggest(name, letters, otherwise=f"queues that have: {known}"),
    )


def choose(
    conn: psycopg.Connection[Any],
    dlq: DeadLetterQueue,
    *,
    ids: Sequence[int] = (),
    where: str | None = None,
    limit: int | None = None,
    seconds: float | None = None,
    confined: bool = False,
) -> list[int]:
    """The ids of dead letters, oldest first: all, or those of ``ids`` for which ``where`` is true.

    ``where``, ``seconds`` and ``confined`` are as for ``where.evaluate``. Raises ChangelaneError for a
    missing queue or id, and for a text that fails or is not an expression; psycopg.Error for the rest.
    """
    find_queue(conn, dlq.queue)
    listed = sql.SQL("msg_id = ANY ({}::bigint[])").format(sql.Literal(list(ids)))
    with evaluate(conn, where, table=dlq.table, seconds=seconds, confined=confined) as condition:
        _check_ids(conn, dlq, ids)
        query = sql.SQL(load_sql(__name__, "dead_letter/choose")).format(
            queue=dlq.table,
            where=condition,
            ids=listed if ids else sql.SQL("true"),
            limit=sql.SQL("ALL") if limit is None else sql.Literal(limit),
        )
        return [row[0] for row in select(conn, query)]


def read(conn: psycopg.Connection[Any], dlq: DeadLetterQueue, ids: Sequence[int]) -> list[Letter]:
    """The letters of these ids that still exist, oldest first."""

    def look(texts: str, id: int | None) -> Rows:
        query = sql.SQL(load_sql(__name__, "dead_letter/read")).format(
            texts=sql.SQL(load_sql(__name__, f"dead_letter/{texts}")).format(
                unreadable=sql.Literal(UNREADABLE)
            ),
            queue=dlq.table,
            ids=sql.Literal(list(ids) if id is None else [id]),
        )
        return fetch(conn.execute(query))

    with conn.transaction():
        rows = read_readable_rows(conn, look, forms=("texts", "texts_short", "texts_none"))
    return [_read_letter(*row) for row in rows]


def count_kinds(
    conn: psycopg.Connection[Any], dlq: DeadLetterQueue, *, limit: int, kinds: int
) -> list[ErrorKind]:
    """The ``kinds`` most frequent errors among the ``limit`` newest letters, the most frequent first."""
    query = sql.SQL(load_sql(__name__, "dead_letter/kinds")).format(
        queue=dlq.table, limit=sql.Literal(limit), kinds=sql.Literal(kinds)
    )
    return [ErrorKind(*row) for row in conn.execute(query)]


def redrive(conn: psycopg.Connection[Any], dlq: DeadLetterQueue, ids: Sequence[int]) -> dict[int, int]:
    """Send letters back to the source queue in one statement, so all or none; returns old ids to new.

    They get new ids and no notes on earlier attempts. Letters that another session took meanwhile are left
    out.
    """
    query = sql.SQL(load_sql(__name__, "dead_letter/redrive")).format(queue=dlq.table)
    return dict(conn.execute(query, {"ids": list(ids), "source": dlq.source}).fetchall())


def resend(conn: psycopg.Connection[Any], dlq: DeadLetterQueue, id: int, message: str) -> int | None:
    """Send JSON text in place of a letter's message, with its headers; returns the new id, None if the letter
    is gone. Raises ChangelaneError for text that jsonb cannot hold.
    """
    query = sql.SQL(load_sql(__name__, "dead_letter/resend")).format(queue=dlq.table)
    try:
        with conn.transaction():
            row = conn.execute(query, {"id": id, "source": dlq.source, "message": message}).fetchone()
    except (psycopg.DataError, UnicodeEncodeError) as error:
        known = error.diag if isinstance(error, psycopg.DataError) else None
        why = (known and (known.message_detail or known.message_primary)) or str(error)
        raise ChangelaneError(
            f"the message cannot be sent: {why}", fix="write JSON that jsonb holds"
        ) from None
    return row[0] if row else None


def discard(conn: psycopg.Connection[Any], dlq: DeadLetterQueue, ids: Sequence[int]) -> list[int]:
    """Delete letters; returns the ids of those that still existed."""
    query = sql.SQL(load_sql(__name__, "dead_letter/discard")).format(queue=dlq.table)
    return [row[0] for row in conn.execute(query, {"ids": list(ids)})]


def _read_letter(
    msg_id: int, failed_at: datetime, key: str | None, message: str, note: str | None, headers: str | None
) -> Letter:
    notes = json.loads(note or "{}")
    if not isinstance(notes, dict):
        notes = {}
    texts = {name: value for name, value in notes.items() if isinstance(value, str)}
    numbers = {name: value for name, value in notes.items() if isinstance(value, int)}
    return Letter(
        id=msg_id,
        failed_at=failed_at,
        queue=texts.get("queue"),
        msg_id=numbers.get("msg_id"),
        attempts=numbers.get("attempts"),
        error=texts.get("error", ""),
        traceback=texts.get("traceback", ""),
        key=key,
        message=message,
        headers=headers,
    )


def _check_ids(conn: psycopg.Connection[Any], dlq: DeadLetterQueue, ids: Sequence[int]) -> None:
    found = {letter.id for letter in read(conn, dlq, ids)} if ids else set()
    missing = [str(msg_id) for msg_id in dict.fromkeys(ids) if msg_id not in found]
    if missing:
        raise DatabaseError(
            f"queue {dlq.queue} holds no dead letter {', '.join(missing)}; nothing was changed",
            fix=f"`changelane dead-letter list {dlq.source}` shows those that are there",
        )
