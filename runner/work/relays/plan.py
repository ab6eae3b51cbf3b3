"""The second kind of sink: a relay to an engine."""

from __future__ import annotations

from dataclasses import dataclass

from changelane.contract.destination import Relay
from changelane.contract.manifest import Consumer
from changelane.runner.relay.destinations import Destinations
from changelane.runner.relay.engine import Engine
from changelane.runner.work.relays.sink import RelaySink
from changelane.runner.work.sinks.protocol import Host, Sink


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


def plan_relay(consumer: Consumer, relay: Relay, destinations: Destinations) -> RelayPlan:
    """Raises DestinationError where a destination is not declared, or its client not installed."""
    return RelayPlan(consumer, relay, destinations.open(relay.to), destinations)
