"""Handlers: each change writes one row of the ledger, and then fails as its kind says."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from threading import local

import psycopg

from changelane import Change

EXIT = 77

SLOW = 3.0
"""Seconds: longer than the lease, shorter than the timeout."""

LATE = 6.0
"""Longer than the timeout."""

RECORD = "SELECT torture.record(%s, %s, %s, %s, %s)"

LEASE = "SELECT clock_timestamp(), vt FROM pgmq.q_fair WHERE msg_id = %s"
SPAN = "INSERT INTO torture.spans VALUES (%s, %s, %s, %s, clock_timestamp())"
STATE = "INSERT INTO torture.states (id, seq, gone, merged) VALUES (%s, %s, %s, %s)"

_own = local()


class Gone(Exception):
    """After this one no attempt helps, as the consumers' specs say."""


def on_change(change: Change, tx: psycopg.Connection) -> None:
    tx.execute(RECORD, _name(change))
    _endure([change])


def on_change_within_limits(change: Change, tx: psycopg.Connection) -> None:
    """Notes when it ran, and until when its lease was to last as it began."""
    lease = tx.execute(LEASE, [change.msg_id]).fetchone()
    tx.execute(RECORD, _name(change))
    time.sleep(0.1)
    _endure([change])
    if lease:
        tx.execute(SPAN, [change.queue, (change.key or {})["id"], *lease])


def on_batch(changes: list[Change], tx: psycopg.Connection) -> None:
    tx.cursor().executemany(RECORD, [_name(change) for change in changes])
    _endure(changes)


async def on_change_async(change: Change, tx: psycopg.AsyncConnection) -> None:
    await tx.execute(RECORD, _name(change))
    if change.new and change.new["kind"] == "fails" and change.attempt == 1:
        _note("leaves")
        await asyncio.create_task(_leave())
    await asyncio.sleep(_face(change))


async def _leave() -> None:
    sys.exit("a task of a handler's")


def on_merged(change: Change, tx: psycopg.Connection) -> None:
    row, seq = (change.key or {})["id"], int(change.extra["seq"])
    tx.execute(RECORD, (change.queue, row, seq, change.msg_id, change.attempt))
    tx.execute(STATE, (row, seq, change.op == "delete", change.merged))
    _endure([change])


def on_change_loosely(change: Change) -> None:
    """Commits on its own, before the message is acknowledged."""
    _endure([change])
    if getattr(_own, "connection", None) is None or _own.connection.closed:
        _own.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    _own.connection.execute(RECORD, _name(change))


def on_batch_loosely(changes: list[Change]) -> None:
    for change in changes:
        on_change_loosely(change)


def _name(change: Change) -> tuple[object, ...]:
    row = change.new or change.old or {}
    # A deletion has the next version of its key.
    return change.queue, row["id"], row["seq"] + (change.op == "delete"), change.msg_id, change.attempt


def _endure(changes: Sequence[Change]) -> None:
    for change in changes:
        time.sleep(_face(change))


def _face(change: Change) -> float:
    """Seconds that the handler takes; does not return where the kind wants a failure or a death."""
    kind = change.new["kind"] if change.new else "plain"
    if kind == "plain" or (kind in ("fails", "late") and change.attempt > 1):
        return 0.0
    _note(kind)
    match kind:
        case "forks":
            # Parent and child both go on, so the child returns into the worker's code.
            os.fork()
            return 0.0
        case "slow":
            return SLOW
        case "late":
            return LATE
        case "gone":
            raise Gone("this change is for nobody")
        case "exits":
            os._exit(EXIT)
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
    raise ValueError(f"this change is of the kind that {kind} – für 1 €")


def _note(kind: str) -> None:
    """Write it to a file, because the transaction may be rolled back."""
    noted = os.open("noted", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(noted, f"{kind}\n".encode())
    os.close(noted)
