from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changelane.change import Change
from changelane.message import Message
from changelane.runner.queue.delivery import Content, Delivery, Malformed, decode_json, read_delivery
from changelane.runner.work.handlers.handler_input import CHANGES, HandlerInput

ENVELOPE: dict[str, Any] = {
    "op": "update",
    "schema": "public",
    "table": "orders",
    "key": {"id": 7},
    "new": {"id": 7, "total": 2},
    "old": {"id": 7, "total": 1},
    "txid": "8412",
    "at": "2026-11-22T18:54:03.120311+00:00",
}


MESSAGES = HandlerInput(change=False, message=True)
BOTH = HandlerInput(change=True, message=True)


def read(
    message: object = ENVELOPE, *, headers: object = None, read_ct: int = 1, raw: str | None = None
) -> Delivery:
    return read_delivery(
        queue="jobs",
        msg_id=5,
        read_ct=read_ct,
        message=json.dumps(message) if raw is None else raw,
        headers=None if headers is None else json.dumps(headers),
        leased_until=0.0,
        enqueued_at="2026-11-22 18:54:03.120311+00",
    )


def read_change(message: object = ENVELOPE, **options: Any) -> Change:
    change = CHANGES.read(read(message, **{"headers": {"route": "paid"}, **options}))
    assert isinstance(change, Change)
    return change


def read_message(takes: HandlerInput = MESSAGES, **options: Any) -> Message:
    message = takes.read(read(**options))
    assert isinstance(message, Message)
    return message


def test_an_envelope_becomes_a_change() -> None:
    change = read_change(headers={"route": "paid", "changelane": {"attempts": 2}}, read_ct=3)
    assert (change.op, change.schema, change.table, change.route) == ("update", "public", "orders", "paid")
    assert (change.id, change.attempt, change.txid) == ("jobs:5", 3, "8412")
    assert change.at == datetime(2026, 11, 22, 18, 54, 3, 120311, tzinfo=UTC)
    assert change.changed == {"total"}


def test_the_id_is_the_messages_own_where_it_has_one() -> None:
    assert read_change({**ENVELOPE, "id": "8412-1795907244123456123"}).id == "8412-1795907244123456123"
    for other in (None, 5, "", "x" * 201, ["x"]):
        assert read_change({**ENVELOPE, "id": other}).id == "jobs:5"


def test_extra_values_and_truncation_reach_the_handler() -> None:
    change = read_change({**ENVELOPE, "extra": {"actor": "ann"}, "truncated": True})
    assert (change.extra, change.truncated) == ({"actor": "ann"}, True)


@pytest.mark.parametrize("headers", [None, [], "x", 1, {"changelane": 3}, {"changelane": {"attempts": "x"}}])
def test_headers_of_any_shape_are_read(headers: object) -> None:
    delivery = read(headers=headers)
    assert (delivery.failed, delivery.released, delivery.malformed) == (0, 0, "")


@pytest.mark.parametrize(
    ("count", "read_as"),
    [("-1", 0), ("true", 0), ("0.5", 0), ("3", 3), ("1" + "0" * 5000, 1_000_000)],
)
def test_counts_that_nobody_could_have_reached_are_not_believed(count: str, read_as: int) -> None:
    headers = '{"changelane": {"attempts": ' + count + "}}"
    delivery = read_delivery(
        queue="jobs", msg_id=5, read_ct=1, message="{}", headers=headers, leased_until=0.0
    )
    assert delivery.failed == read_as
    assert delivery.notes(failed=delivery.failed, released=0, error="")


def test_a_time_without_a_zone_is_taken_for_utc() -> None:
    change = read_change({**ENVELOPE, "at": "0001-01-01T00:00:00"})
    assert change.at == datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("odd", "field", "expected"),
    [
        ({"at": "2026-11-22T18:54:03.120311+00"}, "txid", "8412"),
        ({"at": "2026-11-22T20:54:03.120311+02:00"}, "txid", "8412"),
        ({"extra": ""}, "extra", {}),
        ({"extra": None}, "extra", {}),
        ({"truncated": "yes"}, "truncated", False),
        ({"new": {"total": "LONG"}}, "new", {"total": 10**5000}),
        ({"route": "forged", "queue": 3, "headers": []}, "route", "paid"),
    ],
)
def test_envelopes_of_other_writers_are_read_as_those_of_captures(
    odd: dict[str, object], field: str, expected: object
) -> None:
    change = read_change(raw=json.dumps({**ENVELOPE, **odd}).replace('"LONG"', "1" + "0" * 5000))
    assert getattr(change, field) == expected
    assert change.at == datetime(2026, 11, 22, 18, 54, 3, 120311, tzinfo=UTC)
    assert (change.queue, change.msg_id, change.op) == ("jobs", 5, "update")


@pytest.mark.parametrize(
    "raw",
    [
        "[]",
        "null",
        "3",
        "{}",
        '{"new": ' + "[" * 5000 + "]" * 5000 + "}",
        json.dumps({**ENVELOPE, "at": "yesterday"}),
        json.dumps({**ENVELOPE, "at": 3}),
        json.dumps({**ENVELOPE, "op": ["insert"]}),
        json.dumps({**ENVELOPE, "schema": None}),
        json.dumps({**ENVELOPE, "new": "text"}),
        json.dumps({**ENVELOPE, "extra": 7}),
    ],
)
def test_text_that_is_no_envelope_is_refused_with_the_reason(raw: str) -> None:
    with pytest.raises(Malformed, match=r"^the message is "):
        read_change(raw=raw)


@pytest.mark.parametrize("headers", [None, {}, {"route": 7}, {"route": None}, []])
def test_an_envelope_that_no_capture_wrote_is_no_change(headers: object) -> None:
    with pytest.raises(Malformed, match="not a captured change: it lacks the header route"):
        CHANGES.read(read(headers=headers))
    assert read_message(BOTH, headers=headers).body == ENVELOPE


def test_a_handler_of_changes_and_messages_gets_each_as_its_own_class() -> None:
    content: Content = BOTH.read(read(headers={"route": "paid"}))
    assert isinstance(content, Change)
    assert read_message(BOTH, raw='"a text"', headers={"route": "somebody's"}).body == "a text"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        ("null", None),
        ("3", 3),
        ('[1.10, "x"]', [Decimal("1.10"), "x"]),
        (json.dumps(ENVELOPE), ENVELOPE),
    ],
)
def test_a_message_holds_any_json(raw: str, body: object) -> None:
    message = read_message(raw=raw, headers={"a": 1, "changelane": {"attempts": 2}})
    assert message.body == body
    assert (message.queue, message.msg_id, message.attempt, message.headers["a"]) == ("jobs", 5, 3, 1)
    assert message.enqueued_at == datetime(2026, 11, 22, 18, 54, 3, 120311, tzinfo=UTC)


@pytest.mark.parametrize(("given", "id"), [("a1", "a1"), ("", "jobs:5"), (7, "jobs:5"), (None, "jobs:5")])
def test_a_messages_id_is_the_header_of_that_name(given: object, id: str) -> None:
    assert read_message(headers={"id": given}).id == id


@pytest.mark.parametrize("at", ["infinity", "4713-01-01 00:00:00+00 BC", "12026-11-22 18:54:03+00", None])
def test_a_date_beyond_pythons_range_is_reported(at: str | None) -> None:
    delivery = read()
    delivery.enqueued_at = at
    with pytest.raises(Malformed, match="its enqueued_at is "):
        MESSAGES.read(delivery)


@pytest.mark.parametrize(
    ("read_ct", "notes", "suspect"),
    [
        (3, {}, False),
        (9, {"claims": 2}, False),
        (1, {"claims": 3}, True),
        (3, {"claims": 3, "attempts": 1}, False),
        (4, {"claims": 4, "attempts": 1, "released": 1}, False),
        (5, {"claims": 5, "attempts": 1, "released": 1}, True),
    ],
)
def test_two_deliveries_that_ended_without_a_trace_make_a_suspect(
    read_ct: int, notes: dict[str, int], suspect: bool
) -> None:
    assert read(headers={"changelane": notes}, read_ct=read_ct).suspect is suspect


@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers())
def test_numbers_are_decoded_exactly(number: Decimal | int) -> None:
    text = f"{number:f}"
    value = decode_json(f'{{"a": [{text}]}}')["a"][0]
    assert value == Decimal(text)
    assert isinstance(value, Decimal if "." in text else int)


def test_integers_of_any_length_are_decoded() -> None:
    assert decode_json("1" + "0" * 20_000) == 10**20_000
