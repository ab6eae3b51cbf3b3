"""Logs how many messages ended in each outcome: now and then, and when the worker ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from changelane.runner.work.process.consumer import Consumer

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

BACKLOG_CAP = 10_000
"""Messages up to which a backlog is counted."""


def log_summary(
    consumers: Iterable[Consumer], *, backlog: Mapping[str, int], log: FilteringBoundLogger
) -> None:
    """A line for each consumer. ``backlog`` is the number of messages in its queue."""
    for consumer in consumers:
        count = backlog.get(consumer.spec.queue)
        log.info(
            "summary",
            queue=consumer.spec.queue,
            **_choose(consumer.counts),
            in_flight=len(consumer.held),
            backlog=f"{BACKLOG_CAP}+" if count is not None and count > BACKLOG_CAP else count,
        )


def log_end(consumers: Iterable[Consumer], *, log: FilteringBoundLogger) -> None:
    """A line for each consumer that stopped."""
    for consumer in consumers:
        log.info("stopped", queue=consumer.spec.queue, **_choose(consumer.counts))


def _choose(counts: Counter[str]) -> dict[str, int]:
    rare = [name for name in ("archived", "blocked", "released", "lost") if counts[name]]
    return {name: counts[name] for name in ("handled", "failed", "dead", *rare)}
