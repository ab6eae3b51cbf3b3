"""The installed pgmq: its version, its abilities, and its installation."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError

_DETECT = load_sql(__name__, "pgmq_detect")
_PREPARE = load_sql(__name__, "pgmq_prepare")
_EXTENSION = load_sql(__name__, "pgmq_extension")


@dataclass(frozen=True, slots=True)
class Pgmq:
    """The pgmq of this database, as the catalog shows it.

    ``version`` is the extension's; None if pgmq was installed as plain SQL, which records no version.
    ``headers``: ``send`` takes them (1.5). ``last_read_at``: ``read`` returns it (1.10).
    """

    version: str | None
    headers: bool
    last_read_at: bool

    @property
    def installed_as(self) -> Literal["extension", "sql"]:
        return "sql" if self.version is None else "extension"


def detect(conn: psycopg.Connection[Any]) -> Pgmq | None:
    """The installed pgmq, or None."""
    with conn.cursor(row_factory=class_row(Pgmq)) as cursor:
        return cursor.execute(_DETECT).fetchone()


def install(conn: psycopg.Connection[Any]) -> None:
    """Install pgmq in one transaction, as the extension if the server offers it, else as plain SQL.

    Does nothing if it is installed. Raises DatabaseError when the role may not.
    """
    if detect(conn):
        return
    try:
        with conn.transaction():
            conn.execute(_PREPARE)
            if detect(conn):
                return
            if conn.execute(_EXTENSION).fetchone() is not None:
                # A platform that makes extensions as another role would give the schema to that one.
                conn.execute("CREATE SCHEMA IF NOT EXISTS pgmq")
                conn.execute("CREATE EXTENSION pgmq CASCADE")
            else:
                conn.execute(_read_sql())
    except psycopg.errors.InsufficientPrivilege as error:
        info = conn.info
        raise DatabaseError(
            f"pgmq is not installed in database {info.dbname!r}, and role {info.user!r} may not install it: "
            f"{error.diag.message_primary}",
            fix="let its owner or a superuser run `CREATE EXTENSION pgmq`, or the SQL of pgmq where the "
            "server does not offer the extension",
        ) from None


def _read_sql() -> bytes:
    # Find the file without importing the package, which would load its clients.
    spec = find_spec("pgmq")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "sql" / "pgmq.sql"
        if path.is_file():
            return path.read_bytes()
    raise DatabaseError(
        "pgmq is not installed in the database, which does not offer the extension, and the Python package "
        "'pgmq' that holds its SQL is not installed either",
        fix="pip install 'changelane[local]'",
    )
