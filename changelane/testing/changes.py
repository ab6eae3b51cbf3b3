"""Helpers for tests of handlers: changes and messages without a database.

``make_change`` and ``make_message`` need no setup. The pytest fixture ``changelane_database`` is in
``changelane.testing.plugin``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Any, TypeVar, cast, overload
from uuid import UUID

from changelane.change import Change, RowT_co
from changelane.contract.envelope import Operation, Row
from changelane.encoding import encode
from changelane.message import Message

__all__ = ["make_change", "make_message"]

BodyT = TypeVar("BodyT")

_msg_ids = count(1)
_OPERATIONS: dict[tuple[bool, bool], Operation] = {
    (True, False): "insert",
    (True, True): "update",
    (False, True): "delete",
    (False, False): "truncate",
}


@overload
def make_change(
    new: Mapping[str, Any] | None = ...,
    old: Mapping[str, Any] | None = ...,
    *,
    table: str = ...,
    op: Operation | None = ...,
    key: Mapping[str, Any] | None = ...,
    row: type[RowT_co],
    **facts: Any,
) -> Change[RowT_co]: ...


@overload
def make_change(
    new: Mapping[str, Any] | None = ...,
    old: Mapping[str, Any] | None = ...,
    *,
    table: str = ...,
    op: Operation | None = ...,
    key: Mapping[str, Any] | None = ...,
    **facts: Any,
) -> Change: ...


def make_change(
    new: Mapping[str, Any] | None = None,
    old: Mapping[str, Any] | None = None,
    *,
    table: str = "public.things",
    op: Operation | None = None,
    key: Mapping[str, Any] | None = None,
    row: Any = None,
    **facts: Any,
) -> Change[Any]:
    """A change of a row of ``table`` (``schema.table``), as the worker hands it to a handler.

    ``op`` follows from which of ``new`` and ``old`` are given. Values become what a message holds: floats
    become Decimal, times, dates, UUIDs and enums become text, bytes become hex. ``row`` is a TypedDict, as
    ``changelane models`` writes it; the values are then checked and converted as for ``Change[row]``.
    ``facts`` are further fields of Change: ``at``, ``txid``, ``route``, ``queue``, ``msg_id``, ``attempt``,
    ``headers``, ``extra``, ``truncated``.

    Raises TypeError for a value that no message can hold, and for a field that a change does not have;
    ``changelane.runner.work.handlers.typed_rows.InvalidRow`` for a row that does not fit.
    """
    schema, _, name = table.rpartition(".")
    values: dict[str, Any] = {
        "at": datetime.now(UTC),
        "txid": "1",
        "route": name,
        "queue": name,
        "msg_id": next(_msg_ids),
        "attempt": 1,
        **facts,
    }
    change: Change[Any] = Change(
        op=op or _OPERATIONS[new is not None, old is not None],
        schema=schema or "public",
        table=name,
        key=_convert_row(key),
        new=_convert_row(new),
        old=_convert_row(old),
        **values,
    )
    if row is None:
        return change
    from changelane.runner.work.handlers.typed_rows import RowType

    return RowType(row).check(change)


@overload
def make_message(body: Any, *, kind: type[BodyT], **facts: Any) -> Message[BodyT]: ...


@overload
def make_message(body: Any, **facts: Any) -> Message: ...


def make_message(body: Any, *, kind: Any = None, **facts: Any) -> Message[Any]:
    """A message with this body, as the worker hands it over after ``changelane.send`` sent it.

    With ``kind``, the body is validated and converted as for a handler of ``Message[kind]``. ``facts`` are
    further fields of Message: ``queue``, ``msg_id``, ``attempt``, ``headers``, ``enqueued_at``.

    Raises TypeError or ValueError for a body that JSON cannot hold, TypeError for a field that a message does
    not have; ``changelane.runner.work.handlers.body.InvalidBody`` for a body that does not fit.
    """
    from changelane.runner.queue.delivery import decode_json
    from changelane.runner.work.handlers.body import BodyType

    text = encode(body)
    values: dict[str, Any] = {
        "queue": "messages",
        "msg_id": next(_msg_ids),
        "attempt": 1,
        "enqueued_at": datetime.now(UTC),
        **facts,
    }
    message: Message[Any] = Message(body=decode_json(text), **values)
    return message if kind is None else BodyType(kind).check(message, text)


def _convert_row(row: Mapping[str, Any] | None) -> Row | None:
    return None if row is None else cast(Row, _convert(row))


def _convert(value: Any) -> Any:
    """The value as jsonb returns it."""
    match value:
        case Enum():
            return _convert(value.value)
        case None | bool() | int() | str() | Decimal():
            return value
        case float():
            exact = Decimal(repr(value))
            return (
                exact
                if exact.is_finite()
                else {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
            )
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case bytes():
            return "\\x" + value.hex()
        case Mapping():
            return {str(name): _convert(item) for name, item in value.items()}
        case list() | tuple():
            return [_convert(item) for item in value]
    raise TypeError(f"a message holds no {type(value).__name__}: give its text as Postgres writes it")
