"""Tells the database how this process is and what became of its messages, and hears what people ask of it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import psycopg

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.transient import is_passing
from changelane.runner.work.process.consumer import Consumer

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from changelane.runner.live.reconnecting import ReconnectingConnection

EVERY = 5.0
"""Seconds from one report to the next."""

FOLD_EVERY = 3600.0
"""Seconds from one summary of old history to the next."""

CALLS = 20
"""Running calls in a report, at most: those that run the longest."""

IDS = 5
"""Messages that are named of each."""

FAILED = ("failed", "dead", "archived", "blocked")
"""The outcomes of a failed attempt. Of these, ``failed`` is tried again."""


class WorkerReports:
    """``consumers`` are those of this process. A refusal is logged once, and the work continues."""

    def __init__(self, consumers: Sequence[Consumer], *, log: FilteringBoundLogger) -> None:
        self._consumers = consumers
        self._log = log
        self.process = f"{socket.gethostname()}:{os.getpid()}"
        self._since = _spell(time.time())
        self._told_at = float("-inf")
        self._folded_at = float("-inf")
        self._refused = False
        self._counts: dict[str, Counter[str]] = {}
        self._times: dict[str, tuple[list[int], list[int]]] = {}

    def tell(self, reconnecting: ReconnectingConnection, *, state: str, now: bool = False) -> str:
        """Report if it is time, or ``now``; returns what the process is asked: ``stop``, ``drain`` or
        nothing.
        """
        if not now and time.monotonic() < self._told_at + EVERY:
            return ""
        self._told_at = time.monotonic()
        found = self._send(reconnecting, "tell_worker", told=json.dumps(self._describe(state)))
        return str(found or "")

    def tell_history(self, reconnecting: ReconnectingConnection, depths: Mapping[str, int]) -> None:
        """Report what became of messages since the last time. ``depths`` are numbers of messages by queue."""
        counts = {consumer.spec.queue: Counter(consumer.counts) for consumer in self._consumers}
        times = {consumer.spec.queue: _read(consumer) for consumer in self._consumers}
        told = []
        for queue, total in counts.items():
            new = total - self._counts.get(queue, Counter())
            waited, worked = (
                _subtract(after, before)
                for after, before in zip(times[queue], self._times.get(queue, ([], [])), strict=True)
            )
            told.append(
                {
                    "queue": queue,
                    "handled": new["handled"],
                    "failed": sum(new[outcome] for outcome in FAILED),
                    "retried": new["failed"],
                    "depth": depths.get(queue),
                    "waited": waited,
                    "worked": worked,
                }
            )
        if self._send(reconnecting, "tell_history", told=json.dumps(told)) is not None:
            self._counts, self._times = counts, times
        if time.monotonic() >= self._folded_at + FOLD_EVERY:
            self._folded_at = time.monotonic()
            self._send(reconnecting, "fold_history")

    def end(self, reconnecting: ReconnectingConnection) -> None:
        """Report the last counts, and that the process ends in order."""
        self.tell_history(reconnecting, {})
        self._send(reconnecting, "tell_worker", told=None)

    def _send(self, reconnecting: ReconnectingConnection, name: str, **values: str | None) -> Any:
        """What the function says; None if it says nothing, or could not be called."""
        if self._refused:
            return None
        try:
            row = (
                reconnecting.open()
                .execute(load_sql(__name__, name), {"process": self.process, **values})
                .fetchone()
            )
        except (psycopg.Error, DatabaseError) as error:
            if isinstance(error, psycopg.Error) and not is_passing(error):
                self._refused = True
                what = str(error).partition("\n")[0]
                self._log.warning(f"no state of this worker in the database: {what}; run `changelane apply`")
            elif getattr(error, "sqlstate", None) != "55P03":
                reconnecting.close()
            return None
        return row[0] if row else None

    def _describe(self, state: str) -> dict[str, Any]:
        now = time.monotonic()
        running: list[dict[str, Any]] = [
            {
                "queue": consumer.spec.queue,
                "ids": [delivery.msg_id for delivery in job.deliveries[:IDS]],
                "messages": len(job.deliveries),
                "seconds": round(now - job.started, 3),
            }
            for consumer in self._consumers
            for job in consumer.running
            if job.started is not None
        ]
        running.sort(key=lambda call: -call["seconds"])
        error, error_at = max((consumer.last_error for consumer in self._consumers), key=lambda last: last[1])
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version("changelane"),
            "since": self._since,
            "queues": [consumer.spec.queue for consumer in self._consumers],
            "state": state,
            "running": running[:CALLS],
            # Postgres' text holds no zero byte, which a handler may say.
            "error": error.replace("\0", "") or None,
            "error_at": _spell(error_at) if error else None,
        }


def _read(consumer: Consumer) -> tuple[list[int], list[int]]:
    timings = consumer.settler.timings
    return timings.waited.read()[0], timings.worked.read()[0]


def _subtract(after: Sequence[int], before: Sequence[int]) -> list[int]:
    """The counts since then; empty if there are none."""
    new = [count - (before[place] if before else 0) for place, count in enumerate(after)]
    return new if any(new) else []


def _spell(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
