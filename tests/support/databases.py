"""Databases for single tests, on the server of the run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from changelane.runner.live import database as databases

SETTINGS = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    # Some tests prepare transactions, and others wake workers; none does both.
    "max_prepared_transactions": "20", "changelane.wake": "on",
}  # fmt: skip
"""Of the server of the run."""


def lend(server: str, template: str) -> Iterator[str]:
    name = f"changelane_test_{uuid.uuid4().hex[:16]}"
    with databases.connect(server) as conn:
        create(conn, name, template=template)
    yield address(server, name)
    with databases.connect(server) as conn:
        drop(conn, name)


def create(conn: psycopg.Connection[Any], name: str, *, template: str) -> None:
    conn.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    )


def drop(conn: psycopg.Connection[Any], name: str) -> None:
    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def address(server: str, name: str) -> str:
    """The server's URL with another database, as a URL again, which every program takes."""
    parts = {key: str(value) for key, value in conninfo_to_dict(server).items()} | {"dbname": name}
    return f"postgresql:///{quote(parts.pop('dbname'))}?{urlencode(parts, quote_via=quote)}"
