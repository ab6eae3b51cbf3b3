"""When a destination does not answer: how long to wait, and whether one message may try."""

from __future__ import annotations

import time

from changelane.runner.live.jitter import vary

FIRST_PAUSE = 0.5
LAST_PAUSE = 30.0
"""Seconds from one try to the next: the pause doubles up to the last."""


class Outage:
    """``since`` is when the destination stopped to answer, on the monotonic clock; None while it answers.
    ``began_at`` is when the last outage began, in seconds since 1970.
    ``trying``: it can be reached again, and one message shows whether it stores.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self.began_at = 0.0
        self.trying = False
        self._failures = 0

    def begin(self) -> tuple[float, bool]:
        """Note a failure; returns the seconds until the next try, and whether the outage is new."""
        new = self.since is None
        if self.since is None:
            self.since = time.monotonic()
            self.began_at = time.time()
        self.trying = False
        pause = min(LAST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return vary(pause, 0.5, 1.0), new

    def end(self) -> float | None:
        """Note a success; returns how many seconds the outage lasted, None where none was."""
        since, self.since = self.since, None
        self.trying, self._failures = False, 0
        return None if since is None else time.monotonic() - since
