"""Sends a message by hand, in the way that capture functions send theirs."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from changelane.contract.sql_text import load_sql
from changelane.errors import ChangelaneError
from changelane.producing import check_headers
from changelane.runner.queue.identity import Queue


def send(
    conn: psycopg.Connection[Any],
    queue: Queue,
    message: str,
    *,
    headers: str = "{}",
    group: str | None = None,
    delay: float = 0.0,
) -> int:
    """Send JSON text, due in ``delay`` seconds, and wake a sleeping worker; returns its ``msg_id``.

    ``headers`` is JSON text of an object. ``group`` sets the key for ordered delivery, by default the
    message's ``key``. Numbers stay exact. Raises ChangelaneError for text that is not JSON, or that jsonb
    cannot hold; psycopg.Error for the rest.
    """
    head = _parse(headers, "the headers")
    if not isinstance(head, dict):
        raise ChangelaneError(
            "the headers are not a JSON object", fix="""for example '{"source": "by hand"}'"""
        )
    try:
        check_headers(head)
    except ValueError as error:
        raise ChangelaneError(
            str(error),
            fix="`changelane replay` and `changelane dead-letter redrive` keep what capture wrote",
        ) from None
    _parse(message, "the message")
    values = {"queue": queue.name, "message": message, "headers": headers, "group": group, "delay": delay}
    with conn.transaction():
        try:
            row = conn.execute(load_sql(__name__, "send"), values).fetchone()
        except (psycopg.DataError, UnicodeEncodeError) as error:
            known = error.diag if isinstance(error, psycopg.DataError) else None
            why = (known and (known.message_detail or known.message_primary)) or " ".join(str(error).split())
            raise ChangelaneError(f"jsonb cannot hold it: {why}", fix="leave out the named value") from None
        wake(conn, queue)
    assert row is not None
    return int(row[0])


def wake(conn: psycopg.Connection[Any], queue: Queue) -> None:
    """Wake a worker that sleeps on the queue once the transaction commits. Raises psycopg.Error."""
    if conn.execute(load_sql(__name__, "wakes")).fetchone() == (True,):
        conn.execute(load_sql(__name__, "wake"), {"queue": queue.name})


def _parse(text: str, what: str) -> Any:
    try:
        # Keep numbers as text: they may have more digits than Python parses.
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ChangelaneError(
            f"{what}: not JSON: {error}", fix="quote it for the shell, or give - and pipe it in"
        ) from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
