"""Too few connections: when the server refuses more, some sinks give theirs up for others."""

from __future__ import annotations

from typing import Protocol

PAUSE = 0.5
"""Seconds for which a slot leaves a connection that it gave up to others."""


class GiveUpConnection:
    """Stands in a sink's queue in place of a job: the slot that takes it gives up its connection."""


class ConnectionHolder(Protocol):
    """A sink that has a connection for each of its slots."""

    @property
    def connected(self) -> int:
        """How many connections it has."""

    def give_up_connection(self) -> None:
        """Close one connection, soon."""


class ConnectionShares:
    """Shares the connections of one process. Claims, acks and leases come first; each sink keeps one."""

    def __init__(self) -> None:
        self._holders: list[ConnectionHolder] = []

    def add(self, holder: ConnectionHolder) -> None:
        self._holders.append(holder)

    def report(self, holder: ConnectionHolder | None = None) -> None:
        """Report that no connection could be made: for the slots of ``holder``, or for the worker itself."""
        richest = max(self._holders, key=lambda each: each.connected, default=None)
        if richest is None or not richest.connected:
            return
        if holder is None or (not holder.connected and richest.connected > 1):
            richest.give_up_connection()
