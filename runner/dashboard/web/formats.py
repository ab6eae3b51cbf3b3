"""Formats values for a page, and reads numbers from a form."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

from changelane.errors import ChangelaneError
from changelane.runner.live.moment import LAST, spell_time

PREVIEWED = 20_000
"""Characters of a message that is looked at for what differs, at most."""

SHORT = 20
"""Characters of a name that is never broken."""

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

_SHELL = (
    ("--where ", "the expression "),
    ("quote it for the shell, or give - and pipe it in", 'write JSON, such as {"id": 7}'),
    (
        "`changelane replay` and `changelane dead-letter redrive` keep what capture wrote",
        "“Send again” in the archive, and “Send back” among the dead letters, keep what capture wrote",
    ),
)


def slug(name: object) -> str:
    """A name as one segment of a path. It is quoted twice, because servers decode %2F before they split a
    path.
    """
    return quote(quote(str(name), safe=""), safe="")


def say_age(seconds: float | None) -> str:
    """A duration such as ``3 min 5 s``: its two largest units."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    parts: list[str] = []
    rest = int(seconds)
    for size, unit in _UNITS:
        if rest >= size or parts:
            parts.append(f"{rest // size} {unit}")
            rest %= size
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def say_took(seconds: float | None) -> str:
    """A short time with two digits that matter; longer ones as ``say_age``."""
    if seconds is None or seconds >= 60:
        return say_age(seconds)
    return f"{float(f'{seconds * 1000:.2g}'):g} ms" if seconds < 1 else f"{float(f'{seconds:.2g}'):g} s"


def say_number(value: float | None, about: bool = False) -> str:
    """A number with its thousands grouped, marked if it is an estimate."""
    if value is None:
        return "–"
    return f"{'about ' if about else ''}{value:,.0f}"


def say_short(value: float | None, about: bool = False) -> str:
    """A number in at most five characters: ``950``, ``24.4k``, ``1.2M``."""
    if value is None:
        return "–"
    mark = "~" if about else ""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.99995:
            return f"{mark}{value / size:.{0 if value / size >= 99.95 else 1}f}{unit}"
    return f"{mark}{value:.0f}"


def say_rate(value: float | None) -> str:
    """A rate per second, with the digits that matter."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def say_count(number: int, noun: str) -> str:
    """``1 message``, ``2 messages``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_time(value: datetime | float | None) -> str:
    """A time in UTC, to the second."""
    if value is None:
        return "–"
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return spell_time(moment, zone=UTC)


def say_due(moment: datetime, now: float) -> str:
    """The time until a message is due."""
    return "never" if moment >= LAST else say_age(moment.timestamp() - now)


def read_number(text: str, what: str, *, most: float) -> float:
    """A number from a form. Raises ChangelaneError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise ChangelaneError(f"{what} {text!r} is not a number from 0 to {most:g}", fix="write one")
    return number


def say_said(text: str) -> str:
    """What an operation says, in the words of a page: it has no options and no shell."""
    for shell, page in _SHELL:
        text = text.replace(shell, page)
    return text


def cut(text: str, length: int) -> str:
    """The beginning of a text, with an ellipsis if it was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def say_line(text: str, length: int) -> str:
    """The beginning of indented JSON, on one line."""
    return cut(" ".join(text[: 8 * length].split()), length)


def say_preview(message: str, operation: str, table: str, length: int) -> str:
    """The beginning of a message on one line; of a captured change, what differs first."""
    if operation and len(message) <= PREVIEWED:
        change = json.loads(message, parse_float=_Exact, parse_int=_Exact)
        new, old = (change.get(name) if isinstance(change, dict) else None for name in ("new", "old"))
        row = new if isinstance(new, dict) else old if isinstance(old, dict) else None
        if row is not None:
            old = old if isinstance(old, dict) and row is new else {}
            moved = [
                f"{name}: {_say(old[name])} → {_say(value)}"
                for name, value in row.items()
                if name in old and old[name] != value
            ]
            rest = [f"{name}: {_say(value)}" for name, value in row.items() if name not in old or not moved]
            return cut(" ".join(f"{operation} {table} · {', '.join(moved or rest)}".split()), length)
    return say_line(message, length)


class _Exact(str):
    """A number as it was written."""


def _say(value: object) -> str:
    return value if isinstance(value, _Exact) else json.dumps(value, ensure_ascii=False)


def break_name(name: str) -> Markup:
    """A name that a line may break after its signs if it is long."""
    if len(name) <= SHORT:
        return escape(name)
    return Markup("<wbr>").join(re.findall(r"[^_.:/-]*[_.:/-]+|[^_.:/-]+", name))


def _measure(letter: str) -> float:
    """Pixels, by DejaVu Sans, which is among the wider fonts."""
    if letter in "mwMW@%" or unicodedata.east_asian_width(letter) in "WF":
        return 14.4
    if letter in "fijlrtI.,:;'!|_-()[]":
        return 6.5
    return 11.5 if letter.isupper() else 9.3


def fit(name: str, width: float) -> str:
    """The beginning of a name that fits into so many pixels in bold letters of 13 px, about."""
    used = 0.0
    for index, letter in enumerate(name):
        used += _measure(letter)
        if (used > width and index + 1 < len(name)) or used > width + 8:
            return f"{name[: max(index - 1, 1)]}…"
    return name


def change_query(query: dict[str, str], **changes: object) -> str:
    """A query string with some parameters changed, or removed if the value is None."""
    merged = {**query, **changes}
    return urlencode([(name, str(value)) for name, value in merged.items() if value not in (None, "")])
