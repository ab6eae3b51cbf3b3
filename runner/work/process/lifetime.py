"""How long a worker process may live. Then another one replaces it, which frees leaked memory."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Limits of one process: messages settled, bytes of memory, seconds since it started."""

    messages: int | None = None
    memory: int | None = None
    age: float | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def bounded(self) -> bool:
        return not (self.messages is None and self.memory is None and self.age is None)

    def find_end(self, *, messages: int) -> str:
        """The limit that is reached, in words; empty while there is none."""
        if self.messages is not None and messages >= self.messages:
            return f"{messages} messages"
        age = time.monotonic() - self.began
        if self.age is not None and age >= self.age:
            return f"{age:.0f} s old"
        memory = measure_memory() if self.memory is not None else 0
        if self.memory is not None and memory >= self.memory:
            return f"{memory / 1024**2:.0f} MB of memory"
        return ""


FOREVER = Lifetime()


def measure_memory() -> int:
    """The process' memory in bytes; without /proc, the most that it ever had."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
