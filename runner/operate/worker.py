"""Asks a worker process to stop or to drain."""

from __future__ import annotations

from typing import Any, Literal

import psycopg

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError

Wish = Literal["stop", "drain"]


def ask_worker(conn: psycopg.Connection[Any], process: str, wish: Wish) -> None:
    """Ask the process of this name; it heeds that within seconds. Raises DatabaseError if it told nothing of
    itself lately; psycopg.Error.
    """
    row = conn.execute(load_sql(__name__, "ask_worker"), {"process": process, "wish": wish}).fetchone()
    if row != (True,):
        raise DatabaseError(
            f"worker {process} told nothing of itself for a minute, so it cannot be asked",
            fix="look for it on its host: it was killed, it stands still, or it lost the database",
        )
