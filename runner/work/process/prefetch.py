"""The messages that a consumer has claimed and not settled, and how many more it may claim."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import psycopg

from changelane.contract.manifest import Consumer as Spec
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.fenced import FencedQueue
from changelane.runner.work.outcome.settle import VANISHED, charge
from changelane.runner.work.sinks.fault import LeaseLost, MustWait, Released, Unfinished
from changelane.runner.work.sinks.job import Job
from changelane.runner.work.sinks.protocol import Sink

FAST = 0.1
"""Seconds. Sinks that finish their prefetched messages faster have more of them claimed meanwhile."""

AHEAD = 4
"""Prefetches for fast sinks: one being claimed, one handled, one acked, and one in reserve."""

AT_ONCE = 2
"""Batches in one claim for fast sinks."""

LOOKAHEAD = 0.005
"""Seconds of work that are prefetched where groups take turns: the next message waits for it."""

RECENT = 1 / 8
"""Of the newest calls, in the average time that a message takes."""


class Prefetch:
    """Feeds ``sink`` with claimed messages; ``conclude`` gets the jobs that end before it took them.

    A sink of single messages has at most ``size`` messages prefetched: the larger of the consumer's batch
    and concurrency, or several times that while the sink is fast. A sink of batches gets the messages
    of one claim, made when a slot is free. So at most ``batch`` times ``concurrency`` are held. ``alone`` is
    locked while a suspect runs; one suspect runs in the whole process.
    """

    def __init__(
        self,
        *,
        spec: Spec,
        sink: Sink,
        alone: threading.Lock,
        conclude: Callable[[Job], None],
    ) -> None:
        self.size = max(spec.batch, spec.concurrency)
        self._spec = spec
        self._sink = sink
        self._alone = alone
        self._running_alone: Delivery | None = None
        self._conclude = conclude
        self._lock = threading.Lock()
        self._held: set[Delivery] = set()
        self._suspects: deque[Delivery] = deque()
        self._fast = False
        self._took = inf
        self._settled = 0
        self._settled_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._held)

    def snapshot(self) -> list[Delivery]:
        """A copy of the held deliveries. Thread-safe."""
        return list(self._held.copy())

    def measure_room(self) -> int:
        """How many messages may be claimed now."""
        if self._suspects:
            # Suspects wait for free slots. A prefetch that is filled up again would never leave one.
            return 0
        slots = self._count_slots()
        batches = AT_ONCE if self._fast else 1
        if self._sink.batch:
            room = self._spec.batch * self._sink.size - len(self._held)
            return min(self._spec.batch * min(batches, slots), room) if slots > 0 else 0
        if self._spec.fair or self._spec.limit:
            # A message has its turn, and its place in a limit, when it can be handled.
            ahead = 0
            if not self._spec.limited:
                ahead = int(min(self.size * AHEAD, LOOKAHEAD * self._sink.size / max(self._took, 1e-6)))
            room = slots + ahead
            return min(self._spec.batch, room) if slots > 0 or room > ahead // 2 else 0
        free = self.size * (AHEAD if self._fast else 1) - len(self._held)
        enough = self.size * batches if self._fast else max(1, self.size // 2)
        return min(self._spec.batch * batches, free) if free >= enough or free > 0 < slots else 0

    def add(self, claimed: list[Delivery]) -> None:
        """Hold claimed messages, and pass those on that the sink may have."""
        with self._lock:
            self._held.update(claimed)
        # What is taken was never claimed before, and holds no notes.
        taken = bool(claimed) and claimed[0].take is not None
        fit = claimed if taken else []
        for delivery in () if taken else claimed:
            if delivery.void:
                self._conclude_unseen(delivery)
            elif delivery.claims == 1 and not delivery.failed:
                fit.append(delivery)
            elif delivery.failed >= self._spec.retry.attempts:
                self._end(delivery, Unfinished(delivery.error or VANISHED))
            elif delivery.suspect:
                self._suspects.append(delivery)
            else:
                fit.append(delivery)
        if fit:
            size = self._spec.batch if self._sink.batch else 1
            self._sink.submit([Job(fit[start : start + size]) for start in range(0, len(fit), size)])

    def dispatch_suspects(self, connection: psycopg.Connection[Any], queue: FencedQueue) -> None:
        """Charge the attempt of one suspect and run it, once a slot is free; put the others off.

        If two ran at once, both would be charged for a death that one of them causes. When psycopg.Error is
        raised, all suspects are kept.
        """
        while self._suspects and self._count_slots() > 0:
            suspect = self._suspects[0]
            if not self._alone.acquire(blocking=False):
                self._end(self._suspects.popleft(), MustWait())
                continue
            self._running_alone = suspect
            try:
                charged = charge(connection, queue, [suspect], lease=self._spec.lease)
            except psycopg.Error:
                self._stop_running_alone()
                raise
            self._suspects.popleft()
            if charged:
                self._sink.submit([Job(charged)])
            else:
                self._stop_running_alone()
                self._end(suspect, LeaseLost())

    def drop(self, deliveries: Sequence[Delivery]) -> None:
        """Let go of settled deliveries."""
        with self._lock:
            self._held.difference_update(deliveries)
            if self._running_alone is not None and self._running_alone in deliveries:
                self._stop_running_alone()
        self._settled += len(deliveries)
        if self._settled >= self.size:
            now = time.monotonic()
            self._fast = now - self._settled_at < FAST
            self._settled, self._settled_at = 0, now

    def measure(self, jobs: Sequence[Job]) -> None:
        """Note how long the handler took for a message of jobs that have ended."""
        timed = [job for job in jobs if job.handed and job.started is not None and job.finished is not None]
        if not timed:
            return
        seconds = sum((job.finished or 0.0) - (job.started or 0.0) for job in timed)
        took = seconds / sum(len(job.handed) for job in timed)
        self._took = took if self._took == inf else self._took + (took - self._took) * RECENT

    def give_back(self) -> None:
        """Release the messages that the sink has not begun."""
        for job in self._sink.withdraw():
            if job.end(Released()):
                self._conclude(job)
        while self._suspects:
            self._end(self._suspects.popleft(), Released())

    def _stop_running_alone(self) -> None:
        self._running_alone = None
        self._alone.release()

    def _count_slots(self) -> int:
        return self._sink.size - len(self._sink.running) - self._sink.waiting

    def _conclude_unseen(self, delivery: Delivery) -> None:
        job = Job([delivery], handed=[delivery])
        job.end()
        self._conclude(job)

    def _end(self, delivery: Delivery, error: BaseException) -> None:
        job = Job([delivery])
        job.end(error)
        self._conclude(job)
