"""The engines that a process sends to: each is opened once, and only those that its queues need."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib import import_module

from changelane.contract.destination import Destination
from changelane.errors import DestinationError
from changelane.runner.relay.engine import Engine

_MODULES = {
    "nats": ("changelane.runner.relay.nats_engine", "NatsEngine", "nats"),
    "kafka": ("changelane.runner.relay.kafka_engine", "KafkaEngine", "confluent_kafka"),
    "rabbitmq": ("changelane.runner.relay.rabbitmq_engine", "RabbitMqEngine", "pika"),
    "redis": ("changelane.runner.relay.redis_engine", "RedisEngine", "redis"),
    "http": ("changelane.runner.relay.http_engine", "HttpEngine", "aiohttp"),
}
"""By engine: its module, its class, and the module of its client, which the extra of its name brings."""


class Destinations:
    """Opens engines by the names of their destinations, for all consumers of a process."""

    def __init__(self, declared: Sequence[Destination]) -> None:
        self._declared = {destination.name: destination for destination in declared}
        self._engines: dict[str, Engine] = {}
        self._users: dict[str, int] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Destination:
        """Raises DestinationError for a name that the manifest does not declare."""
        try:
            return self._declared[name]
        except KeyError:
            raise DestinationError(
                f"the manifest declares no destination {name}", fix="run `changelane generate`"
            ) from None

    def open(self, name: str) -> Engine:
        """The engine of a destination, not connected yet. Raises DestinationError where its client is not
        installed. Call ``leave`` when it is used no more.
        """
        with self._lock:
            self._users[name] = self._users.get(name, 0) + 1
            if name not in self._engines:
                self._engines[name] = make_engine(self.find(name))
            return self._engines[name]

    def leave(self, name: str) -> None:
        """Close the engine when its last user leaves it."""
        with self._lock:
            self._users[name] -= 1
            engine = None if self._users[name] else self._engines.pop(name, None)
        if engine is not None:
            engine.close()


def make_engine(destination: Destination) -> Engine:
    """An engine that has not connected. Raises DestinationError where its client is not installed."""
    kind = destination.kind
    module, name, client = _MODULES[kind]
    try:
        import_module(client)
        loaded = import_module(module)
    except ModuleNotFoundError:
        raise DestinationError(
            f"destination {destination.name}: the client of {kind} is not installed",
            fix=f"pip install 'changelane[{kind}]'",
        ) from None
    made: Engine = getattr(loaded, name)(getattr(destination, kind), name=destination.name)
    return made
