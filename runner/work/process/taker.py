"""Takes messages of one queue, and ends each take: by a commit, or by leases where it does not go plainly.

A take is one open transaction::

    taken -- all of it was handled --------------------------------> committed
      |----- a failure, a slow handler, a pause, the end: rolled back -> leased
      '----- the connection or the time is over ------------------------> lost

Only this process knows which messages a take holds. Leased ones continue as if they had been leased at once.
Lost ones are due again, and are handled again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Connection

from changelane.contract.envelope import NOTES
from changelane.contract.manifest import Consumer as Spec
from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.connection_watchdog import WatchedConnection
from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.identity import name_session
from changelane.runner.queue.taken import TakenQueue, lose
from changelane.runner.work.process.taking_note import TakingNote

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

SLOW = 0.25
"""Seconds after which a take becomes leases, so that no transaction stays open behind a slow handler."""

QUICK = 0.05
"""Seconds that a take may last where ``claim: auto`` takes again at once."""

STALL = 30.0
"""Seconds after which the server ends the transaction of a process that stands still, at most its lease."""

BRIEF = 0.02
"""Seconds. While takes last less, the next one waits for a connection. Otherwise messages are leased then."""

OPEN = 3
"""Takes at a time: one being taken, one handled, one committed."""

LONGEST_REST = 256
"""Claims by lease between two takes that did not go plainly, at most."""

REFUSED = 30.0
"""Seconds without takes after the server refused a connection for them."""


class TakeConnection(ReconnectingConnection):
    """A connection whose transactions the server ends once they stand still for ``stall`` seconds."""

    def __init__(self, conninfo: str, *, stall: float, **options: Any) -> None:
        super().__init__(conninfo, **options)
        self._stall = stall

    def _examine(self, connection: WatchedConnection) -> None:
        super()._examine(connection)
        connection.execute(
            load_sql(__name__, "bound_idle"), {"milliseconds": max(1, int(self._stall * 1000))}
        )


class Take:
    """The messages of one open transaction: ``done`` were handled, ``left`` is how many were not."""

    __slots__ = ("began", "connection", "deliveries", "done", "left", "lock", "open")

    def __init__(self, deliveries: list[Delivery], connection: TakeConnection) -> None:
        self.deliveries = deliveries
        self.connection = connection
        self.began = time.monotonic()
        self.done: list[Delivery] = []
        self.left = len(deliveries)
        self.lock = threading.Lock()
        self.open = True

    def count(self, handled: Sequence[Delivery]) -> bool:
        """Count handled messages; False when the take has ended, so that their leases must be acked."""
        with self.lock:
            if self.open:
                self.done += handled
                self.left -= len(handled)
            return self.open


class Taker:
    """Takes for one consumer. ``ack`` gets handled messages of a take that became leases."""

    def __init__(
        self,
        *,
        spec: Spec,
        queue: TakenQueue,
        conninfo: str,
        ack: Callable[[list[Delivery]], None],
        refused: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self.note = TakingNote(queue=queue.name, wanted=spec.claim == "take", log=log)
        self._queue = queue
        self._lease = spec.lease
        self._adapts = spec.claim == "auto"
        self._ack = ack
        self._log = log
        self._stall = min(spec.lease, STALL)
        self._slow = min(SLOW, spec.lease / 8)
        self._refused_until = 0.0
        self._free = [
            TakeConnection(conninfo, stall=self._stall, name=name_session(queue.name), refused=refused)
            for _ in range(OPEN)
        ]
        self._takes: set[Take] = set()
        self._rest = 1
        self._resting = 0
        self._lasts = inf

    def take(self, connection: Connection[Any], *, limit: int) -> list[Delivery] | None:
        """Take up to ``limit`` due messages; None: a lease must claim them. ``connection`` holds the note.

        Raises psycopg.Error.
        """
        if self._resting:
            self._resting -= 1
            return None
        if time.monotonic() < self._refused_until or not self._free or not self.note.write(connection):
            return None
        slot = self._free.pop()
        try:
            taking = slot.open()
            taken = self._queue.take(taking, limit=limit, lease=self._stall, mark=self.note.mark)
            noted = any(NOTES in item.headers for item in taken or ())
            if noted and taken:
                self._queue.take_back(taking, taken, lease=self._lease)
        except DatabaseError:
            self._refused_until = time.monotonic() + REFUSED
            self._free.append(slot)
            return None
        except BaseException:
            slot.close()
            self._free.append(slot)
            raise
        if not taken or noted:
            self._free.append(slot)
            if taken is None or noted:
                self._take_rest()
            return taken and [item for item in taken if not item.lost]
        take = Take(taken, slot)
        self._takes.add(take)
        for item in taken:
            item.take = take
        return taken

    @property
    def busy(self) -> bool:
        """Whether another take is possible soon, and not yet."""
        return not self._free and not self._resting and self._lasts < BRIEF

    @property
    def next_at(self) -> float:
        """When the next take becomes slow, on the monotonic clock."""
        return min([take.began for take in list(self._takes)], default=inf) + self._slow

    def commit(self, take: Take) -> list[Delivery]:
        """End a take of which all was handled; returns its messages, empty if leases hold them now."""
        with take.lock:
            if not take.open:
                return []
            deliveries = take.deliveries
            try:
                connection = take.connection.connection
                if connection is None or connection.execute(b"COMMIT").statusmessage != "COMMIT":
                    raise psycopg.OperationalError("the transaction was over")
            except psycopg.Error:
                for item in deliveries:
                    lose(item)
                take.connection.close()
            self._end(take)
        self._lasts = time.monotonic() - take.began
        # What is lost was not counted: it must not be lost again in the same way.
        if deliveries[0].lost or (self._adapts and self._lasts > QUICK):
            self._take_rest()
        else:
            self._rest = max(1, self._rest // 2)
        return deliveries

    def convert(self, take: Take) -> None:
        """Roll a take back, and hold its messages by leases."""
        with take.lock:
            if not take.open:
                return
            done, deliveries = take.done, take.deliveries
            try:
                connection = take.connection.connection
                if connection is None:
                    raise psycopg.OperationalError("the connection was lost")
                self._queue.take_back(connection, deliveries, lease=self._lease)
            except psycopg.Error:
                for item in deliveries:
                    lose(item)
                take.connection.close()
            self._end(take)
        self._lasts = inf
        if self._adapts or all(item.lost for item in deliveries):
            self._take_rest()
        if done:
            self._ack(done)

    def convert_slow(self) -> None:
        """Convert the takes that last too long."""
        limit = time.monotonic() - self._slow
        for take in list(self._takes):
            if take.began < limit and take.left:
                self.convert(take)

    def convert_all(self) -> None:
        for take in list(self._takes):
            self.convert(take)

    def close_idle(self) -> None:
        """Close connections that nothing was taken on for a while."""
        for slot in self._free:
            slot.close()

    def end(self, connection: Connection[Any]) -> None:
        """Remove the note, once nothing is taken any more. Raises psycopg.Error."""
        if not self._takes:
            self.note.end(connection)

    def close(self) -> None:
        """Close all connections. The server rolls back what was not ended."""
        for slot in [*self._free, *(take.connection for take in list(self._takes))]:
            slot.close()

    def _end(self, take: Take) -> None:
        take.open = False
        for item in take.deliveries:
            item.take = None
        # The messages know their take; a cycle would keep both until the garbage collector comes.
        take.deliveries, take.done = [], []
        self._takes.discard(take)
        self._free.append(take.connection)

    def _take_rest(self) -> None:
        self._resting = self._rest
        self._rest = min(LONGEST_REST, self._rest * 2)
