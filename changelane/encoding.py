"""Python's values as the JSON text that jsonb holds exactly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

BEFORE, AFTER = 131_072, 16_383
"""Digits that jsonb takes before and after a number's point."""

LONG = 10_000
"""Bits above which Python refuses to print an integer by itself."""


def encode(value: Any) -> str:
    """JSON text, in ASCII, of a dict, list, dataclass, pydantic model or what they hold.

    ``int`` and ``Decimal`` stay exact numbers; dates, UUIDs and the like become the text that pydantic reads
    again. Raises TypeError or ValueError, naming the path, for what jsonb cannot hold: NaN, text with NUL.
    """
    try:
        return _encode(value, "")
    except RecursionError:
        raise ValueError("the value is nested too deep, or holds itself") from None


def _encode(value: Any, path: str) -> str:
    match value:
        case Enum():
            return _encode(value.value, path)
        case None | bool():
            return json.dumps(value)
        case str():
            return _encode_text(value, path)
        case int():
            # print() and its like refuse thousands of digits.
            return str(int(value)) if value.bit_length() < LONG else _encode_decimal(Decimal(value), path)
        case Decimal():
            return _encode_decimal(value, path)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"JSON has no {value}{_where(path)}: send a text or null")
            return repr(float(value))
        case Mapping():
            pairs = (
                f"{_encode_key(key, path)}: {_encode(item, f'{path}.{key}')}" for key, item in value.items()
            )
            return "{" + ", ".join(pairs) + "}"
        case list() | tuple() | set() | frozenset():
            return "[" + ", ".join(_encode(item, f"{path}.{index}") for index, item in enumerate(value)) + "]"
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return _encode(value.model_dump(by_alias=True), path)
    if is_dataclass(value) and not isinstance(value, type):
        return _encode({field.name: getattr(value, field.name) for field in fields(value)}, path)
    return _encode_other(value, path)


def _encode_other(value: Any, path: str) -> str:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        plain = to_jsonable_python(value)
    except (PydanticSerializationError, UnicodeError) as error:
        raise TypeError(f"JSON holds no {type(value).__name__}{_where(path)}: {error}") from None
    return _encode(plain, path)


def _encode_key(key: Any, path: str) -> str:
    key = key.value if isinstance(key, Enum) else key
    if isinstance(key, str):
        return _encode_text(key, path)
    if isinstance(key, int) and not isinstance(key, bool):
        return f'"{key}"'
    raise TypeError(f"a key of JSON is a text, not {type(key).__name__}{_where(path)}")


def _encode_text(text: str, path: str) -> str:
    if "\0" in text:
        raise ValueError(f"jsonb holds no text with NUL{_where(path)}: leave the character out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not Unicode{_where(path)}: {error.reason}") from None
    return json.dumps(str.__str__(text))


def _encode_decimal(number: Decimal, path: str) -> str:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"JSON has no {number}{_where(path)}: send a text or null")
    if number.adjusted() >= BEFORE or exponent < -AFTER:
        raise ValueError(f"jsonb has no room for the number{_where(path)}: it has too many digits")
    return str(number) if exponent else f"{number:f}"


def _where(path: str) -> str:
    return f" at {path.removeprefix('.')}" if path else ""
