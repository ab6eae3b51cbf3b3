"""Evaluates a person's SQL expression over messages: a single expression, in a transaction that can change
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql

from changelane.contract.sql_text import load_sql
from changelane.errors import ChangelaneError
from changelane.runner.live import statement_watchdog
from changelane.runner.live.confinement import confine_where, find_might
from changelane.runner.queue.unreadable import fetch

LONGEST = 600
"""Seconds that a statement with an expression may take if nothing else limits it."""

_LIMIT = load_sql(__name__, "filter/limit")
_BALANCE = sql.SQL(load_sql(__name__, "filter/balance"))


@contextmanager
def evaluate(
    conn: psycopg.Connection[Any],
    where: str | None,
    *,
    table: sql.Identifier,
    seconds: float | None = None,
    confined: bool = False,
) -> Iterator[sql.SQL]:
    """Open a read-only transaction that is rolled back; yields the expression, ``true`` for None.

    The expression is over message, headers, msg_id and enqueued_at of ``table``. A statement holds it in
    parentheses, on lines of its own, and runs by ``select``. ``seconds`` limits each statement, else LONGEST
    does. If ``confined``, a role with more rights than a stranger may use evaluates it without any rights.
    Raises ChangelaneError for text that is not one expression, fails or takes too long.
    """
    if where is not None and not where.strip():
        raise _refuse(where, "it is empty")
    with conn.transaction(), conn.transaction(force_rollback=True):
        call = None
        if confined and where is not None and find_might(conn):
            try:
                call = confine_where(conn, where)
            except errors.SyntaxError as error:
                raise _refuse(where, error.diag.message_primary or str(error)) from error
        conn.execute("SET TRANSACTION READ ONLY")
        if seconds is not None:
            conn.execute(
                "SELECT pg_catalog.set_config('statement_timeout', %s, true)", [f"{seconds * 1000:.0f}"]
            )
        else:
            # The server does not notice a killed client, and would hold its snapshot until the statement
            # ends.
            conn.execute(_LIMIT, [LONGEST * 1000])
        try:
            if call is not None:
                with statement_watchdog.limit(conn, seconds=(seconds or LONGEST) + 1, doing="the search"):
                    yield call
                return
            if where is not None:
                select(conn, _BALANCE.format(where=_paste(where), queue=table))
            yield _paste("true" if where is None else where)
        except UnicodeEncodeError as error:
            raise _refuse(where, str(error)) from None
        except errors.QueryCanceled:
            if seconds is None:
                raise
            raise ChangelaneError(
                f"the messages could not be searched in {seconds:g} s",
                fix="narrow it by ids or a state, or ask for fewer",
            ) from None
        except psycopg.Error as error:
            if where is None or isinstance(error, psycopg.OperationalError) or error.sqlstate == "42P01":
                raise
            raise _refuse(where, error.diag.message_primary or str(error)) from error


def select(conn: psycopg.Connection[Any], query: sql.Composed) -> list[tuple[Any, ...]]:
    """Rows of a query that may hold a person's expression.

    The extended protocol takes one statement only. Without parameters, a percent sign keeps its meaning.
    """
    return fetch(conn.execute(query, binary=True, prepare=False))


def _refuse(where: str | None, why: str) -> ChangelaneError:
    return ChangelaneError(
        f"--where {where!r}: {why}",
        fix="write one SQL expression over message, headers, msg_id and enqueued_at, for example "
        "headers->'dead_letter'->>'error' LIKE 'ValueError%'",
    )


def _paste(where: str) -> sql.SQL:
    # format() does not look for braces in its arguments.
    return sql.SQL(where)
