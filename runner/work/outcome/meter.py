"""Measures the time, the lag and the attempts of messages as their jobs end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changelane.change import Change
from changelane.runner.queue.delivery import Delivery
from changelane.runner.work.sinks.job import Job

if TYPE_CHECKING:
    from prometheus_client import Histogram


@dataclass(frozen=True, slots=True)
class Meter:
    """Measures one consumer's jobs as they end."""

    seconds: Histogram
    lag: Histogram
    attempts: Histogram

    def measure(self, job: Job, handled: Sequence[Delivery]) -> None:
        """Count a job that ended, and the messages that it handled."""
        if job.started is not None and job.finished is not None:
            self.seconds.observe(job.finished - job.started)
        now = time.time()
        for delivery in handled:
            content = delivery.content
            if content is not None:
                began = content.at if isinstance(content, Change) else content.enqueued_at
                self.lag.observe(max(0.0, now - began.timestamp()))
                self.attempts.observe(content.attempt)
