"""Limits wrong tokens: slow answers, and one count for all visitors together."""

from __future__ import annotations

import asyncio
import time
from collections import deque

PAUSE = 0.5
"""Seconds before a visitor learns that a token is wrong."""

AT_ONCE = 8
"""Wrong tokens answered in one PAUSE. The others wait, so all visitors together can try 16 a second."""

LIMIT = 60
"""Wrong tokens within a MINUTE; above this, the answer says that there were too many."""

MINUTE = 60.0


class GuessLimit:
    """Slows down guessing of the token. A right token never comes here, so nobody's guesses can lock its
    owner out.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._told: deque[float] = deque(maxlen=LIMIT)

    async def hold(self) -> int:
        """Wait for a turn; returns the HTTP status of the response: 401, or 429 after LIMIT wrong tokens."""
        async with self._turn:
            await asyncio.sleep(PAUSE)
        now = time.monotonic()
        many = len(self._told) == LIMIT and now - self._told[0] < MINUTE
        self._told.append(now)
        return 429 if many else 401
