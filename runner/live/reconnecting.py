"""A connection that reconnects after it was lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psycopg import Connection, Error

from changelane.errors import DatabaseError
from changelane.runner.live.connection_watchdog import (
    OVERRUN,
    ConnectionSocket,
    OwnConnection,
    WatchedConnection,
)
from changelane.runner.live.database import connect
from changelane.runner.live.jitter import vary
from changelane.runner.live.pinned import PinnedConnection
from changelane.runner.live.transient import is_passing

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FIRST_PAUSE = 0.1
LAST_PAUSE = 5.0
"""Seconds between attempts to reconnect."""

PATIENCE = 0.05
"""Ratio of a pause to the outage so far, so that work continues soon after any outage."""

SAID_EVERY = 5.0
"""Seconds between two log lines about an outage."""

LONGEST = 300.0
"""Seconds for a statement at most, after earlier ones were cut off."""


class Outage:
    """The duration of an outage, and the pause before the next attempt."""

    def __init__(self) -> None:
        self._began: float | None = None

    def end(self) -> None:
        self._began = None

    def measure_pause(self) -> float:
        """Seconds to wait after a failure; 0 after the first one, because a new connection often works."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            return 0.0
        whole = min(LAST_PAUSE, max(FIRST_PAUSE, (now - self._began) * PATIENCE))
        return vary(whole, 0.5, 1.0)


class ReconnectingConnection:
    """Lends one autocommit connection at a time, under this ``application_name``.

    ``pooled``: a pooler is in between, and nothing is prepared. A statement may take ``limit`` seconds before
    the watchdog ends it; each time that it does, the limit doubles. ``refused`` is called when no connection
    can be opened.
    """

    KIND: type[WatchedConnection] = OwnConnection

    def __init__(
        self,
        conninfo: str,
        *,
        name: str,
        limit: float = OVERRUN,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._conninfo = conninfo
        self._refused = refused
        self._name = name
        self._first_limit = self.limit = limit
        self.outage = Outage()
        self._spoke_at = time.monotonic()
        self._said_at = -SAID_EVERY
        self.connection: WatchedConnection | None = None
        self.pooled = False

    @property
    def spoke_at(self) -> float:
        """The time of the database's last answer, on the monotonic clock; before the first one, the time of
        creation.
        """
        connection = self.connection
        return max(self._spoke_at, connection.wire.spoke_at) if connection else self._spoke_at

    def open(self) -> WatchedConnection:
        """The connection, opened if necessary. Raises DatabaseError when it cannot be opened."""
        if self.connection is None or self.connection.closed:
            self.close()
            try:
                connection = connect(self._conninfo, application_name=self._name, kind=self.KIND)
            except DatabaseError:
                self._refused()
                raise
            assert isinstance(connection, WatchedConnection)
            connection.wire.limit = self.limit
            try:
                self._examine(connection)
            except Error as error:
                connection.close()
                raise DatabaseError(f"the connection was lost: {error}") from error
            self.connection = connection
        return self.connection

    def _examine(self, connection: WatchedConnection) -> None:
        assert isinstance(connection, PinnedConnection)
        self.pooled = connection.pooled

    def attempt(
        self,
        step: Callable[[Connection[Any]], None],
        *,
        until: threading.Event,
        log: FilteringBoundLogger,
        queue: str,
    ) -> None:
        """Run a step. After a transient error, drop the connection and pause, at most until ``until``."""
        try:
            step(self.open())
            self.outage.end()
        except (Error, DatabaseError) as error:
            if not is_passing(error):
                raise
            self.close()
            pause = self.outage.measure_pause()
            if pause and time.monotonic() - self._said_at > SAID_EVERY:
                self._said_at = time.monotonic()
                log.warning(
                    "database unavailable; trying again",
                    queue=queue,
                    retry_in=round(pause, 3),
                    error=str(error).partition("\n")[0],
                )
            until.wait(pause)

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is None:
            return
        wire = connection.wire
        self._spoke_at = wire.spoke_at
        self.limit = next_limit(wire, self.limit, first=self._first_limit)
        connection.close()


def next_limit(wire: ConnectionSocket, limit: float, *, first: float = OVERRUN) -> float:
    """Seconds for the statements of the next connection: more if the watchdog ended a statement on
    this one.
    """
    return min(LONGEST, limit * 2) if wire.cut_off or wire.cancelled is not None else first
