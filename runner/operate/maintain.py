"""Maintenance of archives, dead letters and partitions, by hand or by cron, beside the worker's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import psycopg
from psycopg import errors, sql

from changelane.contract.manifest import Manifest, Queue
from changelane.contract.queue_name import archive_table, queue_table
from changelane.contract.sql_text import load_sql
from changelane.errors import ChangelaneError, DatabaseError, LockNotObtained, ManifestError
from changelane.runner.live.lock_wait import GONE, WaitLimit, find_blockers
from changelane.runner.live.partman import Partman, observe_partman
from changelane.runner.live.queue_tables import Table
from changelane.runner.queue.pruning import prune, prune_letters
from changelane.suggestion import suggest

_PARTITIONS = sql.SQL(load_sql(__name__, "maintain/partitions"))
_WAITING = sql.SQL(load_sql(__name__, "maintain/waiting"))
_SORT_IN = sql.SQL(load_sql(__name__, "maintain/sort_in"))
_RUN = sql.SQL(load_sql(__name__, "maintain/run"))

LOCK_TIMEOUT = 1.0
OPENING = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT:g}s'; SET LOCAL TimeZone = 'UTC'"
"""No sender waits behind our lock request for longer. pg_partman cuts at midnight in the session's time zone,
so another zone than for earlier partitions would leave gaps between them.
"""

NEWS = 5.0
"""Seconds between two notes on the progress of one archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMaintenance:
    """The work done for one queue: archived messages and dead letters pruned, partitions made and dropped,
    and messages moved from the default partition into their own.
    """

    queue: str
    kind: str
    pruned: int = 0
    letters: int = 0
    made: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    moved: int = 0


def choose(manifest: Manifest, names: Sequence[str]) -> list[Queue]:
    """The named queues, or all, that need maintenance. Raises ManifestError for an unknown name."""
    queues = {queue.name: queue for queue in manifest.queues}
    for name in names:
        if name not in queues:
            raise ManifestError(
                f"no queue is called {name}",
                fix=suggest(name, queues, otherwise=f"the queues are: {', '.join(sorted(queues))}"),
            )
    chosen = [queues[name] for name in dict.fromkeys(names)] or list(queues.values())
    return [queue for queue in chosen if queue.archive or queue.partition or _find_keep(queue)]


def maintain(
    conn: psycopg.Connection[Any],
    queues: Sequence[Queue],
    *,
    max_wait: float,
    notify: Callable[[str], None],
) -> Iterator[QueueMaintenance]:
    """Prune archives and dead letters, and let pg_partman make and drop partitions; yields the work done for
    each queue.

    ``conn`` is in autocommit. ``max_wait`` is in seconds, for each lock. Continues after a queue that fails.
    At the end, raises LockNotObtained or the first queue's ChangelaneError.
    """
    problems: list[ChangelaneError] = []
    partman = observe_partman(conn) if any(queue.partition for queue in queues) else Partman()
    for queue in queues:
        try:
            done = QueueMaintenance(queue=queue.name, kind=queue.kind)
            if queue.partition:
                done = _keep_partitions(conn, queue.name, done, partman, max_wait=max_wait, notify=notify)
            elif queue.archive:
                step = partial(prune, conn, queue=queue.name, keep=queue.archive.keep)
                done = replace(done, pruned=_prune(step, "archive", queue, max_wait=max_wait, notify=notify))
            if queue.dead_letter and (keep := _find_keep(queue)):
                step = partial(prune_letters, conn, queue=queue.dead_letter, keep=keep)
                letters = _prune(step, "dead letters", queue, max_wait=max_wait, notify=notify)
                done = replace(done, letters=letters)
            yield done
        except errors.UndefinedTable:
            problems.append(DatabaseError(f"queue {queue.name} does not exist", fix="run `changelane apply`"))
        except ChangelaneError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


def _find_keep(queue: Queue) -> int | None:
    """Seconds for which the queue's dead letters are kept, None for ever."""
    return queue.dead_letters.keep if queue.dead_letters else None


def _prune(
    step: Callable[[], int | None],
    kind: str,
    queue: Queue,
    *,
    max_wait: float,
    notify: Callable[[str], None],
) -> int:
    total, news, patience = 0, time.monotonic() + NEWS, WaitLimit(max_wait)
    while True:
        count = step()
        total += count or 0
        if count is None:
            # A worker prunes here now. It also does one batch at a time, so our turn may come.
            if not patience.wait():
                raise LockNotObtained(
                    f"another process prunes the {kind} of queue {queue.name}", fix="run again"
                )
        elif count == 0:
            return total
        if time.monotonic() > news:
            what = "archived messages" if kind == "archive" else kind
            notify(f"queue {queue.name}: {total:,} {what} pruned so far")
            news = time.monotonic() + NEWS


def _keep_partitions(
    conn: psycopg.Connection[Any],
    queue: str,
    done: QueueMaintenance,
    partman: Partman,
    *,
    max_wait: float,
    notify: Callable[[str], None],
) -> QueueMaintenance:
    if partman.schema is None:
        raise DatabaseError(
            f"queue {queue} is partitioned, and pg_partman is not installed in the database",
            fix="restore pg_partman with its configuration; only it creates and drops partitions",
        )
    for table in (queue_table(queue), archive_table(queue)):
        before, spare = _list_partitions(conn, table)
        values = {"schema": sql.Identifier(partman.schema), "table": sql.Literal(f"pgmq.{table}")}
        if spare and _has_rows(conn, spare):
            while moved := _attempt(
                conn, _SORT_IN.format(**values), table=table, max_wait=max_wait, notify=notify
            ):
                done = replace(done, moved=done.moved + moved)
        _attempt(conn, _RUN.format(**values), table=table, max_wait=max_wait, notify=notify)
        after, _ = _list_partitions(conn, table)
        done = replace(
            done,
            made=(*done.made, *(name for name in after if name not in before)),
            dropped=(*done.dropped, *(name for name in before if name not in after)),
        )
    return done


def _list_partitions(conn: psycopg.Connection[Any], table: str) -> tuple[list[str], str | None]:
    name = sql.Literal(Table(table).as_string())
    found = conn.execute(_PARTITIONS.format(table=name)).fetchone()
    return (found[0], found[1]) if found else ([], None)


def _has_rows(conn: psycopg.Connection[Any], table: str) -> bool:
    statement = _WAITING.format(default_partition=Table(table))
    return conn.execute(statement).fetchone() == (True,)


def _attempt(
    conn: psycopg.Connection[Any],
    statement: sql.Composed,
    *,
    table: str,
    max_wait: float,
    notify: Callable[[str], None],
) -> int:
    """Call a function of pg_partman in a transaction of its own; returns its result, 0 for nothing."""
    patience = WaitLimit(max_wait)
    while True:
        began = time.monotonic()
        try:
            with conn.transaction():
                conn.execute(OPENING)
                row = conn.execute(statement).fetchone()
            return int(row[0] or 0) if row else 0
        except errors.DeadlockDetected:
            holders = GONE
        except (errors.LockNotAvailable, errors.RaiseException):
            # pg_partman raises the errors that it catches again under its own code.
            holders = find_blockers(conn, table=("pgmq", table), exclusive=True) or GONE
            if time.monotonic() - began < LOCK_TIMEOUT:
                raise
        if not patience.wait():
            raise LockNotObtained(
                f"the lock on pgmq.{table} was not obtained within {max_wait:g} s, held by {holders}",
                fix="the finished work stays; run again, or wait longer with --max-wait",
            )
        notify(f"waiting for the lock on pgmq.{table}, held by {holders}")
