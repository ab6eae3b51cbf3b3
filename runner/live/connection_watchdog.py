"""Cancels statements that overrun, and cuts their connections: a half-dead connection can look sound.

A proxy that stopped forwarding still answers the probes of TCP, so keepalives notice nothing.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from changelane.runner.live.forked_child import keep_from_children
from changelane.runner.live.pinned import PinnedConnection

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

OVERRUN = 10.0
"""Seconds for each of the worker's own statements."""

BEGIN = 5.0
"""Seconds for the begin of a transaction, which waits only for the network."""

RESPITE = 2.0
"""Seconds from the cancel request until the connection is cut."""

TICK = 0.5


class ConnectionSocket:
    """The socket of one connection, which any thread may cut.

    ``began`` is the start of the wait for an answer on the monotonic clock, None outside of a wait;
    ``spoke_at`` is the time of the last answer. An answer may take ``limit`` seconds. With ``cancels``, the
    server is first asked to stop, so that it does not go on with an abandoned statement. ``pid`` is the
    server's process, None if a pooler hides it.
    """

    def __init__(self, connection: Connection[Any] | AsyncConnection[Any]) -> None:
        self.began: float | None = None
        self.spoke_at = time.monotonic()
        self.limit = OVERRUN
        self.cancels = True
        self.cut_off = False
        self.cancelled: float | None = None
        self.pid: int | None = connection.info.backend_pid
        self._connection = ref(connection)
        # A copy of the descriptor: the driver may close its own at any time, and the system may reuse the
        # number.
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        with _lock:
            _wires.add(self)
        keep_from_children(self)

    @property
    def name(self) -> str:
        """The ``application_name`` of its session."""
        connection = self._connection()
        return connection.info.get_parameters().get("fallback_application_name", "") if connection else ""

    def cancel(self) -> None:
        """Ask the server to stop the running statement; takes RESPITE at most."""
        connection = self._connection()
        if isinstance(connection, Connection):
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=RESPITE)

    def cut(self) -> None:
        """Shut the socket down, so that a waiting statement fails at once."""
        self.cut_off = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def list_descriptors(self) -> Iterable[int]:
        found = [self._socket.fileno()]
        connection = self._connection()
        if connection is not None:
            with suppress(psycopg.Error):
                found.append(connection.fileno())
        return [descriptor for descriptor in found if descriptor >= 0]


_lock = threading.Lock()
_wires: WeakSet[ConnectionSocket] = WeakSet()


class WatchedConnection(Connection[TupleRow]):
    """A connection with a ``wire``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wire = ConnectionSocket(self)

    def wait(self, *arguments: Any, **options: Any) -> Any:
        wire = self.wire
        wire.began = time.monotonic()
        try:
            answer = super().wait(*arguments, **options)
        finally:
            wire.began = None
        wire.spoke_at = time.monotonic()
        return answer

    def close(self) -> None:
        super().close()
        self.wire.close()


class OwnConnection(WatchedConnection, PinnedConnection[TupleRow]):
    """A connection for the worker's own statements."""


class WatchedAsyncConnection(AsyncConnection[TupleRow]):
    """As WatchedConnection, for async handlers."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wire = ConnectionSocket(self)

    async def wait(self, *arguments: Any, **options: Any) -> Any:
        wire = self.wire
        wire.began = time.monotonic()
        try:
            answer = await super().wait(*arguments, **options)
        finally:
            wire.began = None
        wire.spoke_at = time.monotonic()
        return answer

    async def close(self) -> None:
        await super().close()
        self.wire.close()


class Watchdog:
    """Watches every connection of the process in its own thread, which never waits for one of them."""

    def __init__(self, *, log: FilteringBoundLogger) -> None:
        self._log = log
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        looked_at = time.monotonic()
        while not self._stopped.wait(TICK):
            before, looked_at = looked_at, time.monotonic()
            if looked_at - before > 4 * TICK:
                # The process itself was suspended, so answers may have arrived that nobody has read yet.
                continue
            with _lock:
                wires = list(_wires)
            for wire in wires:
                self._look(wire, now=looked_at)

    def _look(self, wire: ConnectionSocket, *, now: float) -> None:
        began = wire.began
        if began is None or wire.limit == inf or now - began < wire.limit:
            return
        told = {"connection": wire.name, "seconds": round(now - began, 1)}
        if wire.cancels and wire.cancelled != began:
            wire.cancelled = began
            self._log.warning("the database takes long to answer; asking it to stop", **told)
            threading.Thread(target=wire.cancel, name="cancel", daemon=True).start()
        elif not wire.cut_off and (not wire.cancels or now - began > wire.limit + RESPITE):
            self._log.warning("the database does not answer; giving up the connection", **told)
            wire.cut()
