"""What the worker says to the server around a call on a lent connection, in as few round trips as it takes.

Each step is a generator for psycopg's ``wait``, so plain and async connections share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import generators
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

from changelane.contract.sql_text import load_sql
from changelane.runner.live.transient import is_passing
from changelane.runner.work.sinks.fault import LeaseLost

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn, PGresult

NOTHING = b""
SWEEP = load_sql(__name__, "sweep").encode()
SWEEP_PREPARED = load_sql(__name__, "sweep_prepared").encode()
"""What cleans a session after its transaction."""

_RESTORE = load_sql(__name__, "restore").encode()
_BOUND = load_sql(__name__, "bound").encode()
"""The limit between an ack and its COMMIT. A worker that dies there, behind a proxy that stays silent, would
lock the message for ever.
"""
_END = {
    (NOTHING, False): b"COMMIT",
    (NOTHING, True): b"COMMIT; BEGIN",
    **{(sweep, False): b"COMMIT; " + sweep for sweep in (SWEEP, SWEEP_PREPARED)},
    # A sweep in the next transaction would already have set its isolation level.
    **{
        (sweep, True): b"COMMIT; BEGIN; " + sweep + b"; COMMIT AND CHAIN" for sweep in (SWEEP, SWEEP_PREPARED)
    },
}


class AckFailed(Exception):
    """The ack failed for a transient reason, after the handler had returned."""


def begin(pgconn: PGconn) -> PQGen[None]:
    """Begin a transaction. Raises psycopg.Error."""
    (result,) = yield from _exchange(pgconn, b"BEGIN")
    _check(result)


def commit(pgconn: PGconn, *, ack: bytes, count: int, sweep: bytes, follow: bool) -> PQGen[bool]:
    """Ack ``count`` messages, commit and sweep; False when the session is not clean then.

    ``sweep`` is NOTHING when nothing ran in the transaction. With ``follow``, the next transaction begins in
    the same round trip.

    Raises LeaseLost when fewer messages were still held, AckFailed for an ack that failed for a transient
    reason, and psycopg.Error. Nothing is committed then.
    """
    end = _END[sweep, follow]
    # The commit of one ack alone need not wait for its count: there is nothing to roll back.
    alone = not sweep and count == 1
    if alone:
        results = yield from _exchange(pgconn, b"%b; %b" % (ack, end))
        _check_ack(results.pop(0), count)
    else:
        restore = _RESTORE if sweep else NOTHING
        _check_ack((yield from _exchange(pgconn, restore + _BOUND + ack))[-1], count)
        results = yield from _exchange(pgconn, end)
    _check(results[0])
    if results[-1].status == ExecStatus.FATAL_ERROR:
        # The messages are settled all the same.
        return False
    return not sweep or results[1 + follow].get_value(0, 1) == b"f"


def roll_back(pgconn: PGconn) -> PQGen[None]:
    """Roll the transaction back, and clean the session. Raises psycopg.Error."""
    results = yield from _exchange(pgconn, b"ROLLBACK; " + SWEEP_PREPARED)
    _check(results[-1])
    if results[-1].get_value(0, 1) == b"t":
        yield from discard(pgconn)


def discard(pgconn: PGconn) -> PQGen[None]:
    """Clean the session of all that it keeps. Raises psycopg.Error."""
    if pgconn.transaction_status == TransactionStatus.INTRANS:
        yield from _exchange(pgconn, b"ROLLBACK")
    (result,) = yield from _exchange(pgconn, b"DISCARD ALL")
    _check(result)


def _exchange(pgconn: PGconn, statements: bytes) -> PQGen[list[PGresult]]:
    """The results of statements up to the first that failed, without a cursor, which would double the cost of
    a short call.
    """
    pgconn.send_query(statements)
    results: list[PGresult] = yield from generators.execute(pgconn)
    return results


def _check(result: PGresult) -> None:
    if result.status == ExecStatus.FATAL_ERROR:
        raise error_from_result(result)


def _check_ack(result: PGresult, count: int) -> None:
    try:
        _check(result)
    except psycopg.Error as error:
        if is_passing(error):
            raise AckFailed(f"the acknowledgement failed: {error}") from error
        raise
    if result.command_tuples != count:
        raise LeaseLost
