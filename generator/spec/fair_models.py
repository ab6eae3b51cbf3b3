"""The models of ``fair`` and ``limit`` in ``consumers``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, WrapValidator

from changelane.generator.spec.codes import Code
from changelane.generator.spec.model import Model
from changelane.generator.spec.scalars import Integer, Rate, check_quoted, read_text, refuse, show

_NAME = r'(?:"(?:[^"\\]|"")+"|[^."\s\\](?:[^."\\]*[^."\s\\])?)'
PLACE = rf"^{_NAME}(?:\.{_NAME}){{0,7}}$"
"""The pattern of a place in a message: names joined by dots, quoted where one holds a dot or a quote. They
hold no backslash, because Postgres does not print it as every setting reads it."""

MOST = 100_000
"""The highest concurrency over all workers."""

LONGEST = 200
"""Characters of a place."""


def parse_place(text: str) -> tuple[str, ...]:
    """The names of a place that matches PLACE."""
    return tuple(
        name[1:-1].replace('""', '"') if name.startswith('"') else name for name in re.findall(_NAME, text)
    )


def _read_place(value: object) -> str:
    text = read_text(value)
    if len(text) > LONGEST or not re.fullmatch(PLACE, text) or "\0" in text:
        raise refuse(
            Code.BAD_VALUE,
            f"must be `key` or a place in the message, not {show(text)}",
            fix="write new. and a column, as in new.tenant_id; a name that holds a dot needs double quotes, "
            "and none holds a backslash",
        )
    return check_quoted(value, text)


def _read_by(value: object, read_list: Callable[[object], tuple[str, ...]]) -> tuple[str, ...]:
    return read_list(value) if isinstance(value, list) else (_read_place(value),)


_SCHEMA = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": PLACE}
_Place = Annotated[str, BeforeValidator(_read_place), WithJsonSchema(_SCHEMA)]
By = Annotated[
    tuple[_Place, ...],
    Field(min_length=1, max_length=4),
    WrapValidator(_read_by),
    WithJsonSchema({**_SCHEMA, "type": ["string", "array"], "items": _SCHEMA, "minItems": 1, "maxItems": 4}),
]


class Fair(Model):
    """Groups of messages take turns, so that the backlog of one does not delay the others."""

    by: By = Field(
        description="What the messages of a group have in common: `key`, or one or more places in the "
        "message, such as a column. Messages without it are one group.",
        examples=["new.tenant_id"],
    )
    concurrency: Annotated[Integer, Field(ge=1, le=MOST)] | None = Field(
        None, description="Messages of one group that are handled at once, over all workers.", examples=[4]
    )
    rate: Rate | None = Field(
        None,
        description="At most so many messages of one group in that time, retries included, over all workers.",
        examples=["50/s"],
    )


class Limit(Model):
    """Bounds of the queue over all its workers."""

    concurrency: Annotated[Integer, Field(ge=1, le=MOST)] | None = Field(
        None, description="Messages that are handled at once, over all workers.", examples=[20]
    )
    rate: Rate | None = Field(
        None,
        description="At most so many messages in that time, retries included, over all workers.",
        examples=["200/s"],
    )
