"""Which sink takes the messages of a consumer: the one place that knows all kinds of sinks."""

from __future__ import annotations

from collections.abc import Sequence

from changelane.contract.destination import Destination
from changelane.contract.manifest import Consumer
from changelane.errors import ChangelaneError, PreflightError
from changelane.runner.work.handlers.plan import HandlerPlan
from changelane.runner.work.handlers.signature import resolve_handlers
from changelane.runner.work.sinks.protocol import SinkPlan


def plan_sinks(
    consumers: Sequence[Consumer], destinations: Sequence[Destination] = ()
) -> dict[str, SinkPlan]:
    """The sink of each consumer, by its queue, as the manifest declares it.

    Raises HandlerError or DestinationError for one wrong consumer, or PreflightError with one error for each
    of several.
    """
    plans: dict[str, SinkPlan] = {}
    problems: list[ChangelaneError] = []
    if any(consumer.relay is not None for consumer in consumers):
        # Slow to import.
        from changelane.runner.work.relays.plan import plan_relays

        plans, wrong = plan_relays(consumers, destinations)
        problems += wrong
    called = [consumer for consumer in consumers if consumer.relay is None]
    try:
        handlers = resolve_handlers(called)
    except PreflightError as problem:
        problems += problem.problems
    except ChangelaneError as problem:
        problems.append(problem)
    else:
        plans |= {consumer.queue: HandlerPlan(consumer, handlers[consumer.queue]) for consumer in called}
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise PreflightError(problems)
    return plans
