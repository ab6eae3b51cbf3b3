"""The models of ``destinations`` and of a consumer's ``relay``."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from changelane.generator.spec.codes import Code
from changelane.generator.spec.model import Model
from changelane.generator.spec.scalars import Boolean, DestinationName, Text, read_text, refuse, show

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


def _match_address(pattern: str, example: str) -> BeforeValidator:
    def read(value: object) -> str:
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

    return BeforeValidator(read)


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


class Destination(Model):
    """An engine: exactly one of the keys."""

    nats: Nats | None = Field(None, description="NATS with JetStream.")


class Relay(Model):
    """Where the messages of a queue go, instead of a handler."""

    to: DestinationName = Field(description="A name under `destinations`.", examples=["bus"])
    subject: Text | None = Field(
        None,
        description="NATS: subject of each message. {schema} {table} {op} {route} {queue} {key} {new.COLUMN} "
        "{old.COLUMN} stand for values of the message.",
        examples=["shop.{schema}.{table}.{op}"],
    )
    format: Literal["changelane"] = Field("changelane", description="changelane: the message as it is.")
    deduplicate: Boolean | None = Field(
        None,
        description="Send the message's id so that the engine stores it once. Default: where the engine can, "
        "which is NATS.",
    )
