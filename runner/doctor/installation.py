"""Findings on the installation of pgmq, and on a pooler between the client and the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from changelane.runner.doctor.finding import Finding
from changelane.runner.live import pgmq
from changelane.runner.live.pinned import is_pooled

OLDEST_PGMQ = (1, 5, 1)


def find_installation(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    yield from _check_pgmq(conn)
    yield from _find_pooler(conn)


def _check_pgmq(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    found = pgmq.detect(conn)
    if found is None:
        yield Finding(
            code="pgmq-missing",
            what="pgmq is not installed in this database",
            why="there are no queues to send to",
            fix="changelane apply",
        )
    elif not found.headers or (found.version and _number(found.version) < OLDEST_PGMQ):
        wanted = ".".join(map(str, OLDEST_PGMQ))
        yield Finding(
            code="pgmq-old",
            what=f"pgmq is {found.version or 'older than 1.5'}, installed as {found.installed_as}",
            why=f"Changelane sends headers, which takes {wanted} or newer",
            fix="ALTER EXTENSION pgmq UPDATE"
            if found.version
            else f"upgrade it with the SQL of pgmq {wanted} or newer",
        )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _find_pooler(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    if is_pooled(conn):
        yield Finding(
            code="pooler",
            what="a pooler is between here and the server",
            why="in transaction mode, clients share sessions, their settings, prepared statements, LISTEN: "
            "Changelane needs none of these, and its workers poll; handlers that rely on them fail at times",
            fix="give workers a direct connection, or one in session mode (on Supabase port 5432, not 6543)",
        )
