"""Secrets and addresses of destinations: a secret is named by its place, and an address holds none."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field, PrivateAttr, WithJsonSchema, WrapValidator

from changelane.generator.spec.codes import Code
from changelane.generator.spec.model import Model
from changelane.generator.spec.scalars import Text, read_text, refuse, show

_VARIABLE = "^[A-Za-z_][A-Za-z0-9_]*$"
_USERINFO = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]*@")
REFERENCE = "write {env: NAME}, {file_env: NAME} or {file: path}; the worker reads it from there"


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
        raise refuse(Code.NO_SECRETS, "is a secret, and no secret stands in a spec", fix=REFERENCE)
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
        raise _refuse_userinfo()
    if not re.fullmatch(pattern, text):
        if "@" in text:
            # It is shown nowhere: what stands before may be a password.
            raise _refuse_userinfo()
        raise refuse(Code.BAD_VALUE, f"must be an address as {example}, not {show(text)}")
    return text


def _refuse_userinfo() -> Exception:
    return refuse(
        Code.NO_SECRETS,
        "holds a user or a password, and no secret stands in a spec",
        fix="give the address alone, and user and password under keys of their own",
    )


def match_address(pattern: str, example: str) -> BeforeValidator:
    return BeforeValidator(partial(_read_address, pattern=pattern, example=example))


class Address(Secret):
    """A URL, or where the worker finds it, for one with a password in it."""

    _literal: str | None = PrivateAttr(None)

    @property
    def literal(self) -> str | None:
        """The URL where the spec has it; the other fields are None then."""
        return self._literal


def read_url(pattern: str, example: str) -> WrapValidator:
    def read(value: object, validate: Callable[[object], Address]) -> Address:
        if not isinstance(value, str):
            return validate(value)
        address = Address()
        address._literal = _read_address(value, pattern=pattern, example=example)
        return address

    return WrapValidator(read)


PLACES = {
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
}
"""The JSON Schema of the place of a secret."""


def describe_url(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"oneOf": [{"type": "string", "pattern": pattern}, PLACES]})
