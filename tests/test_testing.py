from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from typing_extensions import TypedDict

from changelane.runner.work.handlers.body import InvalidBody
from changelane.runner.work.handlers.typed_rows import InvalidRow
from changelane.testing import make_change, make_message


class OrdersRow(TypedDict):
    id: int
    at: dt.datetime


class Mood(Enum):
    CALM = "calm"


@pytest.mark.parametrize(
    ("sides", "op"),
    [
        ({"new": {"id": 1}}, "insert"),
        ({"new": {"id": 1}, "old": {"id": 2}}, "update"),
        ({"old": {"id": 1}}, "delete"),
        ({}, "truncate"),
        ({"new": {"id": 1}, "op": "snapshot"}, "snapshot"),
    ],
)
def test_the_operation_follows_from_the_rows(sides: dict[str, Any], op: str) -> None:
    assert make_change(**sides).op == op


def test_the_given_table_key_and_further_facts_are_used() -> None:
    change = make_change(new={"id": 1}, table="shop.orders", key={"id": 1}, attempt=3, headers={"a": 1})
    assert (change.schema, change.table, change.key) == ("shop", "orders", {"id": 1})
    assert (change.attempt, change.headers) == (3, {"a": 1})
    assert make_change().id != make_change().id


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, Decimal("0.1")),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (Decimal("1.50"), Decimal("1.50")),
        (True, True),
        (2**70, 2**70),
        (dt.datetime(2026, 11, 22, tzinfo=dt.UTC), "2026-11-22T00:00:00+00:00"),
        (dt.date(2026, 11, 22), "2026-11-22"),
        (dt.time(12, 30), "12:30:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", "\\x00ff"),
        (Mood.CALM, "calm"),
        ([1.5, (None,)], [Decimal("1.5"), [None]]),
        ({"a": {1: 0.5}}, {"a": {"1": Decimal("0.5")}}),
    ],
)
def test_values_become_json_as_in_a_message(value: object, expected: object) -> None:
    change = make_change(new={"value": value})
    assert change.new is not None
    assert change.new["value"] == expected
    assert type(change.new["value"]) is type(expected)


def test_values_that_no_message_can_hold_are_refused() -> None:
    with pytest.raises(TypeError, match="holds no object"):
        make_change(new={"value": object()})
    with pytest.raises(TypeError, match="nonsense"):
        make_change(nonsense=1)


def test_typed_rows_are_checked_and_converted() -> None:
    at = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    change = make_change(new={"id": 1, "at": at}, row=OrdersRow)
    assert change.new == {"id": 1, "at": at}
    with pytest.raises(InvalidRow, match=r"new\.at: Field required"):
        make_change(new={"id": 1}, row=OrdersRow)


def test_a_message_is_as_it_would_arrive() -> None:
    message = make_message({"n": 1.50, "day": dt.date(2026, 11, 22), "who": (1, 2)}, queue="mails", attempt=2)
    assert message.body == {"n": Decimal("1.5"), "day": "2026-11-22", "who": [1, 2]}
    assert (message.queue, message.attempt, message.headers) == ("mails", 2, {})
    assert make_message(None, headers={"id": "mine"}).id == "mine"


def test_a_typed_message_is_checked_and_converted() -> None:
    body = {"id": 1, "at": dt.datetime(2026, 11, 22, tzinfo=dt.UTC)}
    assert make_message(body, kind=OrdersRow).body == body
    with pytest.raises(InvalidBody, match=r"body\.at: Field required"):
        make_message({"id": 1}, kind=OrdersRow)
    with pytest.raises(TypeError, match="nonsense"):
        make_message(1, nonsense=1)
    with pytest.raises(ValueError, match="NUL"):
        make_message("\0")
