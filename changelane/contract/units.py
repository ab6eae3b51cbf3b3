"""Durations as people write and read them."""

from __future__ import annotations

import re

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
"""The units of durations."""

_WORDS = {
    "ms": "ms|milliseconds?",
    "s": "s|seconds?",
    "m": "m|min|minutes?",
    "h": "h|hours?",
    "d": "d|days?",
    "w": "w|weeks?",
}
DURATION = "^(0|[0-9]{1,9}([.][0-9]{1,3})? ?(" + "|".join(_WORDS.values()) + "))$"
"""The grammar of a duration, in the spec and on the command line."""

WHOLE_SECONDS = (
    "^(0|[0-9]{1,9} ?(" + "|".join(words for unit, words in _WORDS.items() if unit != "ms") + "))$"
)
"""The part of the grammar that gives whole seconds."""

_NAMES = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


def parse_duration(text: str, *, pattern: str = DURATION) -> float:
    """Seconds. Raises ValueError for a text that does not match the pattern."""
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{text!r} is not a duration")
    number, unit = re.fullmatch(r"([0-9.]+) ?([a-z]*)", text).groups()  # type: ignore[union-attr]
    scale = next((SECONDS[key] for key, words in _WORDS.items() if re.fullmatch(words, unit)), 1)
    return round(float(number) * scale, 6)


def spell_interval(seconds: int) -> str:
    """The duration in the largest unit that divides it, as Postgres and people read it: ``14 days``,
    ``36 hours``.
    """
    unit, size = next((unit, size) for unit, size in _NAMES.items() if seconds % size == 0)
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"
