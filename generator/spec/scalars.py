"""The types of a spec's scalars: how each is read, its error text, and its JSON Schema."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import MinLen
from pydantic import BeforeValidator, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from changelane.contract.queue_name import LONGEST, find_fault
from changelane.contract.units import DURATION, WHOLE_SECONDS, parse_duration
from changelane.generator.spec.codes import Code
from changelane.generator.spec.table_names import EXCEPTION, PATTERN, parse_exception, parse_table
from changelane.generator.spec.yaml_source import Plain, name_type, resolve
from changelane.suggestion import suggest
from changelane.text import clean_line

_BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3}
_SIZE = "^[1-9][0-9]{0,8} ?(B|kB|MB|GB)$"

YEAR = 366 * 86400


def refuse(
    code: Code, message: str, *, fix: str = "", within: tuple[int, int] | None = None
) -> PydanticCustomError:
    """The error of a value: ``message`` is what follows the key's name, ``within`` an offset and a length."""
    return PydanticCustomError(code.value, "{message}", {"message": message, "fix": fix, "within": within})


def show(text: object) -> str:
    """A user's value, short and on one line."""
    flat = clean_line(str(text)[:61])
    return f"`{flat[:60]}{'…' if len(flat) > 60 else ''}`"


def read_text(value: object) -> str:
    """A scalar's literal text. Unquoted ``yes`` or ``2024-01-01`` is read as that text."""
    if isinstance(value, list):
        raise refuse(Code.WRONG_TYPE, "must be one value, not a list")
    if isinstance(value, dict):
        raise refuse(Code.WRONG_TYPE, "must be one value, not a mapping")
    if not isinstance(value, str):
        raise refuse(Code.WRONG_TYPE, "must be text", fix="put it in quotes")
    if isinstance(value, Plain) and value in ("", "~"):
        raise refuse(Code.EMPTY, "has no value", fix="give it one, or delete the key")
    if not value.strip():
        raise refuse(Code.EMPTY, "is empty", fix="give it a value, or delete the key")
    return str(value)


def check_quoted(value: object, text: str) -> str:
    """The text, if every YAML reader takes it as text. An editor that knows the JSON Schema is such a
    reader.
    """
    if kind := name_type(value):
        raise refuse(
            Code.WRONG_TYPE,
            f"must be text, and YAML reads {show(text)} as {kind}",
            fix=f'put it in quotes: "{text[:60]}"',
        )
    return text


def read_integer(value: object) -> int:
    """An int. Raises an error for a quoted number, a fraction, a boolean, a number with leading zeros."""
    number = resolve(value)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    text = read_text(value)
    quoted = not isinstance(value, Plain) and isinstance(resolve(Plain(text)), int)
    raise refuse(
        Code.WRONG_TYPE,
        f"must be a whole number, not {'the text ' if quoted else ''}{show(text)}",
        fix="delete the quotes" if quoted else "",
    )


def read_boolean(value: object) -> bool:
    """True or false, unquoted."""
    if isinstance(value, bool):
        return value
    text = read_text(value)
    quoted = not isinstance(value, Plain) and text in ("true", "false")
    if isinstance(value, Plain) and text in ("true", "false"):
        return text == "true"
    raise refuse(
        Code.WRONG_TYPE,
        f"must be true or false, not {'the text ' if quoted else ''}{show(text)}",
        fix="delete the quotes" if quoted else "",
    )


def read_duration(value: object) -> float:
    """Seconds. A plain number is returned as it is."""
    if isinstance(value, (int, float)):
        return float(value)
    return _read_duration(read_text(value), pattern=DURATION, kind="a duration")


def read_whole_seconds(value: object) -> int:
    """Whole seconds. A plain number is returned as it is."""
    if isinstance(value, (int, float)):
        return int(value)
    return round(_read_duration(read_text(value), pattern=WHOLE_SECONDS, kind="a duration in whole seconds"))


def _read_duration(text: str, *, pattern: str, kind: str) -> float:
    try:
        return parse_duration(text, pattern=pattern)
    except ValueError:
        fix = "write a number and its unit, as in 30s, 5m, 1h or 2 days"
        if re.fullmatch("[0-9]{1,9}", text):
            fix = f"a unit is missing: did you mean `{text}s`?"
        raise refuse(Code.BAD_VALUE, f"must be {kind}, not {show(text)}", fix=fix) from None


def read_size(value: object) -> int:
    """Bytes, with 1 kB = 1024 B as in Postgres. A plain number is returned as it is."""
    if isinstance(value, int):
        return value
    text = read_text(value)
    if not re.fullmatch(_SIZE, text):
        raise refuse(
            Code.BAD_VALUE,
            f"must be a size, not {show(text)}",
            fix="write a number and its unit (B, kB, MB, GB), as in 256 kB",
        )
    number, unit = re.fullmatch(r"([0-9]+) ?(.*)", text).groups()  # type: ignore[union-attr]
    return int(number) * _BYTES[unit]


def read_table(value: object) -> str:
    """A table's name as written, if it can be parsed."""
    text = read_text(value)
    try:
        parse_table(text)
    except ValueError as error:
        raise refuse(Code.BAD_TABLE, f"must be schema.name, not {show(text)}", fix=str(error)) from None
    return check_quoted(value, text)


def read_exception(value: object) -> str:
    """A name under ``except`` as written, if it can be parsed."""
    text = read_text(value)
    try:
        parse_exception(text)
    except ValueError as error:
        raise refuse(
            Code.BAD_TABLE, f"must be schema.name or a name alone, not {show(text)}", fix=str(error)
        ) from None
    return check_quoted(value, text)


def read_columns(value: object, read_list: Callable[[object], tuple[str, ...]]) -> tuple[str, ...]:
    """A list of columns, or the text ``reviewed``, which becomes the empty tuple."""
    return () if isinstance(value, str) and value == "reviewed" else read_list(value)


def _match(pattern: str, rule: str, *, length: int | None = None) -> Callable[[object], str]:
    """A reader of text that matches ``pattern``; ``rule`` describes the pattern in words."""

    def read(value: object) -> str:
        text = read_text(value)
        if not re.fullmatch(pattern, text):
            raise refuse(Code.BAD_NAME, f"must be {rule}, not {show(text)}", fix=_suggest(text, pattern))
        return check_quoted(value, text)

    return read


def _suggest(text: str, pattern: str) -> str:
    plain = re.sub("[^a-z0-9_]+", "_", text[:200].lower()).strip("_")
    head, _, tail = text[:200].rpartition(".")
    for guess in (plain, f"{head}:{tail}"):
        if re.fullmatch(pattern, guess):
            return f"write {guess}"
    return "shorten it" if len(text) > 41 else ""


def _check_identifier(text: str) -> str:
    if len(text.encode()) > 63:
        raise refuse(Code.BAD_NAME, f"is longer than Postgres allows (63 bytes): {show(text)}")
    return text


def _read_queue(value: object) -> str:
    text = read_text(value)
    if fault := find_fault(text):
        plain = re.sub("[^a-z0-9_.]+", "_", text[:200].lower()).strip("_")
        raise refuse(
            Code.BAD_NAME,
            f"{fault}: {show(text)}" if text else fault,
            fix="shorten it" if find_fault(plain) else f"write {plain}",
        )
    return check_quoted(value, text)


def _read_owner(value: object) -> str:
    text = check_quoted(value, _check_identifier(read_text(value)))
    if text in ("public", "none") or text.startswith("pg_"):
        raise refuse(
            Code.BAD_NAME,
            f"is a name that no role of yours can have: {show(text)}",
            fix="write changelane_capture, which apply creates",
        )
    return text


def _read_expression(value: object) -> str:
    text = read_text(value)
    if resolve(value) is None:
        raise refuse(Code.EMPTY, "has no value", fix="give it an SQL expression, or delete the key")
    return check_quoted(value, text)


def read_exception_name(value: object) -> str:
    """The location of an exception class: the name of a built-in one, or module.path:Class."""
    text = _match(_EXCEPTION, "a built-in exception, as in ValueError, or module.path:Class")(value)
    found = getattr(builtins, text, None)
    if ":" in text or (isinstance(found, type) and issubclass(found, Exception)):
        return text
    if isinstance(found, type) and issubclass(found, BaseException):
        raise refuse(Code.BAD_VALUE, f"must be an Exception, which {show(text)} is not")
    names = [name for name, thing in vars(builtins).items()
             if isinstance(thing, type) and issubclass(thing, Exception)]  # fmt: skip
    raise refuse(
        Code.BAD_VALUE,
        f"must be a built-in exception or module.path:Class, not {show(text)}",
        fix=suggest(text, names, otherwise=f"write the module before it, as in app.errors:{text[:60]}"),
    )


_RATE_UNITS = {"s": 1, "m": 60, "h": 3600}


def read_rate(text: str) -> float:
    """Messages a second, from the spec's text for a ``Rate``."""
    count, unit = text.split("/")
    return int(count) / _RATE_UNITS[unit]


def _schema(**keywords: Any) -> WithJsonSchema:
    return WithJsonSchema(keywords)


_PROJECT = "^[a-z][a-z0-9_]{0,30}$"
_QUEUE = f"^(?!.*--)[^\\u0000-\\u001f\\u007f-\\u009f$;']{{1,{LONGEST}}}$"
_ROUTE = "^[a-z][a-z0-9_]{0,40}$"
_HANDLER = r"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
_EXCEPTION = (
    "^([A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*"
    "|[A-Za-z_][A-Za-z0-9_]*)$"
)
_RULE = "lower-case letters, digits and _, at most {} characters, starting with a letter"

Boolean = Annotated[bool, BeforeValidator(read_boolean), _schema(type="boolean")]
Integer = Annotated[int, BeforeValidator(read_integer)]
ProjectName = Annotated[
    str, BeforeValidator(_match(_PROJECT, _RULE.format(31))), _schema(type="string", pattern=_PROJECT)
]
QueueName = Annotated[
    str,
    BeforeValidator(_read_queue),
    _schema(type="string", pattern=_QUEUE),
]
RouteName = Annotated[
    str, BeforeValidator(_match(_ROUTE, _RULE.format(41))), _schema(type="string", pattern=_ROUTE)
]
ScheduleName = RouteName
DestinationName = RouteName
Text = Annotated[
    str,
    BeforeValidator(lambda value: check_quoted(value, read_text(value))),
    _schema(type="string", minLength=1, pattern=r"\S"),
]
Handler = Annotated[
    str,
    BeforeValidator(_match(_HANDLER, "module.path:function")),
    _schema(type="string", pattern=_HANDLER),
]
ExceptionName = Annotated[
    str, BeforeValidator(read_exception_name), _schema(type="string", pattern=_EXCEPTION)
]
Rate = Annotated[
    str,
    BeforeValidator(_match("^[1-9][0-9]{0,8}/(s|m|h)$", "a number per s, m or h, as in 100/s")),
    _schema(type="string", pattern="^[1-9][0-9]{0,8}/(s|m|h)$"),
]
TableName = Annotated[str, BeforeValidator(read_table), _schema(type="string", pattern=f"^{PATTERN}$")]
ExceptedName = Annotated[
    str, BeforeValidator(read_exception), _schema(type="string", pattern=f"^{EXCEPTION}$")
]
_IDENTIFIER = {"type": "string", "minLength": 1, "maxLength": 63, "pattern": r"\S"}
Identifier = Annotated[
    str,
    BeforeValidator(lambda value: check_quoted(value, _check_identifier(read_text(value)))),
    _schema(**_IDENTIFIER),
]
Columns = Annotated[
    tuple[Identifier, ...],
    MinLen(1),
    WrapValidator(read_columns),
    _schema(type=["array", "string"], items=_IDENTIFIER, minItems=1, uniqueItems=True, pattern="^reviewed$"),
]
OwnerName = Annotated[
    str, BeforeValidator(_read_owner), _schema(type="string", minLength=1, maxLength=63, pattern=r"\S")
]
Expression = Annotated[
    str, BeforeValidator(_read_expression), _schema(type="string", minLength=1, pattern=r"\S")
]
Duration = Annotated[
    float,
    BeforeValidator(read_duration),
    _schema(type=["string", "integer"], pattern=DURATION, minimum=0, maximum=0),
]
WholeSeconds = Annotated[
    int,
    BeforeValidator(read_whole_seconds),
    _schema(type=["string", "integer"], pattern=WHOLE_SECONDS, minimum=0, maximum=0),
]
Size = Annotated[int, BeforeValidator(read_size), _schema(type="string", pattern=_SIZE)]
