"""Wakes the worker as soon as a message is committed, where notifications reach it.

While a consumer is idle, a flag in the database says so, and the capture functions notify. Under load the
flag is down, and no commit pays for a notification. The flag expires by itself, so a worker that died costs
the writers nothing for long.
"""

from __future__ import annotations

import os
import select
import time
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Connection, sql

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.reconnecting import ReconnectingConnection

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

PROBE = 1.0
"""Seconds that a test notification may take to arrive."""

QUIET = 20.0
"""Seconds without a notification after which the worker sends itself a test notification."""

AGAIN = 60.0
"""Seconds until another try when notifications did not arrive."""

FLAG = 5.0
"""Seconds for which a flag holds; it is renewed when half of them are over."""

_LISTEN = sql.SQL("LISTEN {}")
_UNLISTEN = sql.SQL("UNLISTEN {}")


class Wakeup:
    """``works``: notifications arrive. They need a connection of their own, and do not pass every pooler.

    ``lost``: the last wait found that connection gone.
    """

    def __init__(self, *, queues: Sequence[str], conninfo: str, log: FilteringBoundLogger) -> None:
        self.works = False
        self.lost = False
        self._log = log
        self._reconnecting = ReconnectingConnection(conninfo, name="changelane worker wake-up")
        self._channels = {f"changelane_{queue}": queue for queue in queues}
        self._refused_until = 0.0
        self._warned = False
        self._probe = ""
        self._heard_at = 0.0
        self._asked_at: float | None = None
        self._flags: dict[str, float] = {}
        self._out, self._in = os.pipe()
        os.set_blocking(self._out, False)
        os.set_blocking(self._in, False)
        self._flag_sleeping = load_sql(__name__, "flag_sleeping")
        self._flag_awake = load_sql(__name__, "flag_awake")
        self._refuses = load_sql(__name__, "refuses_notify")

    def interrupt(self) -> None:
        """End the wait, from a signal handler or another thread."""
        if self._in >= 0:
            try:
                os.write(self._in, b"!")
            except BlockingIOError:
                return

    def attach(self, connection: Connection[Any]) -> None:
        """Listen, unless listening works or was found not to. A test notification over ``connection``
        decides.
        """
        if self.works or time.monotonic() < self._refused_until:
            return
        self._flags.clear()
        probe = self._probe = f"changelane_{uuid.uuid4().hex}"
        try:
            if connection.execute(self._refuses).fetchone() == (True,):
                self._refused_until = inf
                self._log.warning(
                    "this server lets transactions be prepared (max_prepared_transactions), which a "
                    "notification would keep them from: polling instead, so messages wait up to a second; "
                    "where nobody prepares any, ALTER DATABASE ... SET changelane.wake = on"
                )
                return
            listening = self._reconnecting.open()
            listening.execute(_LISTEN.format(sql.Identifier(probe)))
            connection.execute("SELECT pg_notify(%s, '')", [probe])
            works = any(note.channel == probe for note in listening.notifies(timeout=PROBE, stop_after=1))
            if not works:
                listening.execute(_UNLISTEN.format(sql.Identifier(probe)))
            # Only after the test: behind a pooler, the server connection would go on listening after us.
            for channel in self._channels if works else ():
                listening.execute(_LISTEN.format(sql.Identifier(channel)))
            self.works = works
            self._heard_at, self._asked_at = time.monotonic(), None
        except (psycopg.Error, DatabaseError):
            self._detach()
            return
        if not self.works:
            self._refused_until = time.monotonic() + AGAIN
            self._reconnecting.close()
            if not self._warned:
                self._log.warning(
                    "notifications do not arrive, as through a pooler in transaction mode: polling instead, "
                    "so messages wait up to a second; connect to the server directly to avoid this"
                )
            self._warned = True

    def wait(self, timeout: float) -> Counter[str]:
        """Wait for ``timeout`` seconds, an interrupt or notifications; returns the number of notifications by
        queue.
        """
        self.lost = False
        heard: Counter[str] = Counter()
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        connection = self._reconnecting.connection if self.works else None
        if connection is not None:
            poll.register(connection.fileno(), select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(max(0.0, timeout) * 1000)}
        if self._out in ready:
            os.read(self._out, 1024)
        if connection is not None and ready - {self._out}:
            try:
                connection.pgconn.consume_input()
                while (note := connection.pgconn.notifies()) is not None:
                    heard[self._channels.get(note.relname.decode(), "")] += 1
                    self._heard_at, self._asked_at = time.monotonic(), None
            except psycopg.Error:
                self.lost = True
                self._detach()
        del heard[""]
        return heard

    def update(self, connection: Connection[Any], *, asleep: Collection[str], awake: Collection[str]) -> bool:
        """Raise and lower flags as queues need. True when a flag that was down was raised. The caller then
        looks at the queue, because a message may have been committed without a notification.
        """
        if not self.works:
            return False
        now = time.monotonic()
        if self._asked_at is not None and now - self._asked_at > FLAG:
            # A dead connection may look sound for hours.
            self._detach()
            return False
        if self._asked_at is None and now - self._heard_at > QUIET:
            self._asked_at = now
            connection.execute("SELECT pg_notify(%s, '')", [self._probe])
        lowered = sorted(name for name in awake if self._flags.get(name, 0.0) > now)
        if lowered:
            connection.execute(self._flag_awake, [lowered])
            for name in lowered:
                del self._flags[name]
        ending = sorted(name for name in asleep if self._flags.get(name, 0.0) - now < FLAG / 2)
        raised = any(self._flags.get(name, 0.0) <= now for name in ending)
        if ending:
            connection.execute(self._flag_sleeping, {"queues": ending, "seconds": FLAG})
            self._flags.update(dict.fromkeys(ending, now + FLAG))
        return raised

    def close(self) -> None:
        self._reconnecting.close()

    def _detach(self) -> None:
        self.works = False
        self._reconnecting.close()
