from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NotRequired
from uuid import UUID

import pytest
from typing_extensions import TypedDict

from changelane import Change
from changelane.runner.queue.delivery import decode_json
from changelane.runner.work.handlers.typed_rows import InvalidRow, RowType


class OrdersRow(TypedDict):
    id: int
    total: Decimal | None
    paid_at: dt.datetime
    weight: NotRequired[float]


class PartsRow(TypedDict):
    id: UUID


ROW = '{"id": 1, "total": 2.50, "paid_at": "2026-11-22T18:54:03.120311+00:00", "weight": 3, "more": [1]}'


def change(new: str | None = ROW, *, old: str | None = None, truncated: bool = False) -> Change[Any]:
    return Change(
        op="update", schema="shop", table="orders", key=None, new=new and decode_json(new),
        old=old and decode_json(old), at=dt.datetime.now(dt.UTC), txid="1", route="r", queue="q", msg_id=1,
        attempt=1, truncated=truncated,
    )  # fmt: skip


def test_values_are_converted_to_the_class_and_further_columns_stay() -> None:
    row = RowType(OrdersRow).check(change()).new
    assert row == {
        "id": 1,
        "total": Decimal("2.50"),
        "paid_at": dt.datetime(2026, 11, 22, 18, 54, 3, 120311, dt.UTC),
        "weight": 3.0,
        "more": [1],
    }
    assert str(row["total"]) == "2.50"
    assert type(row["weight"]) is float


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_numerics_own_values_are_taken(text: str) -> None:
    row = RowType(OrdersRow).check(change(ROW.replace("2.50", f'"{text}"'))).new
    assert row is not None
    assert str(row["total"]) == text


def test_only_the_columns_that_are_there_are_checked_in_old_and_truncated_rows() -> None:
    kind = RowType(OrdersRow)
    assert kind.check(change(old='{"total": 1}')).old == {"total": Decimal(1)}
    assert kind.check(change('{"id": 1}', truncated=True)).new == {"id": 1}
    with pytest.raises(InvalidRow, match=r"old\.total"):
        kind.check(change(old='{"total": "x"}'))


def test_a_row_that_does_not_fit_says_where_and_quotes_no_value() -> None:
    with pytest.raises(InvalidRow) as caught:
        RowType(OrdersRow).check(change('{"id": "secret", "total": true}'))
    text = str(caught.value)
    assert text.startswith("shop.orders is not a OrdersRow: new.id: ")
    assert "new.paid_at: Field required" in text
    assert "secret" not in text


def test_one_of_several_tables_is_enough() -> None:
    kind = RowType(OrdersRow, PartsRow)
    text = "0b7b0a9e-6d1b-4b4e-9d0e-2f4d3c1b0a99"
    assert kind.check(change(f'{{"id": "{text}"}}')).new == {"id": UUID(text)}
    row = kind.check(change()).new
    assert row is not None
    assert row["id"] == 1
