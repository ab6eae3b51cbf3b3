"""Connections that are lent to transactional handlers, and reopened after they were lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg import AsyncConnection, Connection, Error

from changelane.errors import DatabaseError
from changelane.runner.live.connection_watchdog import OVERRUN, WatchedConnection
from changelane.runner.live.database import connect_async
from changelane.runner.live.pinned import is_pooled
from changelane.runner.live.reconnecting import Outage, ReconnectingConnection, next_limit
from changelane.runner.work.handlers.lent_connection import LentAsyncConnection, LentConnection


class ReadOnlySession(DatabaseError):
    """A handler cannot use this connection: no transaction on it could ack a message."""

    def __init__(self) -> None:
        super().__init__("the session is read-only", fix="connect to the primary, as a role that may write")


class Lender(ReconnectingConnection):
    """A ReconnectingConnection whose connection is for handlers."""

    KIND = LentConnection

    def lend(self) -> LentConnection:
        """As ``open``. Raises ReadOnlySession when no transaction on the connection could ack a message."""
        connection = self.open()
        assert isinstance(connection, LentConnection)
        return connection

    @property
    def lent(self) -> LentConnection | None:
        """The connection as it was lent last."""
        return self.connection if isinstance(self.connection, LentConnection) else None

    def rest(self) -> None:
        """Leave no transaction open on the connection."""
        if self.lent is not None:
            self.lent.rest()

    def _examine(self, connection: WatchedConnection) -> None:
        self.pooled = is_pooled(connection)
        if self.pooled:
            connection.prepare_threshold = None
            connection.wire.pid = None
        elif is_read_only(connection):
            connection.close()
            raise ReadOnlySession


class AsyncLender:
    """As Lender, for async handlers."""

    def __init__(self, conninfo: str, *, name: str, refused: Callable[[], None]) -> None:
        self._conninfo = conninfo
        self._refused = refused
        self._name = name
        self.limit = OVERRUN
        self.outage = Outage()
        self.connection: LentAsyncConnection | None = None
        self.pooled = False

    async def lend(self) -> LentAsyncConnection:
        """The connection, reopened unless it is up. Raises DatabaseError when it cannot be opened or used."""
        if self.connection is None or self.connection.closed:
            await self.close()
            try:
                connection = await connect_async(
                    self._conninfo, application_name=self._name, kind=LentAsyncConnection
                )
            except DatabaseError:
                self._refused()
                raise
            assert isinstance(connection, LentAsyncConnection)
            try:
                found = await (await connection.execute("SELECT pg_catalog.pg_backend_pid()")).fetchone()
            except Error as error:
                await connection.close()
                raise DatabaseError(f"the connection was lost: {error}") from error
            self.pooled = found != (connection.info.backend_pid,)
            if self.pooled:
                connection.prepare_threshold = None
                connection.wire.pid = None
            elif is_read_only(connection):
                await connection.close()
                raise ReadOnlySession
            self.connection = connection
        return self.connection

    async def rest(self) -> None:
        """As Lender."""
        if self.connection is not None:
            await self.connection.rest()

    async def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            self.limit = next_limit(connection.wire, self.limit)
            await connection.close()


def is_read_only(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    """Whether the server reported that its transactions cannot write: by a setting, or as a standby.

    Not usable behind a pooler, which repeats old reports.
    """
    report = connection.info.parameter_status
    return "on" in (report("default_transaction_read_only"), report("in_hot_standby"))
