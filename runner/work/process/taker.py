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
from psycopg import Connection, Cursor

from changelane.contract.envelope import NOTES
from changelane.contract.manifest import Consumer as Spec
from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.connection_watchdog import WatchedConnection
from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.identity import name_session
from changelane.runner.queue.taken import OWN, TakenQueue, frame_lent, lose
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
    """A connection whose transactions the server ends once they stand still for ``stall`` seconds.

    ``kind`` is its class if it is lent to handlers; ``frame`` are the statements around its takes.
    """

    def __init__(
        self, conninfo: str, *, stall: float, kind: type[WatchedConnection] | None, **options: Any
    ) -> None:
        super().__init__(conninfo, **options)
        self.frame = OWN
        self._stall = stall
        self._lent = kind is not None
        if kind is not None:
            self.KIND = kind

    def _examine(self, connection: WatchedConnection) -> None:
        if not self._lent:
            super()._examine(connection)
            values = {"milliseconds": max(1, int(self._stall * 1000))}
            connection.execute(load_sql(__name__, "bound_idle"), values)
            return
        row = Cursor(connection).execute(load_sql(__name__, "lent_session")).fetchone()
        if row is None or row[:2] != (connection.info.backend_pid, "read committed"):
            connection.close()
            raise DatabaseError("a pooler is in between, or transactions begin in a stricter isolation level")
        # A limit that the role or the database sets stays, if it is shorter.
        self.frame = frame_lent(stall=min(self._stall, row[2] / 1000 or inf))

    def abandon(self) -> None:
        """Leave the connection to the thread that uses it, which finds it cut off."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.wire.cut()


class Take:
    """The messages of one open transaction: ``done`` were handled, ``left`` is how many were not.

    ``running``: a handler has the connection. ``unfit``: it cannot work in a transaction that took.
    """

    __slots__ = (
        "began", "connection", "deliveries", "done", "left", "lock", "open", "running", "unfit",
    )  # fmt: skip

    def __init__(self, deliveries: list[Delivery], connection: TakeConnection) -> None:
        self.deliveries = deliveries
        self.connection = connection
        self.began = time.monotonic()
        self.done: list[Delivery] = []
        self.left = len(deliveries)
        self.lock = threading.Lock()
        self.open = True
        self.running = False
        self.unfit = False

    def start(self) -> bool:
        """Give the connection to a handler; False when the take has ended, and leases hold its messages."""
        with self.lock:
            self.running = self.open
            return self.open

    def count(self, handled: Sequence[Delivery]) -> bool:
        """Count handled messages; False when the take has ended, so that their leases must be acked."""
        with self.lock:
            if self.open:
                self.done += handled
                self.left -= len(handled)
            return self.open


class Taker:
    """Takes for one consumer. ``ack`` gets handled messages of a take that became leases.

    ``kind`` is the class of the connections that handlers get; None where they get none.
    """

    def __init__(
        self,
        *,
        spec: Spec,
        queue: TakenQueue,
        conninfo: str,
        kind: type[WatchedConnection] | None,
        ack: Callable[[list[Delivery]], None],
        refused: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self.note = TakingNote(queue=queue.name, wanted=spec.claim == "take", log=log)
        self._queue = queue
        self._lease = spec.lease
        self._lends = kind is not None
        self._adapts = spec.claim == "auto"
        self._ack = ack
        self._log = log
        # A handler may pause in its own transaction.
        self._stall = spec.lease if kind else min(spec.lease, STALL)
        self._most = spec.batch if kind else inf
        self._slow = min(SLOW, spec.lease / 8)
        self._refused_until = 0.0
        self._free = [
            TakeConnection(
                conninfo, stall=self._stall, kind=kind, name=name_session(queue.name), refused=refused
            )
            for _ in range(spec.concurrency + 1 if kind else OPEN)
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
            taken = self._queue.take(
                taking,
                limit=int(min(limit, self._most)),
                lease=self._stall,
                mark=self.note.mark,
                frame=slot.frame,
            )
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
        return min([take.began for take in list(self._takes) if not take.running], default=inf) + self._slow

    def commit(self, take: Take) -> list[Delivery]:
        """End a take of which all was handled; returns its messages, empty if leases hold them now."""
        with take.lock:
            if not take.open:
                return []
            deliveries = take.deliveries
            try:
                connection = take.connection.connection
                if (
                    connection is None
                    or connection.execute(b"COMMIT", prepare=False).statusmessage != "COMMIT"
                ):
                    raise psycopg.OperationalError("the transaction was over")
            except psycopg.Error:
                for item in deliveries:
                    lose(item)
                take.connection.close()
            self._end(take)
        self._learn(take, lost=deliveries[0].lost)
        return deliveries

    def release(self, take: Take) -> None:
        """Note that the handler's transaction committed with what it took."""
        with take.lock:
            if take.open:
                self._end(take)
        self._learn(take, lost=False)

    def convert(self, take: Take) -> None:
        """Roll a take back, and hold its messages by leases."""
        with take.lock:
            if not take.open:
                return
            done, deliveries = take.done, take.deliveries
            try:
                if take.running:
                    take.connection.abandon()
                connection = take.connection.connection
                gone = connection is None or connection.closed
                if connection is None or (gone and self._lends):
                    # The server ends the handler's session, and what became of its call must be counted.
                    connection = take.connection.open()
                self._queue.take_back(connection, deliveries, lease=self._lease, wait=gone)
            except (psycopg.Error, DatabaseError):
                for item in deliveries:
                    lose(item)
                take.connection.close()
            self._end(take)
        self._lasts = inf
        if take.unfit:
            self._refused_until = inf
            self._log.info(
                "the handler sets up its transaction, so its messages are leased", queue=self._queue.name
            )
        if self._adapts or all(item.lost for item in deliveries):
            self._take_rest()
        if done:
            self._ack(done)

    def convert_slow(self) -> None:
        """Convert the takes that last too long."""
        limit = time.monotonic() - self._slow
        for take in list(self._takes):
            if take.began < limit and take.left and not take.running:
                self.convert(take)

    def convert_all(self) -> None:
        """Convert all takes, but those whose handler commits itself."""
        for take in list(self._takes):
            if not take.running:
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

    def _learn(self, take: Take, *, lost: bool) -> None:
        self._lasts = time.monotonic() - take.began
        # What is lost was not counted: it must not be lost again in the same way.
        if lost or (self._adapts and self._lasts > QUICK):
            self._take_rest()
        else:
            self._rest = max(1, self._rest // 2)

    def _take_rest(self) -> None:
        self._resting = self._rest
        self._rest = min(LONGEST_REST, self._rest * 2)
