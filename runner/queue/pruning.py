"""Deletes old archived messages and dead letters in batches, so that no lock is held for long."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.sql_text import load_sql
from changelane.runner.live.queue_tables import name_archive, name_queue

BATCH = 1000


def prune(connection: psycopg.Connection[Any], *, queue: str, keep: int, limit: int = BATCH) -> int | None:
    """Delete up to ``limit`` messages archived more than ``keep`` seconds ago; returns how many were deleted.

    None while another process prunes this archive. 0 for a partitioned archive, whose partitions pg_partman
    drops. Raises psycopg.Error.
    """
    archive = name_archive(queue)
    table = sql.Literal(archive.as_string())
    with connection.transaction():
        partitioned = sql.SQL(load_sql(__name__, "archive_partitioned")).format(table=table)
        if connection.execute(partitioned).fetchone() == (True,):
            return 0
        if connection.execute(load_sql(__name__, "prune_lock"), {"queue": queue}).fetchone() == (False,):
            return None
        statement = sql.SQL(load_sql(__name__, "prune")).format(archive=archive)
        return connection.execute(statement, {"keep": keep, "limit": limit}, prepare=False).rowcount


def prune_letters(
    connection: psycopg.Connection[Any], *, queue: str, keep: int, limit: int = BATCH
) -> int | None:
    """As ``prune``, for dead letters that came to ``queue`` more than ``keep`` seconds ago."""
    statement = sql.SQL(load_sql(__name__, "prune_letters")).format(letters=name_queue(queue))
    with connection.transaction():
        held = connection.execute(load_sql(__name__, "prune_lock"), {"queue": f"{queue} letters"}).fetchone()
        if held == (False,):
            return None
        return connection.execute(statement, {"keep": keep, "limit": limit}, prepare=False).rowcount
