"""Settles one message by hand. The count of deliveries that the person saw fences each write."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.sql_text import load_sql
from changelane.runner.operate.send import wake
from changelane.runner.queue.fenced import name_fresh
from changelane.runner.queue.identity import Queue


def archive(conn: psycopg.Connection[Any], queue: Queue, *, id: int, deliveries: int) -> bool:
    """Move the message to the archive; False if it is gone, or was delivered again. Raises psycopg.Error."""
    return _settle(conn, queue, "archive", id=id, deliveries=deliveries)


def delete(conn: psycopg.Connection[Any], queue: Queue, *, id: int, deliveries: int) -> bool:
    """Delete the message for good; False as for ``archive``. Raises psycopg.Error."""
    return _settle(conn, queue, "delete", id=id, deliveries=deliveries)


def release(conn: psycopg.Connection[Any], queue: Queue, *, id: int, deliveries: int) -> bool:
    """Make the message due now: ends its delay, lease or block; False as for ``archive``. Raises
    psycopg.Error.

    A worker that still handles it loses its lease, because the next claim counts a delivery.
    """
    return _settle(conn, queue, "release", id=id, deliveries=deliveries)


def replay(conn: psycopg.Connection[Any], queue: Queue, *, id: int, deliveries: int) -> bool:
    """Send the archived message again, under a new id and with all its attempts; the archive stays as it is.
    False if it is gone, or was delivered again, or the queue still holds it. Raises psycopg.Error.
    """
    done = _settle(conn, queue, "replay", id=id, deliveries=deliveries)
    if done:
        wake(conn, queue)
    return done


def _settle(conn: psycopg.Connection[Any], queue: Queue, statement: str, *, id: int, deliveries: int) -> bool:
    query = sql.SQL(load_sql(__name__, f"message/{statement}")).format(
        queue=queue.table,
        archive=queue.archive,
        columns=sql.SQL(", ").join(map(sql.Identifier, queue.columns)),
        fresh=name_fresh(queue.columns, archive=queue.archive) if queue.columns else sql.SQL(""),
    )
    values = {"id": id, "deliveries": deliveries, "queue": queue.name}
    return conn.execute(query, values).rowcount == 1
