"""How a schedule's values are read: a cron expression, a time zone, and a body of any JSON value."""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import BeforeValidator, JsonValue, WithJsonSchema

from changelane.contract.timing import LONGEST, MACROS, CronError, Field, check_cron
from changelane.generator.spec.codes import Code
from changelane.generator.spec.scalars import check_quoted, read_text, refuse, show
from changelane.generator.spec.yaml_source import Plain, name_type, resolve
from changelane.suggestion import find_similar, suggest

_WORDS = {"true": True, "false": False}
_LOCAL = {"localtime", "Factory", "posixrules"}
"""Names in a zone database that mean no zone, or that of the machine."""


def read_cron(value: object) -> str:
    """A cron expression, known to match some time."""
    text = read_text(value)
    try:
        check_cron(text)
    except CronError as error:
        within = (error.offset, error.length)
        if error.field is not None:
            what = f"{show(error.term)}, which is no {error.field.name}" if error.term else "a comma too many"
            raise refuse(
                Code.CRON, f"has {what}", fix=_help_term(error.term, error.field), within=within
            ) from None
        fix = _help_whole(text)
        if str(error) == "never comes":
            fix = "the days of the month, the months and the days of the week have no day in common"
        raise refuse(Code.CRON, f"{error}: {show(error.term or text)}", fix=fix, within=within) from None
    return check_quoted(value, text)


def _help_term(term: str, field: Field) -> str:
    names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
    allowed = f"write {field.lowest} to {field.highest}{names}; ranges are 1-5, steps */2 or 1-9/2"
    word = term.upper()
    if not field.names or not word.isalpha():
        return allowed
    close = next((name for name in field.names if word.startswith(name)), "")
    return f"did you mean `{close}`?" if close else suggest(word, field.names, otherwise=allowed)


def _help_whole(text: str) -> str:
    if text.startswith("@"):
        return suggest(text.lower(), MACROS, otherwise=f"known are {', '.join(MACROS)}")
    if len(text.split()) == 6:
        return "seconds are no field here: `every: 30s` runs more often than each minute"
    return "minute, hour, day of the month, month, day of the week, as in `0 3 * * 1-5`"


@cache
def _list_zones() -> frozenset[str]:
    return frozenset(available_timezones() - _LOCAL)


def read_timezone(value: object) -> str:
    """A time zone's name, as the zone database has it."""
    text = read_text(value)
    if text in _list_zones():
        return text
    folded = {name.lower(): name for name in _list_zones()}
    cities = {name.rpartition("/")[2].lower(): name for name in sorted(_list_zones())}
    word = text[:60].lower().replace(" ", "_")
    known = {**cities, **folded}
    similar = word if word in known else find_similar(word, folded) or find_similar(word, cities)
    raise refuse(
        Code.TIMEZONE,
        f"is no time zone: {show(text)}",
        fix=f"did you mean `{known[similar]}`?" if similar else "write Area/City, as in Europe/Paris, or UTC",
    )


def read_json(value: object) -> JsonValue:
    """A JSON value. Unquoted scalars are numbers, booleans and null where every YAML reader takes them so."""
    if isinstance(value, dict):
        return {_read_string(key): read_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [read_json(item) for item in value]
    plain = resolve(value)
    if plain is None or isinstance(plain, int):
        return plain
    text = _read_string(value)
    kind = name_type(value)
    if not isinstance(value, Plain) or not kind:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        number = float(text) if kind == "a number" else math.inf
    except ValueError:
        number = math.inf
    if not math.isfinite(number) or (text.lstrip("+-")[:2].isdigit() and text.lstrip("+-")[0] == "0"):
        raise refuse(
            Code.WRONG_TYPE,
            f"holds {show(text)}, which readers of YAML do not agree on",
            fix="put it in quotes",
        )
    return number if set(text) & set(".eE") else int(text)


def _read_string(value: object) -> str:
    text = str(value)
    if "\0" in text:
        raise refuse(
            Code.BAD_VALUE, "holds a NUL character, which Postgres stores in no jsonb", fix="delete it"
        )
    return text


Cron = Annotated[
    str, BeforeValidator(read_cron), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST})
]
Timezone = Annotated[
    str,
    BeforeValidator(read_timezone),
    WithJsonSchema({"type": "string", "minLength": 1, "pattern": r"^\S+$"}),
]
Body = Annotated[Any, BeforeValidator(read_json), WithJsonSchema({})]
