"""What holds of the connection that a handler was lent, after the handler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection, OperationalError
from psycopg.pq import TransactionStatus

from changelane.runner.work.verdict import CUT_SHORT


class TransactionMisused(Exception):
    """The handler ended the transaction that it was lent, or left it failed."""


def check_transaction(connection: Connection[Any] | AsyncConnection[Any]) -> None:
    """Raise TransactionMisused unless the transaction is open and sound, or the connection was lost."""
    if connection.pgconn.pipeline_status:
        # What follows would wait for results that a pipeline holds back.
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


@contextmanager
def excusing() -> Iterator[None]:
    """Around the ack: where a timeout of the server or a person cut it short, no handler is to blame."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate in CUT_SHORT:
            raise OperationalError("the acknowledgement was cut short") from error
        raise


def blame(error: BaseException, connection: Connection[Any] | AsyncConnection[Any] | None) -> BaseException:
    """The error to judge: a lost connection where that is what lies behind whatever the handler raised."""
    if isinstance(error, TransactionMisused):
        return error
    if connection is not None and connection.broken:
        lost = OperationalError("the connection was lost while the handler ran")
        lost.__cause__ = error
        return lost
    return error
