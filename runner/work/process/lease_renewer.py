"""Renews leases and enforces handler timeouts, in a thread and on a connection of its own.

So neither a busy handler nor a slow claim can delay a renewal. The consumers limit how many messages are
held, and only leases past their half are renewed. So one renewal stays a small statement.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.connection_watchdog import OVERRUN, ConnectionSocket
from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.work.process.consumer import Consumer
from changelane.runner.work.sinks.connection_shares import ConnectionShares

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


PROBE = 10.0
"""Seconds between two checks of handlers that wait for the database."""


class LeaseRenewer:
    """Renews the leases of all consumers of a process, several times within the shortest lease."""

    def __init__(
        self,
        *,
        consumers: Sequence[Consumer],
        conninfo: str,
        shares: ConnectionShares,
        log: FilteringBoundLogger,
    ) -> None:
        self._consumers = consumers
        self._log = log
        spans = [
            span for consumer in consumers for span in (consumer.spec.lease, consumer.spec.timeout) if span
        ]
        self._tick = min(1.0, min(spans) / 8)
        self._stopped = threading.Event()
        # A renewal that fails leaves time for another one.
        shortest = min(consumer.spec.lease for consumer in consumers)
        limit = min(OVERRUN, max(1.0, shortest / 4))
        self._reconnecting = ReconnectingConnection(
            conninfo, name="changelane worker leases", limit=limit, refused=shares.report
        )
        self._probed_at = 0.0
        self._doubtful: dict[ConnectionSocket, float] = {}
        self._terminate = load_sql(__name__, "terminate")
        self._active = load_sql(__name__, "active")
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._stopped.wait(self._tick):
            try:
                for consumer in self._consumers:
                    self._expire(consumer)
                    self._renew(consumer)
                self._probe()
            except (psycopg.Error, DatabaseError) as error:
                self._reconnecting.close()
                self._log.warning("leases not renewed; trying again", error=str(error).partition("\n")[0])
        self._reconnecting.close()

    def _renew(self, consumer: Consumer) -> None:
        lease = consumer.spec.lease
        now = time.monotonic()
        with consumer.settler.renewal:
            old = [
                item
                for item in consumer.held
                if not (item.lost or item.settling or item.take) and item.leased_until - now < lease / 2
            ]
            if not old:
                return
            kept = consumer.queue.renew(self._reconnecting.open(), old, lease=lease)
        for delivery in old:
            if delivery.msg_id in kept:
                delivery.leased_until = now + lease
            else:
                delivery.lost = True

    def _expire(self, consumer: Consumer) -> None:
        for backend in consumer.expire():
            # This ends the transaction at once, with its locks, although the thread runs on.
            self._reconnecting.open().execute(self._terminate, {"pid": backend})

    def _probe(self) -> None:
        """Close handlers' connections that wait for an answer while the server runs no statement for them."""
        now = time.monotonic()
        if now - self._probed_at < PROBE:
            return
        self._probed_at = now
        wires = [wire for consumer in self._consumers for wire in consumer.find_waiting(seconds=PROBE)]
        if not wires:
            self._doubtful = {}
            return
        pids = [wire.pid for wire in wires]
        rows = self._reconnecting.open().execute(self._active, {"pids": pids}).fetchall()
        active = {pid for (pid,) in rows}
        doubtful = {wire: wire.began for wire in wires if wire.pid not in active}
        for wire, began in doubtful.items():
            # Only at the second look: at the first, the answer may still be on its way.
            if began is not None and self._doubtful.get(wire) == began:
                self._log.warning(
                    "a handler waits for an answer that the server gave; giving up its connection",
                    connection=wire.name,
                    seconds=round(now - began, 1),
                )
                wire.cut()
        self._doubtful = {wire: began for wire, began in doubtful.items() if began is not None}
