"""Waits for locks of others: the project's advisory lock, and the sessions that hold a table's lock."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from changelane.contract.sql_text import load_sql
from changelane.errors import LockNotObtained
from changelane.runner.live.database import connect
from changelane.runner.live.jitter import vary
from changelane.runner.live.pinned import is_pooled

Row = tuple[int | None, str | None, timedelta | None, str | None]
"""A holder: its pid, application_name, the age of its query, and ``pg_stat_activity.state``."""

GONE = "someone who has just let go"

_HOLDER = load_sql(__name__, "lock_holder")
_BLOCKERS = load_sql(__name__, "lock_blockers")


class WaitLimit:
    """A limit on the total wait for others: ``seconds`` from now, in growing pauses with jitter."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._pause = 0.25

    def wait(self) -> bool:
        """Sleep a little longer than last time; False, without sleep, when the time is up."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, vary(self._pause, 0.5, 1.5)))
        self._pause = min(self._pause * 2, 5.0)
        return True


@contextmanager
def hold_project(
    conn: psycopg.Connection[Any], *, project: str, max_wait: float, notify: Callable[[str], None]
) -> Iterator[None]:
    """Hold the project's lock in this database, for one apply or destroy at a time.

    It polls, so that no snapshot is held during the wait. Raises LockNotObtained after ``max_wait`` seconds
    and names the holder.
    """
    digest = hashlib.sha256(f"changelane:project {project}".encode()).digest()
    key = int.from_bytes(digest[:8], signed=True)
    patience = WaitLimit(max_wait)
    said = False
    with _choose_keeper(conn) as keeper:
        while not _try_lock(keeper, key):
            holders = _describe(conn.execute(_HOLDER, {"key": key}).fetchall()) or GONE
            if not said:
                notify(f"waiting for another apply of project {project}: {holders}")
                said = True
            if not patience.wait():
                raise LockNotObtained(
                    f"another apply or destroy of project {project} is running: {holders}",
                    fix="nothing was changed; run again when it is done, or wait longer with --max-wait",
                )
        try:
            yield
        finally:
            # After an interrupted query, the end of the session releases the lock.
            if keeper is conn and conn.info.transaction_status == TransactionStatus.IDLE:
                conn.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", [key])


@contextmanager
def _choose_keeper(conn: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The connection that holds the lock: ``conn``, or behind a pooler another one, in an open transaction.

    Behind a pooler, a session's lock would belong to a server connection that other clients get, too.
    """
    if not is_pooled(conn):
        yield conn
        return
    conninfo = make_conninfo(conn.info.dsn, password=conn.info.password)
    with connect(conninfo, autocommit=False) as keeper:
        keeper.prepare_threshold = None
        yield keeper
        keeper.rollback()


def _try_lock(keeper: psycopg.Connection[Any], key: int) -> bool:
    if keeper.autocommit:
        row = keeper.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", [key]).fetchone()
        return bool(row and row[0])
    keeper.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    row = keeper.execute("SELECT pg_catalog.pg_try_advisory_xact_lock(%s)", [key]).fetchone()
    if row and row[0]:
        return True
    keeper.rollback()
    return False


def find_blockers(conn: psycopg.Connection[Any], *, table: tuple[str, str], exclusive: bool) -> str:
    """The sessions that hold ``table`` (schema, name) against SHARE ROW EXCLUSIVE, or, if ``exclusive``,
    ACCESS EXCLUSIVE.

    Empty if none holds it any more.
    """
    values = {"schema": table[0], "table": table[1], "exclusive": exclusive}
    return _describe(conn.execute(_BLOCKERS, values).fetchall())


def _describe(rows: list[Row]) -> str:
    return ", ".join(_describe_one(*row) for row in rows)


def _describe_one(pid: int | None, application: str | None, age: timedelta | None, state: str | None) -> str:
    if pid is None:
        return "a prepared transaction (see pg_prepared_xacts)"
    facts = [application or "no application_name"]
    facts += [state] if state and state != "active" else []
    facts += [f"query began {age.total_seconds():.0f} s ago"] if age is not None else []
    return f"pid {pid} ({', '.join(facts)})"
