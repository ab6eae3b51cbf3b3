"""Keeps leases alive and watches the clock of handlers, in a thread and on a connection of its own.

So a busy handler or a slow claim starves neither. What is held is bounded by the consumers, and only what is
past half its lease is renewed, so one renewal stays a small statement.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg

from changelane.errors import DatabaseError
from changelane.runner.work.consumer import Consumer
from changelane.runner.work.link import Link
from changelane.runner.work.queue import load_sql

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class Keeper:
    """Renews for all consumers of a process, several times within the shortest lease."""

    def __init__(self, *, consumers: Sequence[Consumer], conninfo: str, log: FilteringBoundLogger) -> None:
        self._consumers = consumers
        self._log = log
        spans = [
            span for consumer in consumers for span in (consumer.spec.lease, consumer.spec.timeout) if span
        ]
        self._tick = min(1.0, min(spans) / 8)
        self._stopped = threading.Event()
        self._link = Link(conninfo, name="changelane work leases")
        self._terminate = load_sql("terminate")
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
            except (psycopg.Error, DatabaseError) as error:
                self._link.close()
                self._log.warning("leases not renewed; trying again", error=str(error).partition("\n")[0])
        self._link.close()

    def _renew(self, consumer: Consumer) -> None:
        lease = consumer.spec.lease
        now = time.monotonic()
        with consumer.settler.renewal:
            old = [
                item
                for item in consumer.held
                if not item.lost and not item.settling and item.leased_until - now < lease / 2
            ]
            if not old:
                return
            kept = consumer.queue.renew(self._link.open(), old, lease=lease)
        for delivery in old:
            if delivery.msg_id in kept:
                delivery.leased_until = now + lease
            else:
                delivery.lost = True

    def _expire(self, consumer: Consumer) -> None:
        for backend in consumer.expire():
            # Ends the transaction at once, with its locks, though the thread runs on.
            self._link.open().execute(self._terminate, {"pid": backend})
