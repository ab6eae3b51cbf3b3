"""Tells the database how the relays of this process are, for people who look at it from elsewhere."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.transient import is_passing
from changelane.runner.work.sinks.relay_state import RelayState

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from changelane.runner.live.reconnecting import ReconnectingConnection

EVERY = 10.0
"""Seconds from one report to the next. One whose states changed is told at once."""


class RelayReports:
    """``relays`` are the states by queue, which change as the process works."""

    def __init__(self, relays: Mapping[str, RelayState], *, log: FilteringBoundLogger) -> None:
        self._relays = relays
        self._log = log
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._told: Mapping[str, tuple[str, float]] = {}
        self._told_at = float("-inf")
        self._refused = False

    def tell(self, reconnecting: ReconnectingConnection) -> None:
        """Report where it is time. A refusal is logged once, and the work continues."""
        states = {queue: (relay.state, relay.since) for queue, relay in self._relays.items()}
        if not self._relays or self._refused:
            return
        if states == self._told and time.monotonic() < self._told_at + EVERY:
            return
        self._send(reconnecting, list(self._relays))
        self._told, self._told_at = states, time.monotonic()

    def end(self, reconnecting: ReconnectingConnection) -> None:
        """Take back all reports, except those of stopped relays."""
        if self._told and not self._refused:
            stopped = [queue for queue, relay in self._relays.items() if relay.state == "stopped"]
            self._send(reconnecting, stopped)

    def _send(self, reconnecting: ReconnectingConnection, queues: list[str]) -> None:
        told = json.dumps([_describe(queue, self._relays[queue]) for queue in queues])
        values = {"process": self._process, "relays": told}
        try:
            reconnecting.open().execute(load_sql(__name__, "tell_relays"), values)
        except (psycopg.Error, DatabaseError) as error:
            if isinstance(error, psycopg.Error) and not is_passing(error):
                self._refused = True
                what = str(error).partition("\n")[0]
                self._log.warning(f"no state of relays in the database: {what}; run `changelane apply`")
            else:
                reconnecting.close()


def _describe(queue: str, relay: RelayState) -> dict[str, Any]:
    return {
        "queue": queue,
        "destination": relay.destination,
        "engine": relay.engine,
        "state": relay.state,
        "since": _spell(relay.since),
        # Postgres' text holds no zero byte, which an engine may say.
        "error": relay.error.replace("\0", "") or None,
        "error_at": None if relay.error_at is None else _spell(relay.error_at),
        "published": relay.published,
        "confirmed": relay.confirmed,
        "refused": relay.refused,
    }


def _spell(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
