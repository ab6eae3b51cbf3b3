"""One SQL statement that a person gave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """``text`` begins with blank lines and blanks, so that positions in it are those of the whole input.
    ``command`` is Postgres' name for it, such as ``UPDATE``.
    """

    text: str
    command: str
