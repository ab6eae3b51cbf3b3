"""One call of a handler: the deliveries it is for, and how it ended."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changelane.runner.work.message import Delivery

if TYPE_CHECKING:
    from changelane.change import Change

_ending = threading.Lock()


class LeaseLost(Exception):
    """The fenced ack touched nothing: the message is another worker's by now, so nothing of ours may stay."""


@dataclass(slots=True, eq=False)
class Job:
    """``started`` and ``finished`` are on the monotonic clock, None until then; ``backend`` is the server
    process of its transaction.

    ``handed`` are those that the handler really got; ``acked`` says that they went with its transaction;
    ``error`` is what it raised. ``rest`` are further parts of a batch that failed, each to be handed over
    once this one has ended.
    """

    deliveries: list[Delivery]
    handed: frozenset[Delivery] = frozenset()
    started: float | None = None
    finished: float | None = None
    backend: int | None = None
    ended: bool = False
    settled: bool = False
    acked: bool = False
    error: BaseException | None = None
    rest: tuple[tuple[Delivery, ...], ...] = ()

    def start(self) -> list[Change]:
        """The changes to hand over: those whose leases outlived the wait; may be none."""
        self.started = now = time.monotonic()
        live = [item for item in self.deliveries if not item.lost and item.leased_until > now]
        self.handed = frozenset(live)
        return [item.change for item in live if item.change is not None]

    def end(self, error: BaseException | None = None, *, acked: bool = False) -> bool:
        """Say how it ended; False when that was said before, as when a handler returns past its timeout."""
        with _ending:
            if self.ended:
                return False
            self.ended = True
            self.finished = time.monotonic()
            self.error = error
            self.acked = acked
            return True
