"""One SQL statement that a person gave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """``text`` is preceded by as many lines and blanks as stand before it; ``command`` is ``UPDATE`` and the
    like, as Postgres names it.
    """

    text: str
    command: str
