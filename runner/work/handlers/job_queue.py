"""Hands jobs to threads: to all at once, or, while jobs are brief, to one thread that takes them all.

Threads that run brief jobs in turns only wait for each other's turn with the interpreter. Waking one costs as
much as several such jobs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

BRIEF = 0.00005
"""Seconds. Jobs are brief while they take less on average."""

WEIGHT = 1 / 32
"""Of the last job, in the average."""

STUCK = 0.002
"""Seconds after which another thread takes over from one that takes no further job."""


class JobQueue(Generic[T]):
    """Thread-safe, and first in, first out.

    While ``brief``, one thread takes jobs, another stands by, and the rest sleep. When the first takes no
    job for STUCK seconds, the standby takes over, and the next thread becomes the standby.
    """

    def __init__(self) -> None:
        self.brief = False
        self._average = BRIEF * 10
        self._jobs: deque[T] = deque()
        self._sleepers: deque[threading.Lock] = deque()
        self._taken = 0
        self._taker: threading.Lock | None = None
        self._standby: threading.Lock | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, jobs: Iterable[T]) -> None:
        self._jobs.extend(jobs)
        if not self.brief:
            self._wake(len(self._jobs))
        elif self._taker is None:
            self._wake(2)
        elif self._standby is None:
            self._wake(1)

    def withdraw(self) -> list[T]:
        """Take all jobs back."""
        jobs: list[T] = []
        while True:
            try:
                jobs.append(self._jobs.popleft())
            except IndexError:
                return jobs

    def take_early(self) -> T | None:
        """The next job for a thread that is about to be free; None when another thread is free, or no job
        waits.
        """
        if self._sleepers:
            return None
        try:
            return self._jobs.popleft()
        except IndexError:
            return None

    def take(self, own: threading.Lock) -> T:
        """The next job, waited for. ``own`` is the thread's own lock, which it has acquired once."""
        while True:
            if self.brief and self._taker not in (None, own) and self._jobs:
                self._standby = own
                seen = self._taken
                own.acquire(timeout=STUCK)
                if self._standby is own:
                    self._standby = None
                if self._taken != seen:
                    if self._jobs:
                        continue
                elif self._jobs:
                    self._taker = own
                    self._wake(1)
            try:
                job = self._jobs.popleft()
            except IndexError:
                if self._taker is own:
                    self._taker = None
                self._sleep(own)
                continue
            self._taken += 1
            if self.brief:
                self._taker = own
            return job

    def note(self, seconds: float) -> None:
        """Note how long a job took."""
        self._average += (min(seconds, BRIEF * 10) - self._average) * WEIGHT
        if (self._average < BRIEF) is not self.brief:
            self.set_brief(not self.brief)

    def set_brief(self, brief: bool) -> None:
        self.brief = brief
        if not brief:
            self._taker = None
            self._wake(len(self._jobs))

    def _wake(self, count: int) -> None:
        for _ in range(count):
            try:
                sleeper = self._sleepers.popleft()
            except IndexError:
                return
            sleeper.release()

    def _sleep(self, own: threading.Lock) -> None:
        self._sleepers.append(own)
        if self._jobs:
            # They came since the last look; whoever put them may not have seen this thread.
            try:
                self._sleepers.remove(own)
                return
            except ValueError:
                # It was woken meanwhile.
                pass
        own.acquire()
