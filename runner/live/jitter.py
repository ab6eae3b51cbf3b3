"""Pauses that differ by chance, so that many processes do not come at the same moment."""

from __future__ import annotations

import random


def vary(seconds: float, low: float, high: float) -> float:
    """The seconds times a random factor from ``low`` to ``high``."""
    return seconds * random.uniform(low, high)  # noqa: S311 - a pause is no secret
