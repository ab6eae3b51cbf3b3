"""Typed bodies: checks and converts a message's body as the handler's ``Message[MailJob]`` says."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import is_typeddict

from changelane.message import Message
from changelane.runner.work.handlers.typed_rows import copy_typed_dict, describe, spell


class InvalidBody(Exception):
    """A body that does not fit the handler's annotation."""


class BodyType:
    """The types that a body may have: one type that pydantic checks, or a union of several.

    Keys that a TypedDict does not name are kept; models and dataclasses follow their own settings. Raises
    TypeError for a type that pydantic cannot check.
    """

    def __init__(self, *members: Any) -> None:
        self.name = " | ".join(map(spell, members))
        try:
            kinds = [copy_typed_dict(member) if is_typeddict(member) else member for member in members]
            self._adapter: TypeAdapter[Any] = TypeAdapter(reduce(or_, kinds))
            self._adapter.rebuild(raise_errors=True)
        except (PydanticUserError, NameError, TypeError) as error:
            raise TypeError(f"{self.name}: {str(error).partition(chr(10))[0]}") from error

    def check(self, message: Message[Any], text: str | None) -> Message[Any]:
        """The message with its body converted; ``text`` is the JSON from which the body was decoded.

        Raises InvalidBody, which names the place of each misfit and quotes no value. It also passes on any
        other error that a validator of the type raises.
        """
        try:
            return replace(message, body=self._adapter.validate_python(message.body))
        except ValidationError as error:
            problem = InvalidBody(f"the body is not a {self.name}: {describe(error, 'body')}")
        # A strict model accepts text for a date in JSON, but not in Python objects. So JSON is tried.
        if text is not None and _is_exact(text):
            try:
                return replace(message, body=self._adapter.validate_json(text))
            except ValidationError:
                pass
        raise problem


def _is_exact(text: str) -> bool:
    """Whether pydantic, which reads JSON numbers as floats, would lose no digit."""
    try:
        json.loads(text, parse_float=_parse_float)
    except (ValueError, RecursionError):
        return False
    return True


def _parse_float(digits: str) -> float:
    value = float(digits)
    if Decimal(repr(value)) != Decimal(digits):
        raise ValueError
    return value
