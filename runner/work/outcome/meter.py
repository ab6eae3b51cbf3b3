"""Measures the lag and the attempts of messages as their jobs end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changelane.change import Change
from changelane.runner.queue.delivery import Delivery

if TYPE_CHECKING:
    from prometheus_client import Histogram


@dataclass(frozen=True, slots=True)
class Meter:
    """Measures one consumer's jobs as they end."""

    lag: Histogram
    attempts: Histogram

    def measure(self, handled: Sequence[Delivery]) -> None:
        """Count the messages that a job handled."""
        now = time.time()
        for delivery in handled:
            content = delivery.content
            if content is not None:
                began = content.at if isinstance(content, Change) else content.enqueued_at
                self.lag.observe(max(0.0, now - began.timestamp()))
                self.attempts.observe(content.attempt)
