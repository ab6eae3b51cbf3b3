"""A connection that is made anew after it was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psycopg import Connection, Error
from psycopg.rows import TupleRow

from changelane.errors import DatabaseError
from changelane.runner.database import connect
from changelane.runner.pinned import PinnedConnection, is_pooled
from changelane.runner.work.verdict import is_passing

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

LAST_PAUSE = 5.0
"""Seconds between attempts to reconnect, at most."""


class Link:
    """Lends one autocommit connection at a time, under this ``application_name``.

    ``pooled`` says that there is a pooler between. In transaction mode, what one statement prepared may be
    sought in another session by the next, so nothing is prepared then. ``kind`` is as for ``connect``.
    """

    def __init__(
        self, conninfo: str, *, name: str, kind: type[Connection[TupleRow]] = PinnedConnection
    ) -> None:
        self._conninfo = conninfo
        self._name = name
        self._kind = kind
        self._pause = 0.0
        self.connection: Connection[Any] | None = None
        self.pooled = False

    def open(self) -> Connection[Any]:
        """The connection, made unless it stands. Raises DatabaseError when it cannot be made."""
        if self.connection is None or self.connection.closed:
            self.connection = None
            connection = connect(self._conninfo, application_name=self._name, kind=self._kind)
            self.pooled = is_pooled(connection)
            if self.pooled:
                connection.prepare_threshold = None
            self.connection = connection
        return self.connection

    def attempt(
        self,
        step: Callable[[Connection[Any]], None],
        *,
        until: threading.Event,
        log: FilteringBoundLogger,
        queue: str,
    ) -> None:
        """Run a step; after a transient error drop the connection, and pause ``until`` at most."""
        try:
            step(self.open())
            self._pause = 0.0
        except (Error, DatabaseError) as error:
            if not is_passing(error):
                raise
            self.close()
            self._pause = min(LAST_PAUSE, self._pause * 2 or 0.1)
            log.warning(
                "database unavailable; trying again",
                queue=queue,
                retry_in=self._pause,
                error=str(error).partition("\n")[0],
            )
            until.wait(self._pause)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
