"""What a sink takes at once: some deliveries, and how it ended with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from changelane.change import DeadLetter
from changelane.runner.live.connection_watchdog import WatchedAsyncConnection, WatchedConnection
from changelane.runner.queue.delivery import Delivery, Malformed
from changelane.runner.work.sinks.fault import Fault, read_fault

T = TypeVar("T")

_ending = threading.Lock()


class Job(msgspec.Struct, eq=False):
    """``started`` and ``finished`` are on the monotonic clock, None until then. ``connection`` is the one of
    its transaction. ``begun``: the handler was called.

    ``handed`` are the deliveries that the handler received. ``missed`` are those whose leases ended before it
    could. ``unfit`` are those that it cannot take, each with the reason. ``acked``: the handled ones were
    acked in the handler's transaction. ``fault`` describes the handler's error. ``rest`` are further parts of
    a batch that failed; each is handed over after this job has ended.
    """

    deliveries: list[Delivery]
    handed: Sequence[Delivery] = ()
    missed: Sequence[Delivery] = ()
    unfit: Sequence[tuple[Delivery, BaseException]] = ()
    started: float | None = None
    finished: float | None = None
    connection: WatchedConnection | WatchedAsyncConnection | None = None
    begun: bool = False
    ended: bool = False
    settled: bool = False
    acked: bool = False
    fault: Fault | None = None
    rest: tuple[tuple[Delivery, ...], ...] = ()

    def start(self, read: Callable[[Delivery], T]) -> list[T]:
        """What ``read`` makes of each delivery. It is empty when nothing is left to hand over, or the job
        has ended.

        A delivery for which ``read`` raises Malformed goes to the dead letters; any other error is a failed
        attempt.
        """
        if self.ended:
            return []
        now = time.monotonic()
        # Validators may run past the timeout. The timeout then ends the call for all deliveries.
        self.handed, self.started = self.deliveries, now
        contents, handed, missed = [], [], []
        unfit: list[tuple[Delivery, BaseException]] = []
        for item in self.deliveries:
            if item.lost or item.leased_until <= now:
                missed.append(item)
                continue
            try:
                contents.append(read(item))
                handed.append(item)
            except Malformed as problem:
                unfit.append((item, DeadLetter(str(problem))))
            except Exception as problem:  # noqa: BLE001 - validators are the handler's code
                unfit.append((item, problem))
        with _ending:
            if self.ended:
                return []
            self.handed, self.missed, self.unfit = handed, missed, unfit
            return contents

    def end(self, error: BaseException | Fault | None = None, *, acked: bool = False) -> bool:
        """Record the job's end. False when it ended before, as when a handler returns past its timeout."""
        fault = read_fault(error) if isinstance(error, BaseException) else error
        with _ending:
            if self.ended:
                return False
            self.ended = True
            self.finished = time.monotonic()
            self.fault = fault
            self.acked = acked
            return True
