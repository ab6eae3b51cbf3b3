"""Destinations of relays as the manifest holds them: addresses, and where each secret is found.

A secret itself is never in the spec, the manifest, a log or an error. The worker reads it from the
environment or from a file when it connects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from changelane.contract.formats import Format
from changelane.contract.record import Record
from changelane.contract.template import Engine
from changelane.errors import DestinationError

LONGEST_SECRET = 1 << 20
"""Bytes of a secret's file that are read, at most."""


class Secret(Record):
    """Where a secret is found: ``env`` names a variable that holds it, ``file_env`` a variable that holds the
    path of its file, ``file`` is that path. Exactly one is set.
    """

    env: str | None = None
    file_env: str | None = None
    file: str | None = None

    def read(self) -> str:
        """The secret, without a line end after it. Raises DestinationError, which names only the place."""
        if self.env is not None:
            return _read_variable(self.env)
        path = _read_variable(self.file_env) if self.file_env is not None else str(self.file)
        try:
            with Path(path).open("rb") as file:
                text = file.read(LONGEST_SECRET).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise DestinationError(
                f"the secret's file {path} cannot be read: {reason}",
                fix="give the file, readable by the worker alone",
            ) from None
        return text.rstrip("\r\n")


def _read_variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise DestinationError(
            f"the environment variable {name} is not set", fix=f"set {name} where the worker runs"
        )
    return value


class Address(Secret):
    """A URL, in one of the places of a secret, as it may hold a password, or ``literal`` without one."""

    literal: str | None = None

    def read(self) -> str:
        return super().read() if self.literal is None else self.literal


class Tls(Record):
    """Paths of PEM files: ``ca`` verifies the server, ``cert`` and ``key`` identify the client."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Nats(Record):
    """A NATS server or cluster with JetStream."""

    servers: tuple[str, ...]
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    nkey: Secret | None = None
    credentials: Secret | None = None
    tls: Tls | None = None


class Kafka(Record):
    """A Kafka cluster. ``options`` are those of librdkafka."""

    servers: tuple[str, ...]
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    mechanism: str | None = None
    username: str | None = None
    password: Secret | None = None
    tls: Tls | None = None
    options: dict[str, str | int | bool] = Field(default_factory=dict)


class Redis(Record):
    """A Redis or Valkey server."""

    url: Address
    username: str | None = None
    password: Secret | None = None
    tls: Tls | None = None


class RabbitMq(Record):
    """A RabbitMQ broker, or another that speaks AMQP 0-9-1 with publisher confirms."""

    url: Address
    username: str | None = None
    password: Secret | None = None
    tls: Tls | None = None


PRIVATE = "private"
"""Stands for every address that is not public: loopback, private networks, link-local (cloud metadata)."""


class Sign(Record):
    """Each secret signs, so that a receiver can go from one to the next."""

    standard_webhooks: tuple[Secret, ...]


class Http(Record):
    """A receiver of POST requests. ``headers`` go with each request. ``rate`` is requests a second and
    ``concurrency`` requests at once, both for each process. ``max_body`` is in bytes. ``allow`` and ``deny``
    are ranges of addresses in CIDR notation, or ``private``.
    """

    url: Address
    sign: Sign | None = None
    headers: dict[str, Secret | str] = Field(default_factory=dict)
    tls: Tls | None = None
    concurrency: int = 16
    rate: float | None = None
    max_body: int = 1_000_000
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


ENGINES: tuple[Engine, ...] = ("nats", "kafka", "rabbitmq", "redis", "http")

ADDRESSES: dict[Engine, tuple[str, ...]] = {
    "nats": ("subject",),
    "kafka": ("topic",),
    "rabbitmq": ("routing_key",),
    "redis": ("stream",),
    "http": (),
}
"""By engine: the keys of a relay that say where a message goes there."""

DEDUPLICATING: tuple[Engine, ...] = ("nats",)
"""Engines that store an id once."""


class Destination(Record):
    """An engine, by the name that the spec gives it. Exactly one of the engines is set."""

    name: str
    nats: Nats | None = None
    kafka: Kafka | None = None
    rabbitmq: RabbitMq | None = None
    redis: Redis | None = None
    http: Http | None = None

    @property
    def kind(self) -> Engine:
        """The engine's key in the spec."""
        return next(kind for kind in ENGINES if getattr(self, kind) is not None)

    def list_secrets(self) -> list[Secret]:
        """All that is read from elsewhere before the engine is reached."""
        return list(_list_secrets(getattr(self, self.kind)))


def _list_secrets(value: object) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Record):
        for name in type(value).model_fields:
            yield from _list_secrets(getattr(value, name))
    elif isinstance(value, dict | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _list_secrets(item)


class Relay(Record):
    """Where a consumer's messages go. ``subject``, ``topic``, ``routing_key`` and ``stream`` are templates
    (``changelane.contract.template``), of which the engine has one. ``exchange`` is RabbitMQ's. ``source``,
    ``database`` and ``tombstone`` are settings of formats (``changelane.envelopes.record``). ``timeout`` is
    the number of seconds within which the engine must confirm a batch.
    """

    to: str
    subject: str | None = None
    topic: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    stream: str | None = None
    format: Format = "changelane"
    source: str = ""
    database: str = ""
    tombstone: bool = True
    deduplicate: bool = False
    timeout: float = 30.0

    @property
    def address(self) -> str:
        """The template of the address, whatever the engine calls it; empty where it has none."""
        return self.subject or self.topic or self.routing_key or self.stream or ""
