"""Too few connections: when the server refuses more, some handlers give theirs up for others."""

from __future__ import annotations

from typing import Protocol

PAUSE = 0.5
"""Seconds for which a slot leaves a connection that it gave up to others."""


class Shed:
    """Stands in a pool's queue in place of a job: the slot that takes it gives up its connection."""


class Holder(Protocol):
    """A pool of handlers."""

    @property
    def connected(self) -> int:
        """How many connections it has."""

    def shed(self) -> None:
        """Give one connection up, soon."""


class Scarcity:
    """Shares the connections of one process. Claims, acks and leases come first; each queue's handlers keep
    one.
    """

    def __init__(self) -> None:
        self._holders: list[Holder] = []

    def add(self, holder: Holder) -> None:
        self._holders.append(holder)

    def report(self, holder: Holder | None = None) -> None:
        """Report that no connection could be made: for the handlers of ``holder``, or for the worker
        itself.
        """
        richest = max(self._holders, key=lambda each: each.connected, default=None)
        if richest is None or not richest.connected:
            return
        if holder is None or (not holder.connected and richest.connected > 1):
            richest.shed()
