"""The progress of a long task, written with each batch, so that an interrupted task can go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Json

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError

Asked = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """``after`` is the last finished key or id, JSON or None; ``done`` counts the messages sent."""

    asked: Asked
    after: Any
    done: int


def begin(
    conn: psycopg.Connection[Any], task: str, *, asked: Asked, fixed: Asked | None = None, restart: bool
) -> Progress:
    """The position from which the task continues: of an interrupted run, or the start after ``restart``.

    ``fixed`` is stored beside ``asked`` when the task begins. Raises DatabaseError if the interrupted run had
    another ``asked``.
    """
    ready = conn.execute("SELECT pg_catalog.to_regclass('changelane.progress') IS NOT NULL").fetchone()
    if ready != (True,):
        raise DatabaseError("the database has no table changelane.progress yet", fix="run `changelane apply`")
    with conn.transaction():
        if restart:
            end(conn, task)
        conn.execute(
            load_sql(__name__, "progress/begin"), {"task": task, "asked": Json({**asked, **(fixed or {})})}
        )
        found = look(conn, task)
    assert found is not None
    begun = {name: found.asked.get(name) for name in asked}
    if begun != asked:
        told = ", ".join(f"--{name} {value}" for name, value in begun.items() if value)
        raise DatabaseError(
            f"an earlier run with other options was interrupted: {told or 'no options'}",
            fix="finish it with those, or add --restart to begin again; messages that were sent stay sent",
        )
    return found


def look(conn: psycopg.Connection[Any], task: str) -> Progress | None:
    """Lock the task against others until the transaction ends; None if it has ended meanwhile."""
    row = conn.execute(load_sql(__name__, "progress/look"), {"task": task}).fetchone()
    return Progress(*row) if row else None


def advance(conn: psycopg.Connection[Any], task: str, *, after: Any, sent: int) -> None:
    conn.execute(load_sql(__name__, "progress/advance"), {"task": task, "after": Json(after), "sent": sent})


def end(conn: psycopg.Connection[Any], task: str) -> None:
    conn.execute(load_sql(__name__, "progress/end"), {"task": task})
