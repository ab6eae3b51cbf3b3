"""A small pool of connections, each lent to one user at a time and replaced after an outage."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.database import connect
from changelane.runner.live.pinned import PinnedConnection

SIZE = 4
"""Connections, at most."""

WAIT = 3.0
"""Seconds that a user waits for a connection in use."""

STALE = 1.0
"""Seconds after which an idle connection is tested before it is lent."""

DOWN = 1.0
"""Seconds for which a failure to connect is reported again without a new attempt."""

STATEMENT_TIMEOUT = 2000
LOCK_TIMEOUT = 1000
"""Milliseconds, in each transaction of a page or a change."""

_OPEN = load_sql(__name__, "open")
_READ_ONLY = "-c default_transaction_read_only=on"


class Away(DatabaseError):
    """No connection is available now."""


class Pool:
    """A pool of connections in autocommit. With ``read_only`` the server refuses every write on them.

    It holds at most ``size`` connections. Without ``reuse``, each is closed after its use, with the state of
    its session.
    """

    def __init__(self, conninfo: str, *, read_only: bool, size: int = SIZE, reuse: bool = True) -> None:
        self._size = size
        self._reuse = reuse
        self._conninfo = _forbid_writes(conninfo) if read_only else conninfo
        self._read_only = read_only
        self._slots = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[tuple[psycopg.Connection[Any], float]] = []
        self._busy: set[psycopg.Connection[Any]] = set()
        self._failure: tuple[Away, float] | None = None
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection in autocommit. Raises Away while the database gives no connection."""
        with self._slot():
            conn = self._take()
            try:
                yield conn
            finally:
                self._put_back(conn)

    @contextmanager
    def lend_new(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a new connection for a user's statements, which is closed afterwards. Raises Away
        while the database gives no connection.
        """
        with self._slot(), self._open(kind=Connection) as conn:
            with self._lock:
                self._busy.add(conn)
            try:
                yield conn
            finally:
                with self._lock:
                    self._busy.discard(conn)

    @contextmanager
    def read(self, *, timeout: int = STATEMENT_TIMEOUT) -> Iterator[psycopg.Connection[Any]]:
        """A read-only transaction; each of its statements may take ``timeout`` milliseconds."""
        with self.lend() as conn, conn.transaction():
            conn.execute("SET TRANSACTION READ ONLY")
            conn.execute(_OPEN, {"timeout": timeout, "lock_timeout": LOCK_TIMEOUT})
            yield conn

    @contextmanager
    def change(self, *, timeout: int = STATEMENT_TIMEOUT) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that commits unless the block raises."""
        with self.lend() as conn, conn.transaction():
            conn.execute(_OPEN, {"timeout": timeout, "lock_timeout": LOCK_TIMEOUT})
            yield conn

    def connect(self, *, kind: type[Connection[TupleRow]] = PinnedConnection) -> psycopg.Connection[Any]:
        """A connection outside of the pool, which the caller closes. Raises DatabaseError."""
        conn = connect(self._conninfo, application_name="changelane dashboard", kind=kind)
        # Behind a pooler, the next statement may run in another session, which lacks the prepared statement.
        conn.prepare_threshold = None
        if self._read_only and conn.execute("SHOW default_transaction_read_only").fetchone() != ("on",):
            conn.close()
            raise DatabaseError(
                "--read-only: the connection may write, as a pooler dropped its setting",
                fix="connect to the server directly, or as a role that may only read",
            )
        return conn

    def close(self) -> None:
        """Close all connections and cancel what runs on them."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for conn, _ in idle:
            conn.close()
        for conn in busy:
            with suppress(psycopg.Error):
                conn.cancel_safe(timeout=1)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=WAIT):
            raise Away(
                f"all {self._size} connections for this are busy",
                fix="try again in a moment",
            )
        try:
            yield
        finally:
            self._slots.release()

    def _take(self) -> psycopg.Connection[Any]:
        while True:
            with self._lock:
                conn, since = self._idle.pop() if self._idle else (None, 0.0)
            if conn is None:
                conn = self._open()
            elif time.monotonic() - since > STALE and not _answers(conn):
                conn.close()
                continue
            with self._lock:
                self._busy.add(conn)
            return conn

    def _open(self, *, kind: type[Connection[TupleRow]] = PinnedConnection) -> psycopg.Connection[Any]:
        failure = self._failure
        if failure and time.monotonic() - failure[1] < DOWN:
            raise failure[0]
        try:
            conn = self.connect(kind=kind)
        except DatabaseError as error:
            away = Away(error.what, fix=error.fix)
            self._failure = (away, time.monotonic())
            raise away from None
        self._failure = None
        return conn

    def _put_back(self, conn: psycopg.Connection[Any]) -> None:
        idle = not conn.closed and conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            self._busy.discard(conn)
            if idle and self._reuse and not self._closed:
                self._idle.append((conn, time.monotonic()))
                return
        conn.close()


def _answers(conn: psycopg.Connection[Any]) -> bool:
    try:
        conn.execute("SELECT")
    except psycopg.Error:
        return False
    return True


def _forbid_writes(conninfo: str) -> str:
    try:
        given = conninfo_to_dict(conninfo).get("options") or os.environ.get("PGOPTIONS", "")
    except psycopg.ProgrammingError:
        # To be explained where it is connected to.
        return conninfo
    return make_conninfo(conninfo, options=f"{given} {_READ_ONLY}".strip())
