"""Whole seconds as text."""

from __future__ import annotations

_UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


def spell_interval(seconds: int) -> str:
    """The duration in the largest unit that divides it, as Postgres and people read it: ``14 days``,
    ``36 hours``.
    """
    unit, size = next((unit, size) for unit, size in _UNITS.items() if seconds % size == 0)
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"
