"""Reads the installed pg_partman and its configuration of each partitioned queue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql

_PARTMAN = load_sql(__name__, "partman")
_PARTITIONS = sql.SQL(load_sql(__name__, "partitions"))

MAJORS = (4, 5)
"""Versions of pg_partman that pgmq's ``create_partitioned`` can call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partman:
    """``version`` and ``schema`` are None if it is not installed; ``offered``: the server has its files.

    ``server`` is the major version. ``readable``, ``writable``: the role may read its configuration, and
    create queues with it. ``creates``: pgmq has ``create_partitioned``. ``asks_version``: that function
    supports pg_partman 5.
    """

    server: int = 0
    version: str | None = None
    schema: str | None = None
    offered: bool = False
    readable: bool = False
    writable: bool = False
    creates: bool = True
    asks_version: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitioning:
    """The partitioning of a queue by time, in seconds, None for never. ``endless``: partitions are made ahead
    for an idle queue, too. The templates are the tables that new partitions copy, as ``schema.name``.
    """

    name: str
    interval: int | None
    retain: int | None
    retain_archive: int | None
    endless: bool
    template: str | None = None
    archive_template: str | None = None


def observe_partman(conn: psycopg.Connection[Any]) -> Partman:
    """Reads in the connection's open transaction."""
    with conn.cursor(row_factory=class_row(Partman)) as cursor:
        found = cursor.execute(_PARTMAN).fetchone()
    assert found is not None
    return found


def observe_partitions(conn: psycopg.Connection[Any], partman: Partman) -> dict[str, Partitioning]:
    """Partitioning by the queue's name in lower case; empty if the role may not read it."""
    if partman.schema is None or not partman.readable:
        return {}
    with conn.cursor(row_factory=class_row(Partitioning)) as cursor:
        query = _PARTITIONS.format(schema=sql.Identifier(partman.schema))
        return {row.name: row for row in cursor.execute(query).fetchall()}


def find_obstacle(partman: Partman, *, role: str, has_pgmq: bool) -> tuple[str, str]:
    """The reason why no partitioned queue can be created, and the fix; empty strings if one can."""
    if partman.version is None and partman.offered:
        return (
            "it is partitioned, and pg_partman is not installed in the database",
            "CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman",
        )
    if partman.version is None:
        return (
            "it is partitioned, and the server does not offer pg_partman",
            f"install it on the server (Debian: apt-get install postgresql-{partman.server}-partman), then "
            "CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman; or let it be `kind: logged`",
        )
    major = int((re.match(r"\d+", partman.version) or "0")[0])
    if has_pgmq and not partman.creates:
        return (
            "it is partitioned, and the installed pgmq has no create_partitioned",
            "ALTER EXTENSION pgmq UPDATE, or let it be `kind: logged`",
        )
    if major < MAJORS[0]:
        return (
            f"it is partitioned, and pg_partman {partman.version} is too old for pgmq, which calls that of "
            f"version {MAJORS[0]} or {MAJORS[1]}",
            "ALTER EXTENSION pg_partman UPDATE",
        )
    if major > MAJORS[1] or (has_pgmq and major == MAJORS[1] and not partman.asks_version):
        return (
            f"it is partitioned, and the installed pgmq does not know pg_partman {partman.version}",
            "ALTER EXTENSION pgmq UPDATE, or install an older pg_partman",
        )
    if not (partman.readable and partman.writable):
        return (
            f"it is partitioned, and role {role} may not use pg_partman",
            f'GRANT USAGE, CREATE ON SCHEMA "{partman.schema}" TO "{role}"; GRANT SELECT, INSERT, UPDATE, '
            f'DELETE ON ALL TABLES IN SCHEMA "{partman.schema}" TO "{role}"',
        )
    return "", ""
