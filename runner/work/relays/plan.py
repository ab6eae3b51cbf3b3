"""The second kind of sink: a relay to an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from changelane.contract.destination import Destination, Relay
from changelane.contract.manifest import Consumer
from changelane.errors import DestinationError
from changelane.runner.relay.destinations import Destinations
from changelane.runner.relay.engine import Engine
from changelane.runner.work.relays.sink import RelaySink
from changelane.runner.work.sinks.protocol import Host, Sink, SinkPlan


@dataclass(frozen=True, slots=True)
class RelayPlan:
    """Relays the messages of ``consumer``."""

    consumer: Consumer
    relay: Relay
    engine: Engine
    destinations: Destinations

    @property
    def dated(self) -> bool:
        # Formats say when a message that is no change was sent.
        return True

    @property
    def warning(self) -> str:
        return ""

    def open(self, host: Host) -> Sink:
        return RelaySink(
            self.relay,
            lease=self.consumer.lease,
            attempts=self.consumer.retry.attempts,
            engine=self.engine,
            destinations=self.destinations,
            host=host,
        )


def plan_relays(
    consumers: Sequence[Consumer], destinations: Sequence[Destination]
) -> tuple[dict[str, SinkPlan], list[DestinationError]]:
    """The plans of those consumers that relay, by queue; and an error for each whose destination is not
    declared, or its client not installed.
    """
    opened = Destinations(destinations)
    plans: dict[str, SinkPlan] = {}
    problems = []
    for consumer in consumers:
        if consumer.relay is not None:
            try:
                engine = opened.open(consumer.relay.to)
            except DestinationError as problem:
                problems.append(problem)
            else:
                plans[consumer.queue] = RelayPlan(consumer, consumer.relay, engine, opened)
    return plans, problems
