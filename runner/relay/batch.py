"""The messages of one call of ``publish`` whose answers arrive one by one."""

from __future__ import annotations

import asyncio

from changelane.runner.relay.engine import Outcome


class Batch:
    """Belongs to one event loop. ``outcomes`` has None where no answer came yet."""

    def __init__(self, size: int) -> None:
        self.outcomes: list[Outcome | None] = [None] * size
        self.left = size
        self._done = asyncio.Event()

    def put(self, index: int, outcome: Outcome) -> None:
        """Note an answer. A message's first one counts; one for a place that the batch lacks does not."""
        if index < len(self.outcomes) and self.outcomes[index] is None:
            self.outcomes[index] = outcome
            self.left -= 1
            if not self.left:
                self._done.set()

    def put_rest(self, outcome: Outcome) -> None:
        """Note an answer for every message that has none yet."""
        for index in range(len(self.outcomes)):
            self.put(index, outcome)

    async def wait(self, seconds: float) -> bool:
        """Whether every answer came within so many seconds."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._done.wait()
        except TimeoutError:
            return False
        return True
