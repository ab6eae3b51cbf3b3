"""Sends existing rows as snapshots: each chunk and its progress in one transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from changelane.contract.sql_text import load_sql
from changelane.errors import LockNotObtained
from changelane.runner.live.lock_wait import WaitLimit
from changelane.runner.live.queue_tables import name_queue
from changelane.runner.operate import progress
from changelane.text import spell

LOCK_TIMEOUT = "1s"
PAUSE = 0.5
"""Seconds between checks of a queue that is too deep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The rows of one table. ``setup`` is SQL that makes ``pg_temp.changelane_backfill`` until the
    transaction ends; rows inserted there are sent. ``where`` is checked SQL over the table as ``source``.

    ``whole`` marks a partitioned table, whose rows are in its partitions. ``key`` is its primary key.
    """

    project: str
    route: str
    schema: str
    table: str
    key: Sequence[str]
    whole: bool
    queues: Sequence[str]
    setup: str
    where: str

    @property
    def name(self) -> str:
        return spell((self.schema, self.table))


@dataclass(frozen=True, slots=True)
class Step:
    """``sent`` counts all rows so far. ``total`` estimates the rows of the table, None if unknown."""

    sent: int
    total: int | None


def backfill(
    conn: psycopg.Connection[Any],
    source: Source,
    *,
    asked: progress.Asked,
    chunk: int,
    restart: bool = False,
    max_depth: int | None = None,
    max_wait: float = 60.0,
    notify: Callable[[str], None],
) -> Iterator[Step]:
    """Send the rows in the order of the primary key, ``chunk`` keys per transaction; yields after each.

    An interrupted run with the same ``asked`` is continued. A row is locked in share mode from its reading to
    the commit, so a later change of it is sent later. While a queue holds ``max_depth`` messages, it waits.
    ``conn`` is in autocommit. Raises LockNotObtained if a row stays locked for ``max_wait`` seconds;
    DatabaseError, psycopg.Error.
    """
    task = f"backfill {source.project} {source.route} {source.name}"
    progress.begin(conn, task, asked=asked, restart=restart)
    total = _estimate(conn, source)
    patience = WaitLimit(max_wait)
    while True:
        if max_depth is not None:
            _wait(conn, source, max_depth=max_depth, notify=notify)
        try:
            with conn.transaction():
                conn.execute(load_sql(__name__, "backfill/guard"), [LOCK_TIMEOUT])
                found = progress.look(conn, task)
                if found is None:
                    return
                sent, after = _send(conn, source, after=found.after, chunk=chunk)
                if after is None:
                    progress.end(conn, task)
                else:
                    progress.advance(conn, task, after=after, sent=sent)
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if not patience.wait():
                raise LockNotObtained(
                    f"rows of {source.name} are locked by others",
                    fix="sent messages stay sent; run again to go on, or wait longer with --max-wait",
                ) from None
            continue
        patience = WaitLimit(max_wait)
        yield Step(found.done + sent, total)
        if after is None:
            return


def send_row(conn: psycopg.Connection[Any], source: Source, key: dict[str, str]) -> int | None:
    """Send the row of this primary key, texts by column, as a snapshot; returns how many messages that made:
    none where the route's condition does not hold. None if there is no such row.

    ``conn`` is in a transaction. Raises psycopg.Error.
    """
    conn.execute(load_sql(__name__, "backfill/guard"), [LOCK_TIMEOUT])
    queues = {name: name_queue(name) for name in source.queues}
    before = {
        name: conn.execute(_read("newest").format(queue=table)).fetchone() for name, table in queues.items()
    }
    parts = _compose(source)
    bound = _read("bound").format(sign=sql.SQL("="), key=sql.Literal(json.dumps(key)), **parts)
    conn.execute(source.setup.encode())
    copied = conn.execute(_read("copy").format(beyond=bound, within=sql.SQL("true"), **parts))
    if not copied.rowcount:
        return None
    sent = 0
    for name, table in queues.items():
        row = conn.execute(_read("sent").format(queue=table), before[name]).fetchone()
        sent += row[0] if row else 0
    return sent


def _compose(source: Source) -> dict[str, sql.Composable]:
    """What the statements of a chunk name."""
    names = sql.SQL(", ").join(sql.Identifier("source", name) for name in source.key)
    return {
        "table": sql.SQL("{} {}").format(
            sql.SQL("" if source.whole else "ONLY"), sql.Identifier(source.schema, source.table)
        ),
        "row": sql.Identifier(source.schema, source.table),
        "names": names,
        "plain": sql.SQL(", ").join(map(sql.Identifier, source.key)),
        "where": sql.SQL(source.where),
    }


def _send(
    conn: psycopg.Connection[Any], source: Source, *, after: str | None, chunk: int
) -> tuple[int, str | None]:
    """The number of rows that the next chunk sent, and its last key as JSON text. The last chunk has no key:
    None.
    """
    parts: dict[str, sql.Composable] = {
        **_compose(source),
        "pairs": sql.SQL(", ").join(
            sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier("source", name)) for name in source.key
        ),
        "chunk": sql.Literal(chunk),
    }

    def bound(sign: str, key: str | None) -> sql.Composable:
        if key is None:
            return sql.SQL("true")
        return _read("bound").format(sign=sql.SQL(sign), key=sql.Literal(key), **parts)

    start = bound(">", after)
    row = conn.execute(_read("last").format(beyond=start, **parts)).fetchone()
    last: str | None = row[0] if row else None
    conn.execute(source.setup.encode())
    copied = conn.execute(_read("copy").format(beyond=start, within=bound("<=", last), **parts))
    return copied.rowcount, last


def _estimate(conn: psycopg.Connection[Any], source: Source) -> int | None:
    name = sql.Identifier(source.schema, source.table).as_string()
    row = conn.execute(load_sql(__name__, "backfill/estimate"), {"table": name}).fetchone()
    return int(row[0]) if row and row[0] else None


def _wait(
    conn: psycopg.Connection[Any], source: Source, *, max_depth: int, notify: Callable[[str], None]
) -> None:
    told = False
    for queue in source.queues:
        query = _read("depth").format(queue=name_queue(queue), depth=sql.Literal(max_depth))
        while conn.execute(query).fetchone() == (max_depth,):
            if not told:
                notify(f"queue {queue} holds {max_depth} messages or more: waiting for its workers")
                told = True
            time.sleep(PAUSE)


def _read(name: str) -> sql.SQL:
    return sql.SQL(load_sql(__name__, f"backfill/{name}"))
