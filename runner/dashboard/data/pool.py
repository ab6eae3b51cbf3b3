"""The dashboard's connections: each is lent to one user at a time and replaced after an outage."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, NullConnectionPool, PoolClosed, PoolTimeout

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.database import connect
from changelane.runner.live.pinned import PinnedConnection

SIZE = 4
"""Connections, at most."""

WAIT = 3.0
"""Seconds that a user waits for a connection in use."""

DOWN = 1.0
"""Seconds for which a failure to connect is reported again without a new attempt."""

STATEMENT_TIMEOUT = 2000
LOCK_TIMEOUT = 1000
"""Milliseconds, in each transaction of a page or a change."""

# What it would log on stderr is on the page.
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())

_OPEN = load_sql(__name__, "open")
_READ_ONLY = "-c default_transaction_read_only=on"


class DatabaseUnavailable(DatabaseError):
    """No connection is available now."""


class Pool:
    """A pool of connections in autocommit. With ``read_only`` the server refuses every write on them.

    It holds at most ``size`` connections. Without ``reuse``, each is closed after its use, with the state of
    its session. ``kind`` is Connection for statements of users.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        read_only: bool,
        size: int = SIZE,
        reuse: bool = True,
        kind: type[Connection[TupleRow]] = PinnedConnection,
    ) -> None:
        self._size = size
        self._conninfo = _forbid_writes(conninfo) if read_only else conninfo
        self._read_only = read_only
        self._kind = kind
        self._busy: set[Connection[TupleRow]] = set()
        self._refusal: DatabaseError | None = None
        self._failure: tuple[DatabaseError, float] | None = None
        build = ConnectionPool if reuse else NullConnectionPool
        self._pool = build(
            connection_class=_open_by(self._connect),
            min_size=0,
            max_size=size,
            timeout=WAIT,
            check=ConnectionPool.check_connection,
            # A null pool would lend it to the next that waits.
            reset=None if reuse else Connection.close,
            # The next user tries again.
            reconnect_timeout=0,
            num_workers=1,
            open=True,
        )

    @contextmanager
    def lend(self) -> Iterator[Connection[TupleRow]]:
        """Lend a connection in autocommit. Raises DatabaseUnavailable while there is none."""
        conn = self._take()
        self._busy.add(conn)
        try:
            yield conn
        finally:
            self._busy.discard(conn)
            self._pool.putconn(conn)

    @contextmanager
    def read(self, *, timeout: int = STATEMENT_TIMEOUT) -> Iterator[Connection[TupleRow]]:
        """A read-only transaction; each of its statements may take ``timeout`` milliseconds."""
        with self.lend() as conn, conn.transaction():
            conn.execute("SET TRANSACTION READ ONLY")
            conn.execute(_OPEN, {"timeout": timeout, "lock_timeout": LOCK_TIMEOUT})
            yield conn

    @contextmanager
    def change(self, *, timeout: int = STATEMENT_TIMEOUT) -> Iterator[Connection[TupleRow]]:
        """A transaction that commits unless the block raises."""
        with self.lend() as conn, conn.transaction():
            conn.execute(_OPEN, {"timeout": timeout, "lock_timeout": LOCK_TIMEOUT})
            yield conn

    def refuse(self, error: DatabaseError | None) -> None:
        """Lend nothing until further notice, and raise this instead; None ends it."""
        self._refusal = error

    def close(self) -> None:
        """Close all connections and cancel what runs on them."""
        self._pool.close(timeout=1)
        for conn in list(self._busy):
            with suppress(psycopg.Error):
                conn.cancel_safe(timeout=1)

    def _take(self) -> Connection[TupleRow]:
        if self._refusal:
            raise DatabaseUnavailable(self._refusal.what, fix=self._refusal.fix)
        if self._failure and time.monotonic() - self._failure[1] < DOWN:
            raise self._explain()
        try:
            return self._pool.getconn()
        except (PoolTimeout, PoolClosed, DatabaseError):
            raise self._explain() from None

    def _explain(self) -> DatabaseUnavailable:
        if self._failure and time.monotonic() - self._failure[1] < DOWN + WAIT:
            return DatabaseUnavailable(self._failure[0].what, fix=self._failure[0].fix)
        return DatabaseUnavailable(
            f"all {self._size} connections for this are busy", fix="try again in a moment"
        )

    def _connect(self, **options: Any) -> Connection[TupleRow]:
        try:
            conn = self._open(**options)
        except DatabaseError as error:
            self._failure = (error, time.monotonic())
            raise
        self._failure = None
        return conn

    def _open(self, **options: Any) -> Connection[TupleRow]:
        conninfo = make_conninfo(self._conninfo, **options) if options else self._conninfo
        conn = connect(conninfo, application_name="changelane dashboard", kind=self._kind)
        # Behind a pooler, the next statement may run in another session, which lacks the prepared statement.
        conn.prepare_threshold = None
        if self._read_only and conn.execute("SHOW default_transaction_read_only").fetchone() != ("on",):
            conn.close()
            raise DatabaseError(
                "--read-only: the connection may write, as a pooler dropped its setting",
                fix="connect to the server directly, or as a role that may only read",
            )
        return conn


def _open_by(connect: Callable[..., Connection[TupleRow]]) -> type[Connection[TupleRow]]:
    """A class by which psycopg_pool connects as ``connect`` does."""

    class Opened(Connection[TupleRow]):
        @classmethod
        def connect(cls, conninfo: str = "", **options: Any) -> Any:
            return connect(**options)

    return Opened


def _forbid_writes(conninfo: str) -> str:
    try:
        given = conninfo_to_dict(conninfo).get("options") or os.environ.get("PGOPTIONS", "")
    except psycopg.ProgrammingError:
        # To be explained where it is connected to.
        return conninfo
    return make_conninfo(conninfo, options=f"{given} {_READ_ONLY}".strip())
