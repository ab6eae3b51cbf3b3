"""Reads which worker processes there are: as they tell it themselves, and by their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql
from changelane.runner.live.history import can_read_column

STALE = 20.0
"""Seconds after which a process that told nothing is stale: it was killed, stands still, or lost its
database.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a handler that runs, for ``seconds`` until now. ``ids`` are the first of its ``messages``."""

    queue: str
    ids: Sequence[int]
    messages: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One worker process. ``silent`` are the seconds since it told; ``state``: working, draining or stopping.

    ``error`` is the last failure of a message, None without one or without the right to read it. ``wish`` is
    what it was asked, ``stop`` or ``drain``.
    """

    process: str
    host: str
    pid: int
    version: str
    since: datetime
    queues: Sequence[str]
    state: str
    running: Sequence[dict[str, Any]]
    error: str | None
    error_at: datetime | None
    silent: float
    wish: str | None

    @property
    def stale(self) -> bool:
        return self.silent > STALE

    @property
    def calls(self) -> list[Call]:
        """What it runs, the longest first. Any worker may tell anything: what is no call is left out."""
        found = []
        for one in self.running if isinstance(self.running, list) else ():
            if isinstance(one, dict) and isinstance(one.get("ids"), list):
                ids = [id for id in one["ids"] if type(id) is int]
                seconds, messages = one.get("seconds"), one.get("messages")
                if isinstance(seconds, int | float) and type(messages) is int:
                    queue = str(one.get("queue"))
                    found.append(
                        Call(queue=queue, ids=ids, messages=messages, seconds=seconds + max(self.silent, 0.0))
                    )
        return sorted(found, key=lambda call: -call.seconds)


def list_workers(conn: psycopg.Connection[Any]) -> list[WorkerState] | None:
    """The processes that told of themselves within a day. None where the database has no such table yet, and
    where the role may not read it. Raises psycopg.Error.
    """
    if not can_read_column(conn, "workers", "told_at"):
        return None
    error = sql.SQL("error" if can_read_column(conn, "workers", "error") else "NULL::text")
    query = sql.SQL(load_sql(__name__, "worker_states")).format(error=error)
    with conn.cursor(row_factory=class_row(WorkerState)) as cursor:
        return cursor.execute(query).fetchall()
