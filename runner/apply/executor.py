"""Runs the steps of a plan in short transactions. None waits longer than a second at a time for a lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import psycopg
from psycopg import errors

from changelane.errors import DatabaseError, LockNotObtained
from changelane.runner.apply.step import Step
from changelane.runner.apply.transaction_sql import open_transaction, read_parts, read_sql
from changelane.runner.live import pgmq
from changelane.runner.live.lock_wait import GONE, WaitLimit, find_blockers
from changelane.runner.live.session import explain
from changelane.text import spell

Transaction = list[Step]

LONGEST_WAIT = "SET lock_timeout = '10s'; SET statement_timeout = 0"
"""For a statement that waits for others without blocking them, and may itself take long."""


def run(
    conn: psycopg.Connection[Any],
    steps: Sequence[Step],
    *,
    files: dict[str, bytes],
    max_wait: float,
    together: bool = False,
    report: Callable[[Step], None],
    notify: Callable[[str], None],
) -> None:
    """Run the steps: neighbours of the same transaction together, or all ``together`` in one; report each
    step that is committed.

    A table that another session locks is tried again after the others. Raises LockNotObtained when a table
    stays locked after ``max_wait`` seconds in all, DatabaseError when a step fails. Transactions that were
    committed before stay.
    """
    patience = WaitLimit(max_wait)
    left = list(steps)
    for stage in [[list(steps)]] if together and steps else _divide(steps):
        waiting = stage
        while waiting:
            locked = []
            for transaction in waiting:
                if not _attempt(conn, transaction, files=files, done=len(steps) - len(left), left=left):
                    locked.append(transaction)
                    continue
                for step in transaction:
                    left.remove(step)
                    report(step)
            waiting = locked
            if waiting:
                held = "; ".join(_describe(conn, transaction) for transaction in waiting)
                if not patience.wait():
                    raise LockNotObtained(
                        f"not obtained within {max_wait:g} s: {held}",
                        fix=f"{len(steps) - len(left)} of {len(steps)} steps are done and hold; "
                        f"run again to do the other {len(left)}, or wait longer with --max-wait",
                    )
                notify(f"waiting for {held}")


def _divide(steps: Sequence[Step]) -> list[list[Transaction]]:
    """Stages of transactions. A stage holds transactions that each lock a table and can run in any order, or
    a single transaction that locks none.
    """
    stages: list[list[Transaction]] = []
    loose = False
    for _, group in groupby(steps, key=lambda step: step.transaction):
        transaction = list(group)
        locks = any(step.mode != "none" for step in transaction)
        if locks and loose:
            stages[-1].append(transaction)
        else:
            stages.append([transaction])
        loose = locks
    return stages


def _describe(conn: psycopg.Connection[Any], transaction: Transaction) -> str:
    exclusive = any(step.mode == "ACCESS EXCLUSIVE" for step in transaction)
    tables = list(dict.fromkeys(step.table for step in transaction if step.table and step.mode != "none"))
    held = {table: find_blockers(conn, table=table, exclusive=exclusive) for table in tables}
    if not any(held.values()):
        return f"the lock on {spell(tables[0]) if tables else 'the catalog'}, held by {GONE}"
    return "; ".join(
        f"the lock on {spell(table)}, held by {holders}" for table, holders in held.items() if holders
    )


def _attempt(
    conn: psycopg.Connection[Any],
    transaction: Transaction,
    *,
    files: dict[str, bytes],
    done: int,
    left: Sequence[Step],
) -> bool:
    """Do all the steps or none. False when a lock was not granted."""
    current = transaction[0]
    try:
        if len(transaction) == 1 and current.alone:
            _run_alone(conn, current, files)
            return True
        with conn.transaction():
            _open(conn, transaction)
            for current in transaction:
                sql = read_sql(current, files)
                if sql is None:
                    pgmq.install(conn)
                else:
                    conn.execute(sql.encode(conn.info.encoding), prepare=False)
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        return False
    except (psycopg.Error, DatabaseError) as error:
        raise _explain(error, current, transaction, lost=conn.broken, done=done, left=left) from error
    return True


def _run_alone(conn: psycopg.Connection[Any], step: Step, files: dict[str, bytes]) -> None:
    """Run one statement at a time. Each one replaces the leftovers of an earlier attempt that was
    interrupted.
    """
    # These statements cannot run in a transaction, so they cannot be pinned; they qualify every name instead.
    plain = psycopg.Cursor(conn)
    plain.execute(LONGEST_WAIT)
    try:
        for sql in read_parts(step, files):
            plain.execute(sql.encode(conn.info.encoding), prepare=False)
    finally:
        if not conn.broken:
            plain.execute("RESET lock_timeout; RESET statement_timeout")


def _open(conn: psycopg.Connection[Any], transaction: Transaction) -> None:
    try:
        conn.execute(open_transaction(transaction).encode(conn.info.encoding))
    except errors.QueryCanceled:
        # The one second for all locks together has passed.
        raise errors.LockNotAvailable from None


def _explain(
    error: psycopg.Error | DatabaseError,
    step: Step,
    transaction: Transaction,
    *,
    lost: bool,
    done: int,
    left: Sequence[Step],
) -> DatabaseError:
    """The failure, the steps that are committed, and the work of the next run."""
    cause = error if isinstance(error, DatabaseError) else explain(error, doing=str(step))
    # If the connection is lost during COMMIT, we cannot know whether the transaction was committed.
    doubt = lost and step is transaction[-1]
    return DatabaseError(
        cause.what,
        fix=f"{cause.fix}. {done} of {done + len(left)} steps are done and hold; "
        f"the transaction {transaction[0].transaction!r} {'may hold or not' if doubt else 'left nothing'}; "
        f"the next run does the remaining steps, beginning with {left[0]}",
    )
