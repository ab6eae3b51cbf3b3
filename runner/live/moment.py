"""Times that Postgres can hold and Python cannot: infinite, or outside of the years 1 to 9999."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg import Connection, DataError
from psycopg.abc import Buffer
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
"""FIRST and LAST replace times that are too early or too late for Python."""


class _Loader(TimestamptzLoader):
    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            text = bytes(data)
            return FIRST if text.startswith(b"-") or text.endswith(b"BC") else LAST


class _BinaryLoader(TimestamptzBinaryLoader):
    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return FIRST if bytes(data)[0] & 0x80 else LAST


def register_time_loaders(connection: Connection[Any]) -> None:
    """Make the connection return FIRST or LAST for times that Python cannot hold, instead of raising
    DataError.
    """
    connection.adapters.register_loader("timestamptz", _Loader)
    connection.adapters.register_loader("timestamptz", _BinaryLoader)


def spell_time(moment: datetime, *, zone: Any = None) -> str:
    """The time in the given zone, by default the local one, to the second."""
    if moment >= LAST:
        return "after 9999"
    if moment <= FIRST:
        return "before 1"
    try:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    except OverflowError:
        return f"{moment:%Y-%m-%d %H:%M:%S}"
