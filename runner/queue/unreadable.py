"""Messages that no client can read: too long as text for Postgres, damaged, or outside the encoding.

Such a message fails the whole statement that reads it. So it is singled out, and the others are read alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Cursor
from psycopg.adapt import Transformer
from psycopg.pq import Format

_CLASSES = ("22", "54", "XX")
"""SQLSTATE classes: data that cannot be converted, server limits such as 1 GB a value, damaged values."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in for a value that cannot be read; ``why`` is one line."""

    why: str


def is_unreadable(error: BaseException) -> bool:
    """Whether a value may be the cause of the error, and not the statement that reads it."""
    state = getattr(error, "sqlstate", None)
    return isinstance(error, UnicodeDecodeError) or (isinstance(state, str) and state.startswith(_CLASSES))


def explain_unreadable(error: BaseException) -> Unreadable:
    """The stand-in for a value that could not be read."""
    return Unreadable(f"it cannot be read: {str(error).partition(chr(10))[0]}")


def fetch(cursor: Cursor[Any]) -> list[tuple[Any, ...]]:
    """All rows, with Unreadable in place of text that is invalid in its encoding."""
    try:
        return cursor.fetchall()
    except UnicodeDecodeError:
        return _fetch_each(cursor)


def _fetch_each(cursor: Cursor[Any]) -> list[tuple[Any, ...]]:
    result = cursor.pgresult
    if result is None:
        return []
    adapt = Transformer.from_context(cursor)
    loaders = [
        adapt.get_loader(result.ftype(column), Format(result.fformat(column)))
        for column in range(result.nfields)
    ]

    def read(row: int, column: int) -> Any:
        data = result.get_value(row, column)
        try:
            return None if data is None else loaders[column].load(data)
        except UnicodeDecodeError as error:
            return explain_unreadable(error)

    return [tuple(read(row, column) for column in range(result.nfields)) for row in range(result.ntuples)]
