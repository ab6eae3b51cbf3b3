"""How many messages a consumer may claim now, by its rate."""

from __future__ import annotations

import time

BURST = 0.1
"""Seconds of the rate that may be saved up, so that a batch is not broken into single messages."""


class RateLimit:
    """Counts claims against a rate in messages a second."""

    def __init__(self, *, rate: float | None) -> None:
        self.paused = False
        self._rate = rate
        self._saved = 1.0
        self._counted = time.monotonic()

    def admit(self, limit: int) -> int:
        """How many of ``limit`` messages may be claimed now."""
        if self.paused:
            return 0
        if self._rate is None:
            return limit
        now = time.monotonic()
        self._saved = min(max(1.0, self._rate * BURST), self._saved + (now - self._counted) * self._rate)
        self._counted = now
        return min(limit, int(self._saved))

    def spend(self, claimed: int) -> None:
        """Count claimed messages."""
        self._saved -= claimed

    def measure_pause(self) -> float:
        """Seconds until a message may be claimed, by the rate alone."""
        if self._rate is None or self._saved >= 1:
            return 0.0
        return (1 - self._saved) / self._rate + 0.001
