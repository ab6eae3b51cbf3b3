"""The models of ``destinations`` and of a consumer's ``relay``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, WrapValidator

from changelane.contract.formats import Format
from changelane.generator.spec.http_model import Http
from changelane.generator.spec.model import Model
from changelane.generator.spec.scalars import Boolean, DestinationName, Text, read_text
from changelane.generator.spec.secret_models import (
    Address,
    SecretPlace,
    Tls,
    describe_url,
    match_address,
    read_url,
)
from changelane.generator.spec.yaml_source import resolve

_NATS = r"^(nats|tls)://[A-Za-z0-9.\[\]:_-]+$"
NatsServer = Annotated[
    str, match_address(_NATS, "nats://n1:4222"), WithJsonSchema({"type": "string", "pattern": _NATS})
]


class Nats(Model):
    """A NATS server or cluster with JetStream. A stream must take the subjects; nothing is created there."""

    servers: tuple[NatsServer, ...] = Field(
        min_length=1,
        description="Addresses, tried in any order; tls:// encrypts.",
        examples=[["nats://n1:4222"]],
    )
    username: Text | None = Field(None, description="User, with `password`.", examples=["relay"])
    password: SecretPlace | None = Field(None, description="Password of the user.")
    token: SecretPlace | None = Field(None, description="Token, instead of a user.")
    nkey: SecretPlace | None = Field(None, description="Seed of an NKey, instead of a user.")
    credentials: SecretPlace | None = Field(
        None, description="Credentials (.creds), instead of a user.", examples=[{"file_env": "NATS_CREDS"}]
    )
    tls: Tls | None = Field(None, description="Encrypt, and verify the server by these files.")


_BROKER = r"^[A-Za-z0-9.\[\]:_-]+$"
Broker = Annotated[
    str, match_address(_BROKER, "k1:9092"), WithJsonSchema({"type": "string", "pattern": _BROKER})
]


def _read_option(value: object) -> str | int | bool:
    plain = resolve(value)
    if isinstance(plain, bool | int):
        return plain
    return read_text(value)


Option = Annotated[
    str | int | bool,
    WrapValidator(lambda value, _: _read_option(value)),
    WithJsonSchema({"type": ["string", "integer", "boolean"]}),
]


class Kafka(Model):
    """A Kafka cluster. Records are acknowledged by all replicas; keys land where Java's clients put them."""

    servers: tuple[Broker, ...] = Field(
        min_length=1, description="Brokers to begin with, as host:port.", examples=[["k1:9092"]]
    )
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="How to connect: encrypted or not, with a login or without."
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="How the login goes, with `security: sasl_ssl` or sasl_plaintext."
    )
    username: Text | None = Field(None, description="User of the login.", examples=["relay"])
    password: SecretPlace | None = Field(None, description="Password of the login.")
    tls: Tls | None = Field(None, description="Files, with `security: ssl` or sasl_ssl.")
    options: dict[Text, Option] = Field(
        {},
        description="Further settings of librdkafka, no secrets among them.",
        examples=[{"compression.type": "zstd"}],
    )


_REDIS = r"^rediss?://[A-Za-z0-9.\[\]:_-]+(/[0-9]+)?$"


RedisUrl = Annotated[Address, read_url(_REDIS, "redis://cache:6379/0"), describe_url(_REDIS)]


class Redis(Model):
    """A Redis or Valkey server. Each message is an entry of a stream, with its id among the fields."""

    url: RedisUrl = Field(
        description="The server, rediss:// where it is encrypted; or {env: NAME}.",
        examples=["redis://cache:6379/0"],
    )
    username: Text | None = Field(None, description="User, with `password`.", examples=["relay"])
    password: SecretPlace | None = Field(None, description="Password.")
    tls: Tls | None = Field(None, description="Files, with rediss://.")


_AMQP = r"^amqps?://[A-Za-z0-9.\[\]:_-]+(/[^/?#]*)?$"
AmqpUrl = Annotated[Address, read_url(_AMQP, "amqp://mq:5672/vhost"), describe_url(_AMQP)]


class RabbitMq(Model):
    """A RabbitMQ broker. Messages are persistent and confirmed; exchange and queues must be there."""

    url: AmqpUrl = Field(
        description="The broker, amqps:// where it is encrypted; or {env: NAME}.",
        examples=["amqp://mq:5672/shop"],
    )
    username: Text | None = Field(None, description="User, with `password`.", examples=["relay"])
    password: SecretPlace | None = Field(None, description="Password of the user.")
    tls: Tls | None = Field(None, description="Files, with amqps://.")


class Destination(Model):
    """An engine: exactly one of the keys."""

    nats: Nats | None = Field(None, description="NATS with JetStream.")
    kafka: Kafka | None = Field(None, description="Kafka, or another broker with its protocol.")
    rabbitmq: RabbitMq | None = Field(None, description="RabbitMQ, by AMQP 0-9-1.")
    redis: Redis | None = Field(None, description="Streams of Redis or Valkey.")
    http: Http | None = Field(None, description="A webhook, signed if you say so.")


class Relay(Model):
    """Where the messages of a queue go, instead of a handler."""

    to: DestinationName = Field(description="A name under `destinations`.", examples=["bus"])
    subject: Text | None = Field(
        None,
        description="NATS: subject of each message. {schema} {table} {op} {route} {queue} {key} {new.COLUMN} "
        "{old.COLUMN} stand for values of the message.",
        examples=["shop.{schema}.{table}.{op}"],
    )
    topic: Text | None = Field(
        None,
        description="Kafka: topic of each message, with the same names.",
        examples=["shop.{schema}.{table}"],
    )
    exchange: Text | None = Field(
        None,
        description="RabbitMQ: the exchange. Default: the one that knows every queue.",
        examples=["shop"],
    )
    routing_key: Text | None = Field(
        None,
        description="RabbitMQ: routing key of each message, with the same names.",
        examples=["{schema}.{table}.{op}"],
    )
    stream: Text | None = Field(
        None, description="Redis: key of the stream, with the same names.", examples=["shop:{table}"]
    )
    format: Format = Field(
        "changelane",
        description="What each message becomes. changelane: as it is. row: the row alone. cloudevents: with "
        "headers, or cloudevents_structured in one document. debezium, hasura, supabase: as their receivers "
        "expect. outbox: the rows of an outbox table.",
    )
    source: Text | None = Field(
        None,
        description="CloudEvents: `source`. Debezium: `source.name`. Default: the format's own.",
        examples=["/shop"],
    )
    database: Text | None = Field(None, description="Debezium: `source.db`.", examples=["shop"])
    tombstone: Boolean | None = Field(
        None,
        description="Debezium, to Kafka: a record without a value after each delete, so that a compacted "
        "topic forgets the key. Default: true.",
    )
    deduplicate: Boolean | None = Field(
        None,
        description="Send the message's id so that the engine stores it once. Default: where the engine can, "
        "which is NATS.",
    )
