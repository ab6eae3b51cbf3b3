"""Checks on a lent connection after the handler has run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.pq import TransactionStatus

from changelane.runner.live.transient import is_passing
from changelane.runner.work.handlers.exchange import AckFailed
from changelane.runner.work.handlers.lent_connection import LentAsyncConnection, LentConnection
from changelane.runner.work.sinks.fault import Fault, LeaseLost, read_fault


class TransactionMisused(Exception):
    """The handler ended the transaction that it was lent, or left it failed."""


class NeverAwaited(TransactionMisused):
    """An async handler did not await its call of the connection, so no statement ran."""


def check_transaction(connection: Connection[Any] | AsyncConnection[Any]) -> None:
    """Raise TransactionMisused unless the transaction is open and sound, or the connection was lost."""
    if connection.pgconn.pipeline_status:
        # In pipeline mode, the next statement would wait for results that the pipeline holds back.
        connection.pgconn.finish()
        raise TransactionMisused("the handler left a pipeline open; use `with tx.pipeline():`")
    status = connection.info.transaction_status
    if status == TransactionStatus.INERROR:
        raise TransactionMisused(
            "the handler swallowed a database error and left its transaction failed; "
            "let the error out, or use `with tx.transaction():` around what may fail"
        )
    if status == TransactionStatus.IDLE:
        raise TransactionMisused(
            "the handler ended its transaction; it commits with the ack, so run no COMMIT or ROLLBACK"
        )
    if connection.closed and not connection.broken:
        raise TransactionMisused("the handler closed the connection that it was lent; leave it open")


def check_awaited(connection: LentAsyncConnection) -> None:
    """Raise NeverAwaited when the handler did not await one of its calls on the connection."""
    names = connection.memory.take_open()
    if names:
        raise NeverAwaited(f"the handler never awaited its `{names[0]}`; write `await tx.{names[0]}(...)`")


def blame(
    error: BaseException,
    connection: LentConnection | LentAsyncConnection | None,
    *,
    begun: bool,
    never: Sequence[type[Exception]] = (),
) -> Fault:
    """The fault of a call that ended with ``error``. The database is at fault only for errors of this
    connection.

    Instances of ``never`` are final, unless the database is at fault.

    Without ``begun``, the handler was not called, and the error is the worker's own.
    """
    if not begun:
        return read_fault(error, kind="transient" if is_passing(error) else None)
    if connection is None:
        return read_fault(error, never=never)
    if issubclass(type(error), LeaseLost | TransactionMisused):
        return read_fault(error)
    if connection.broken:
        fault = read_fault(error, kind="interrupted")
        return replace(fault, text=f"the connection was lost while the handler ran ({fault.text})")
    if type(error) is AckFailed or any(map(_is_transient, connection.memory.find(error))):
        return read_fault(error, kind="transient")
    return read_fault(error, never=never)


def is_late(connection: LentConnection) -> bool:
    """Whether a statement of the call had to be the first of its transaction, as those are that set its
    isolation level.
    """
    return any(error.sqlstate == "25001" for error in connection.memory.raised)


def _is_transient(error: psycopg.Error) -> bool:
    state = error.sqlstate or ""
    # PostgreSQL translates the message, so the source function tells: tables changed under a prepared
    # statement.
    stale = state == "0A000" and error.diag.source_function == "RevalidateCachedQuery"
    return stale or state.startswith("40") or state in ("25006", "53300")
