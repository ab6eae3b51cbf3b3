"""Which sink takes the messages of a consumer: the one place that knows all kinds of sinks."""

from __future__ import annotations

from collections.abc import Sequence

from changelane.contract.manifest import Consumer
from changelane.runner.work.handlers.plan import HandlerPlan
from changelane.runner.work.handlers.signature import resolve_handlers
from changelane.runner.work.sinks.protocol import SinkPlan


def plan_sinks(consumers: Sequence[Consumer]) -> dict[str, SinkPlan]:
    """The sink of each consumer, by its queue, as the manifest declares it.

    Raises HandlerError for one wrong consumer, or PreflightError with one error for each of several.
    """
    handlers = resolve_handlers(consumers)
    return {consumer.queue: HandlerPlan(consumer, handlers[consumer.queue]) for consumer in consumers}
