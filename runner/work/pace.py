"""How many messages a consumer may claim just now, and among how many it looks for them."""

from __future__ import annotations

import time
from math import inf

WADE = 500
"""Messages looked at in one claim on the way to keys that wait behind the backlog of others."""

REST = 4.0
"""Rest after wading, in times of what it took: at most a fifth of the time goes to what must wait."""

BURST = 0.1
"""Seconds of the rate that may be saved up, so that a batch is not broken into single messages."""


class Pace:
    """Counts against a rate of messages a second, and meters wading, the search among followers.

    Followers are messages behind another of their key. Each that is met is parked, which is a write: done at
    once for a whole backlog, it would hold up the work that is there.
    """

    def __init__(self, *, rate: float | None) -> None:
        self.paused = False
        self._rate = rate
        self._saved = 1.0
        self._counted = time.monotonic()
        self._look = WADE
        self._found = False
        self._wade_at: float | None = None

    def admit(self, limit: int) -> int:
        """How many of ``limit`` may be claimed now."""
        if self.paused:
            return 0
        if self._rate is None:
            return limit
        now = time.monotonic()
        self._saved = min(max(1.0, self._rate * BURST), self._saved + (now - self._counted) * self._rate)
        self._counted = now
        return min(limit, int(self._saved))

    def is_wading(self, *, busy: bool) -> bool:
        """Whether the search among followers is to go on now; ``busy`` says that messages are held."""
        if self._wade_at is None:
            return False
        return time.monotonic() >= self._wade_at or not (busy or self._found)

    def choose_look(self, limit: int, *, busy: bool) -> int:
        return max(limit, WADE) if self.is_wading(busy=busy) else min(limit, self._look)

    def note(self, *, claimed: int, looked: int, full: bool, seconds: float) -> None:
        """Learn from a claim that took so many seconds: what it claimed, looked at, and left unseen."""
        self._saved -= claimed
        self._found = claimed > 0
        if looked == claimed:
            self._look = WADE
        else:
            self._look = claimed + claimed // 4 + 1
        if not full:
            self._wade_at = None
        elif looked > claimed:
            self._wade_at = max(self._wade_at or 0.0, time.monotonic() + seconds * REST)

    def measure_pause(self, *, idle: bool, busy: bool) -> float | None:
        """Seconds until there may be more to claim; None: until something happens."""
        if self.paused:
            return None
        pause = inf
        if self._rate is not None and self._saved < 1 and not idle:
            pause = (1 - self._saved) / self._rate + 0.001
        if self._wade_at is not None and busy:
            pause = min(pause, max(0.001, self._wade_at - time.monotonic()))
        return None if pause == inf else pause
