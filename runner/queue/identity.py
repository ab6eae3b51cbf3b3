"""A queue as the database has it, no matter which project or person made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.queue_tables import Table, name_archive, name_queue
from changelane.suggestion import suggest


@dataclass(frozen=True, slots=True)
class Queue:
    """``columns`` are those that its queue and archive tables share, in table order. ``stem`` is the name
    inside its tables' names, which the server wrote in lower case.
    """

    name: str
    columns: Sequence[str]
    stem: str = ""

    @property
    def table(self) -> Table:
        return name_queue(self.stem or self.name)

    @property
    def archive(self) -> Table:
        return name_archive(self.stem or self.name)


def name_session(queue: str) -> str:
    """The ``application_name`` of the worker's sessions for this queue; its others begin otherwise. The
    server keeps ASCII of it alone.
    """
    return f"changelane work {queue}".encode("ascii", "replace").decode()


def find_queue(conn: psycopg.Connection[Any], name: str) -> Queue:
    """Find the queue. Raises DatabaseError for a queue that does not exist, naming those that do."""
    installed = conn.execute("SELECT pg_catalog.to_regclass('pgmq.meta') IS NOT NULL").fetchone()
    if installed != (True,):
        raise DatabaseError("pgmq is not installed in the database", fix="`changelane apply` installs it")
    row = conn.execute(load_sql(__name__, "queue"), {"name": name}).fetchone()
    if row:
        return Queue(name, *row)
    known = [row[0] for row in conn.execute("SELECT queue_name::text FROM pgmq.meta ORDER BY 1")]
    if name in known:
        raise DatabaseError(f"pgmq.meta lists queue {name}, but its table is gone", fix="changelane doctor")
    raise DatabaseError(
        f"queue {name} does not exist",
        fix=suggest(name, known, otherwise=f"queues that do: {', '.join(known) or 'none'}"),
    )
