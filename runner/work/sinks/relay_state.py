"""The state of a relay, for metrics and for the reports in the database."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

State = Literal["connecting", "running", "paused", "stopped"]

STATES: tuple[State, ...] = ("connecting", "running", "paused", "stopped")

STORED = ("confirmed", "duplicate")
REFUSED = ("refused", "unroutable")


@dataclass(slots=True)
class RelayState:
    """One consumer's relay. ``since`` and ``error_at`` are in seconds since 1970.

    ``outcomes`` counts the engine's answers by their kind, ``published`` the messages handed to it.
    ``observe`` takes the seconds of each call; the metrics set it.
    """

    destination: str
    engine: str
    state: State = "connecting"
    since: float = field(default_factory=time.time)
    error: str = ""
    error_at: float | None = None
    published: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    observe: Callable[[float], None] = lambda _: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def confirmed(self) -> int:
        return sum(self.outcomes[kind] for kind in STORED)

    @property
    def refused(self) -> int:
        return sum(self.outcomes[kind] for kind in REFUSED)

    def become(self, state: State, *, error: str = "", since: float | None = None) -> None:
        """Note a state, and the error that led to it. ``since``, where it began before now."""
        if error:
            self.error, self.error_at = error, time.time()
        if state != self.state:
            self.state, self.since = state, time.time() if since is None else since

    def count(self, kinds: Sequence[str], *, seconds: float) -> None:
        """Count one call that handed a message of each of ``kinds`` of outcome to the engine."""
        with self._lock:
            self.published += len(kinds)
            self.outcomes.update(kinds)
        self.observe(seconds)
