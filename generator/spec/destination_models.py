"""The models of ``destinations`` and of a consumer's ``relay``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, WithJsonSchema, WrapValidator

from changelane.contract.formats import Format
from changelane.generator.spec.codes import Code
from changelane.generator.spec.model import Model
from changelane.generator.spec.scalars import Boolean, DestinationName, Text, read_text, refuse, show
from changelane.generator.spec.yaml_source import resolve

_VARIABLE = "^[A-Za-z_][A-Za-z0-9_]*$"
_USERINFO = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]*@")
_REFERENCE = "write {env: NAME}, {file_env: NAME} or {file: path}; the worker reads it from there"


def _read_variable(value: object) -> str:
    text = read_text(value)
    if not re.fullmatch(_VARIABLE, text):
        raise refuse(Code.BAD_NAME, f"must be the name of an environment variable, not {show(text)}")
    return text


Variable = Annotated[
    str, BeforeValidator(_read_variable), WithJsonSchema({"type": "string", "pattern": _VARIABLE})
]


class Secret(Model):
    """Where the worker finds a secret: exactly one of the three."""

    env: Variable | None = Field(
        None, description="Environment variable that holds it.", examples=["KAFKA_PASSWORD"]
    )
    file_env: Variable | None = Field(
        None,
        description="Environment variable that holds the path of a file with it.",
        examples=["NATS_CREDS"],
    )
    file: Text | None = Field(
        None, description="Path of a file with it.", examples=["/run/secrets/kafka_password"]
    )


def _refuse_literal(value: object) -> object:
    if isinstance(value, str):
        raise refuse(Code.NO_SECRETS, "is a secret, and no secret stands in a spec", fix=_REFERENCE)
    return value


SecretPlace = Annotated[Secret, BeforeValidator(_refuse_literal)]


class Tls(Model):
    """PEM files, relative to the folder where the worker runs."""

    ca: Text | None = Field(
        None,
        description="Certificates that the server's must descend from. Default: those of the system.",
        examples=["certs/ca.pem"],
    )
    cert: Text | None = Field(None, description="The client's certificate.", examples=["certs/client.pem"])
    key: Text | None = Field(
        None, description="The key of the client's certificate.", examples=["certs/client.key"]
    )


def _read_address(value: object, *, pattern: str, example: str) -> str:
    text = read_text(value)
    if _USERINFO.match(text):
        raise refuse(
            Code.NO_SECRETS,
            "holds a user or a password, and no secret stands in a spec",
            fix="give the address alone, and user and password under keys of their own",
        )
    if not re.fullmatch(pattern, text):
        raise refuse(Code.BAD_VALUE, f"must be an address as {example}, not {show(text)}")
    return text


def _match_address(pattern: str, example: str) -> BeforeValidator:
    return BeforeValidator(partial(_read_address, pattern=pattern, example=example))


_NATS = r"^(nats|tls)://[A-Za-z0-9.\[\]:_-]+$"
NatsServer = Annotated[
    str, _match_address(_NATS, "nats://n1:4222"), WithJsonSchema({"type": "string", "pattern": _NATS})
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
    str, _match_address(_BROKER, "k1:9092"), WithJsonSchema({"type": "string", "pattern": _BROKER})
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


class Address(Secret):
    """A URL, or where the worker finds it, for one with a password in it."""

    _literal: str | None = PrivateAttr(None)

    @property
    def literal(self) -> str | None:
        """The URL where the spec has it; the other fields are None then."""
        return self._literal


def _read_url(pattern: str, example: str) -> WrapValidator:
    def read(value: object, validate: Callable[[object], Address]) -> Address:
        if not isinstance(value, str):
            return validate(value)
        address = Address()
        address._literal = _read_address(value, pattern=pattern, example=example)
        return address

    return WrapValidator(read)


def _describe_url(pattern: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "oneOf": [
                {"type": "string", "pattern": pattern},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {
                        "env": {
                            "type": "string",
                            "pattern": _VARIABLE,
                            "description": "Environment variable that holds it.",
                        },
                        "file_env": {
                            "type": "string",
                            "pattern": _VARIABLE,
                            "description": "Environment variable that holds the path of a file with it.",
                        },
                        "file": {
                            "type": "string",
                            "minLength": 1,
                            "pattern": r"\S",
                            "description": "Path of a file with it.",
                        },
                    },
                },
            ]
        }
    )


RedisUrl = Annotated[Address, _read_url(_REDIS, "redis://cache:6379/0"), _describe_url(_REDIS)]


class Redis(Model):
    """A Redis or Valkey server. Each message is an entry of a stream, with its id among the fields."""

    url: RedisUrl = Field(
        description="The server, rediss:// where it is encrypted; or {env: NAME}.",
        examples=["redis://cache:6379/0"],
    )
    username: Text | None = Field(None, description="User, with `password`.", examples=["relay"])
    password: SecretPlace | None = Field(None, description="Password.")
    tls: Tls | None = Field(None, description="Files, with rediss://.")


class Destination(Model):
    """An engine: exactly one of the keys."""

    nats: Nats | None = Field(None, description="NATS with JetStream.")
    kafka: Kafka | None = Field(None, description="Kafka, or what speaks its protocol.")
    redis: Redis | None = Field(None, description="Streams of Redis or Valkey.")


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
