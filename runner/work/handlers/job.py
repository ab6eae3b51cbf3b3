"""One call of a handler: the deliveries it is for, and how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changelane.change import DeadLetter
from changelane.runner.queue.delivery import Content, Delivery, Malformed
from changelane.runner.work.handlers.fault import Fault, read_fault

if TYPE_CHECKING:
    from changelane.runner.work.handlers.lent_connection import LentAsyncConnection, LentConnection
    from changelane.runner.work.handlers.takes import Takes

_ending = threading.Lock()


@dataclass(slots=True, eq=False)
class Job:
    """``started`` and ``finished`` are on the monotonic clock, None until then; ``connection``
    is that of its transaction. ``begun`` says that the handler was called.

    ``handed`` are those that the handler really got, ``missed`` those whose leases passed before it could,
    ``unfit`` those that are nothing for it, with what is wrong. ``acked`` says that the handed went with its
    transaction; ``fault`` is what it raised. ``rest`` are further parts of a batch that failed, each to be
    handed over once this one has ended.
    """

    deliveries: list[Delivery]
    handed: Sequence[Delivery] = ()
    missed: Sequence[Delivery] = ()
    unfit: Sequence[tuple[Delivery, BaseException]] = ()
    started: float | None = None
    finished: float | None = None
    connection: LentConnection | LentAsyncConnection | None = None
    begun: bool = False
    ended: bool = False
    settled: bool = False
    acked: bool = False
    fault: Fault | None = None
    rest: tuple[tuple[Delivery, ...], ...] = ()

    def start(self, takes: Takes) -> list[Content]:
        """What to hand over, as the handler takes it; may be nothing, as where the job was ended before."""
        if self.ended:
            return []
        now = time.monotonic()
        # Validators may run past the timeout, which then ends the call of all.
        self.handed, self.started = self.deliveries, now
        contents, handed, missed = [], [], []
        unfit: list[tuple[Delivery, BaseException]] = []
        for item in self.deliveries:
            if item.lost or item.leased_until <= now:
                missed.append(item)
                continue
            try:
                contents.append(takes.read(item))
                handed.append(item)
            except Malformed as problem:
                unfit.append((item, DeadLetter(str(problem))))
            except Exception as problem:  # noqa: BLE001 - validators are code of the handler's
                unfit.append((item, problem))
        with _ending:
            if self.ended:
                return []
            self.handed, self.missed, self.unfit = handed, missed, unfit
            return contents

    def end(self, error: BaseException | Fault | None = None, *, acked: bool = False) -> bool:
        """Say how it ended; False when that was said before, as when a handler returns past its timeout."""
        fault = read_fault(error) if isinstance(error, BaseException) else error
        with _ending:
            if self.ended:
                return False
            self.ended = True
            self.finished = time.monotonic()
            self.fault = fault
            self.acked = acked
            return True
