"""Counts how long messages waited and how long handlers took, for the metrics and for the history."""

from __future__ import annotations

from collections.abc import Sequence

from changelane.runner.live.history import WAITED, WORKED, find_bucket
from changelane.runner.work.sinks.job import Job

SAMPLED = 16
"""Calls, and messages of a call, whose times are taken in one round; each stands for those between it and the
next. So a message costs nothing where thousands end together, and all are measured where few do.
"""


class Times:
    """Counts by bounds of ``live.history``, with one more for all beyond; ``seconds`` is their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def add(self, seconds: float, weight: int) -> None:
        bucket = find_bucket(seconds, self.bounds)
        if bucket is not None:
            self.counts[bucket] += weight
            self.seconds += max(seconds, 0.0) * weight

    def read(self) -> tuple[list[int], float]:
        """The counts up to now, and the sum of their seconds."""
        return list(self.counts), self.seconds


class Timings:
    """One consumer's times. ``waited`` is from when a message was due to the call of its handler: a delay,
    and the pause before another attempt, do not count. ``worked`` is from the call of a handler to its end.
    """

    def __init__(self) -> None:
        self.waited = Times(WAITED)
        self.worked = Times(WORKED)

    def count(self, jobs: Sequence[Job]) -> None:
        """Count jobs that have ended."""
        step = max(1, len(jobs) // SAMPLED)
        for start in range(0, len(jobs), step):
            job = jobs[start]
            if job.started is None or job.finished is None:
                continue
            stands_for = min(step, len(jobs) - start)
            self.worked.add(job.finished - job.started, stands_for)
            handed = job.handed
            stride = max(1, len(handed) // SAMPLED)
            for index in range(0, len(handed), stride):
                due = handed[index].due
                if due is not None:
                    weight = min(stride, len(handed) - index) * stands_for
                    self.waited.add(job.started - due, weight)
