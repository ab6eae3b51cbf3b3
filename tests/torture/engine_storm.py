"""The faults of a torture, and those of the engines that its relays write to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from engines import LONGEST, Engine
from storm import Storm


class EngineStorm(Storm):
    lease = 4.0

    def __init__(self, engines: Sequence[Engine], **common: Any) -> None:
        self._well = list(engines)
        super().__init__(**common)

    def list_faults(self, kills: float) -> dict[Callable[[], None], float]:
        return {**super().list_faults(kills), self._strike_engine: kills * 0.5}

    def _strike_engine(self) -> None:
        """One at a time for each engine."""
        if not self._well:
            return
        engine = self._random.choice(self._well)
        fault, end = engine.strike(self._random)
        self.counts[f"{engine.name} {fault}"] += 1
        self._well.remove(engine)

        def heal() -> None:
            end()
            self._well.append(engine)

        self._later.append((time.monotonic() + self._random.uniform(0.2, LONGEST), heal))
