"""Too few connections: where the server refuses more, handlers give up some of theirs for others."""

from __future__ import annotations

from typing import Protocol

PAUSE = 0.5
"""Seconds for which a slot that gave its connection up leaves it to others."""


class Shed:
    """In a pool's queue, in place of a job: whoever takes it gives up its connection."""


class Holder(Protocol):
    """A pool of handlers."""

    @property
    def connected(self) -> int:
        """Connections that it has."""

    def shed(self) -> None:
        """Give one of them up, soon."""


class Scarcity:
    """Of one process. Claims, acks and leases come first; then each queue's handlers have one at least."""

    def __init__(self) -> None:
        self._holders: list[Holder] = []

    def add(self, holder: Holder) -> None:
        self._holders.append(holder)

    def report(self, holder: Holder | None = None) -> None:
        """No connection could be made, for the handlers of ``holder``, or for what all of them need."""
        richest = max(self._holders, key=lambda each: each.connected, default=None)
        if richest is None or not richest.connected:
            return
        if holder is None or (not holder.connected and richest.connected > 1):
            richest.shed()
