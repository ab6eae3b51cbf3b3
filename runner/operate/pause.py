"""Pauses queues: workers claim nothing from a paused queue until it is resumed."""

from __future__ import annotations

from typing import Any

import psycopg

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.queue.identity import find_queue


def pause(conn: psycopg.Connection[Any], queue: str) -> bool:
    """Stop all workers from claiming from the queue; False if it is paused already.

    Raises DatabaseError for an unknown queue, and before the first apply.
    """
    return _change(conn, queue, "pause")


def resume(conn: psycopg.Connection[Any], queue: str) -> bool:
    """Let workers claim again; False if the queue is not paused. Raises as ``pause``."""
    return _change(conn, queue, "resume")


def _change(conn: psycopg.Connection[Any], queue: str, name: str) -> bool:
    ready = conn.execute(load_sql(__name__, "pause/ready")).fetchone()
    if ready != (True,):
        raise DatabaseError(
            "the database has no schema changelane yet, or an older one", fix="run `changelane apply`"
        )
    find_queue(conn, queue)
    return conn.execute(load_sql(__name__, f"pause/{name}"), [queue]).fetchone() == (True,)
