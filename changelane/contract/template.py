"""Names at a destination, with places in braces that each message fills: ``shop.{schema}.{table}.{op}``.

The generator checks templates, the worker fills them. A value is escaped for the engine, so that no value
adds a part to the name: of ``a.b``, NATS and RabbitMQ get ``a%2Eb``, Kafka ``a.b``, since dots part nothing
there. ``{{`` and ``}}`` are braces.

Sources: NATS docs, "Subject-based messaging"; Kafka's ``Topic.validate``; AMQP 0-9-1, shortstr; RFC 3986.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

Engine = Literal["nats", "kafka", "rabbitmq", "redis", "http"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

PLACES = ("schema", "table", "op", "route", "queue", "key")
"""What each change has. ``new.COLUMN`` and ``old.COLUMN`` come beside them."""

SIDES = ("new", "old")

LONGEST: dict[Engine, int] = {"nats": 2048, "kafka": 249, "rabbitmq": 255, "redis": 2048, "http": 2048}
"""Bytes of a filled name, at most. Kafka and AMQP set theirs; the others are ours."""

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_CONTROL = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_ESCAPED: dict[Engine, re.Pattern[str]] = {
    # A first token with $ is the server's own: $JS.API, $SYS.
    "nats": re.compile(rf"[{_CONTROL}%.*>$,]"),
    # As Debezium has it, whose topics keep their names.
    "kafka": re.compile(r"[^A-Za-z0-9._-]"),
    "rabbitmq": re.compile(rf"[{_CONTROL}%.*#,]"),
    "redis": re.compile(rf"[{_CONTROL}%:{{}},]"),
    "http": re.compile(r"[^A-Za-z0-9._~-]"),
}
_REFUSED: dict[Engine, re.Pattern[str]] = {
    "nats": re.compile(rf"[{_CONTROL}*>]|^\$|^\.|\.$|\.\."),
    "kafka": re.compile(r"[^A-Za-z0-9._-]"),
    "rabbitmq": re.compile(r"[\x00-\x1f\x7f]"),
    "redis": re.compile(r"[\x00-\x1f\x7f]"),
    "http": re.compile(rf"[{_CONTROL}]"),
}
_ALLOWED: dict[Engine, str] = {
    "nats": "tokens between dots, without blanks, * and >, and no $ at the beginning",
    "kafka": "letters, digits, dot, _ and -",
    "rabbitmq": "no control characters",
    "redis": "no control characters",
    "http": "no blanks and no control characters",
}


class TemplateError(ValueError):
    """A template that can never be filled. ``at`` is the place of the fault in the text, from 0."""

    def __init__(self, message: str, *, at: int, fix: str) -> None:
        super().__init__(message)
        self.at = at
        self.fix = fix


class Unfillable(ValueError):
    """This message has no value for a place, or one that makes no name: the fault is the message's own."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a template. ``column`` is of ``new`` and ``old``; ``at`` is where it begins, from 0."""

    name: str
    column: str
    at: int

    def __str__(self) -> str:
        return f"{{{self.name}.{self.column}}}" if self.column else f"{{{self.name}}}"


@dataclass(frozen=True, slots=True)
class Template:
    """Texts and places in their order."""

    engine: Engine
    parts: tuple[str | Place, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(part for part in self.parts if isinstance(part, Place))


def parse_template(text: str, *, engine: Engine) -> Template:
    """The template. Raises TemplateError for what the engine takes in no name, and for unknown places."""
    parts: list[str | Place] = []
    end = 0
    for found in _PART.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
        if found[0] in ("{{", "}}"):
            parts.append(found[0][0])
        elif found[1] is None:
            raise TemplateError(
                f"{found[0]} opens or closes no place",
                at=found.start(),
                fix=f"write {found[0] * 2} for the character itself",
            )
        else:
            parts.append(_parse_place(found[1], at=found.start()))
    template = Template(engine, _join([*parts, text[end:]]))
    _check(template, text)
    return template


def fill(template: Template, values: Mapping[str, Any]) -> str:
    """The name for one message. ``values`` are those of the decoded message, with ``route`` and ``queue``.

    Raises Unfillable.
    """
    engine = template.engine
    name = "".join(
        part if isinstance(part, str) else _spell(part, values, engine=engine) for part in template.parts
    )
    size = len(name.encode())
    if size > LONGEST[engine]:
        raise Unfillable(f"the name has {size} bytes, and {engine} takes at most {LONGEST[engine]}")
    if engine == "kafka" and name in ("", ".", ".."):
        raise Unfillable(f"{name!r} is no name of a topic")
    return name


def escape(value: str, *, engine: Engine) -> str:
    """The value as one part of a name: nothing in it parts the name, matches others, or ends it."""
    if engine == "kafka":
        return _ESCAPED[engine].sub("_", value)
    return _ESCAPED[engine].sub(_percent, value)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _join(parts: list[str | Place]) -> tuple[str | Place, ...]:
    """Texts that follow one another as one, and no empty ones."""
    joined: list[str | Place] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part:
            joined.append(part)
    return tuple(joined)


def _parse_place(text: str, *, at: int) -> Place:
    name, _, column = text.partition(".")
    if (name in PLACES and name == text) or (name in SIDES and column):
        return Place(name, column, at)
    known = ", ".join(f"{{{place}}}" for place in (*PLACES, "new.COLUMN", "old.COLUMN"))
    raise TemplateError(f"{{{text}}} is no place of a template", at=at, fix=f"places are {known}")


def _check(template: Template, text: str) -> None:
    """Refuse texts that the engine takes in no name. A place stands for one character that it does take."""
    engine = template.engine
    shape = "".join(part if isinstance(part, str) else "x" for part in template.parts)
    if not shape:
        raise TemplateError("an empty name", at=0, fix="write a name, such as shop.{table}")
    if bad := _REFUSED[engine].search(shape):
        raise TemplateError(
            f"{bad[0]!r} has no place in a name of {engine}",
            at=max(0, text.find(bad[0])),
            fix=f"names of {engine} have {_ALLOWED[engine]}",
        )
    if (size := len(shape.encode())) > LONGEST[engine]:
        raise TemplateError(
            f"a name of {size} bytes", at=0, fix=f"{engine} takes at most {LONGEST[engine]} bytes"
        )


def _spell(place: Place, values: Mapping[str, Any], *, engine: Engine) -> str:
    value = values.get(place.name)
    if place.column:
        if not isinstance(value, Mapping) or place.column not in value:
            raise Unfillable(f"the message has no {place}")
        value = value[place.column]
    if place.name == "key" and isinstance(value, Mapping) and value:
        parts = [_spell_value(part, place, engine=engine) for part in value.values()]
        return ("_" if engine == "kafka" else ",").join(parts)
    return _spell_value(value, place, engine=engine)


def _spell_value(value: Any, place: Place, *, engine: Engine) -> str:
    match value:
        case bool():
            text = "true" if value else "false"
        case str():
            text = value
        # Python refuses to print longer ones.
        case int() if value.bit_length() < 10_000:
            text = str(value)
        case Decimal():
            text = str(value)
        case None:
            raise Unfillable(f"{place} is null in this message")
        case _:
            raise Unfillable(f"{place} is no short value in this message: an object, a list or a huge number")
    if not text or (engine == "http" and text in (".", "..")):
        raise Unfillable(f"{place} is {text!r} in this message, which makes no part of a name")
    return escape(text, engine=engine)
