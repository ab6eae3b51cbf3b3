"""Settles one message by hand. The count of deliveries that the person saw fences each write."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.sql_text import load_sql
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


def _settle(conn: psycopg.Connection[Any], queue: Queue, statement: str, *, id: int, deliveries: int) -> bool:
    query = sql.SQL(load_sql(__name__, f"message/{statement}")).format(
        queue=queue.table,
        archive=queue.archive,
        columns=sql.SQL(", ").join(map(sql.Identifier, queue.columns)),
        fresh=name_fresh(queue.columns, archive=queue.archive) if queue.columns else sql.SQL(""),
    )
    return conn.execute(query, {"id": id, "deliveries": deliveries}).rowcount == 1
