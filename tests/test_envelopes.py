"""Messages in the formats that others read, over what a real server captured (test_envelope_messages.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.events import GOLDEN, MESSAGES, SETTING, draw_bodies, make_event, read, write

from changelane.change import Change
from changelane.contract.formats import FORMATS, OF_MESSAGES, OPERATIONS_OF, Format
from changelane.contract.template import ENGINES, Engine
from changelane.encoding import encode
from changelane.envelopes.event import Event
from changelane.envelopes.record import Refused
from changelane.runner.queue.delivery import decode_json, read_change, read_delivery
from changelane.testing import make_change


def spell_record(message: Mapping[str, Any], format: Format) -> str:
    """All that is sent, with the headers of each engine that are not those of the engines before."""
    lines: list[str] = []
    for binding in ENGINES:
        try:
            record = write(make_event(message), format, binding=binding)
        except Refused as refused:
            return f"refused: {refused}\n"
        if record is None:
            return "nothing is sent\n"
        facts = f"id: {record.id}\nrecord key: {record.key}\ntombstone: {record.tombstone}\n\n"
        head = "".join(f"    {name}: {value}\n" for name, value in record.headers.items())
        body = f"\n{record.body.decode()}\n"
        if lines and lines[-1] == body:
            lines[-1:] = [f"  {binding}\n", head, body] if head not in lines else [body]
        else:
            lines += [facts, f"  {binding}\n", head, body]
    return "".join(lines)


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_makes_the_same_bytes_as_ever(format: Format, request: pytest.FixtureRequest) -> None:
    text = ""
    for message in MESSAGES:
        op = json.loads(message["text"])["op"]
        text += f"# {op}, route {message['headers']['route']}\n\n{spell_record(message, format)}\n"
    path = GOLDEN / f"{format}.txt"
    if request.config.getoption("--update-golden"):
        path.write_text(text)
    assert text == path.read_text()


def expect_rows(body: dict[str, Any]) -> tuple[Any, Any]:
    """Before and after, whole."""
    old, new = body["old"], body["new"]
    if body["op"] == "update" and old is not None:
        old = {**new, **old}
    return (body["key"] if body["op"] == "delete" and old is None else old), new


def check_nothing_is_lost(event: Event, body: dict[str, Any], format: Format) -> None:
    """Parse what the format made of it, and compare with the message, number by number."""
    record = write(event, format)
    sent = read(record)
    assert record is not None
    before, after = expect_rows(body)
    op = body["op"]
    match format:
        case "changelane" | "cloudevents":
            assert record.body == event.text.encode()
        case "cloudevents_structured":
            assert record.body.endswith(f'"data":{event.text}}}'.encode())
            assert sent["data"] == body
        case "debezium":
            assert (sent["before"], sent["after"]) == (before, after)
            assert sent["op"] == {"insert": "c", "snapshot": "r"}.get(op, op[0])
            source = sent["source"]
            assert (source["schema"], source["table"], source["txId"]) == (
                body["schema"], body["table"], int(body["txid"]),
            )  # fmt: skip
            assert source["snapshot"] == ("true" if op == "snapshot" else "false")
            assert record.tombstone == (op == "delete" and body["key"] is not None)
        case "hasura":
            assert sent["event"]["data"] == {"old": before, "new": after}
            assert sent["event"]["op"] == ("MANUAL" if op == "snapshot" else op.upper())
            assert sent["table"] == {"schema": body["schema"], "name": body["table"]}
            assert (sent["id"], sent["created_at"]) == (event.id, body["at"])
        case "supabase":
            kind = "INSERT" if op == "snapshot" else op.upper()
            place = {"schema": body["schema"], "table": body["table"]}
            assert sent == {"type": kind, **place, "record": after, "old_record": before}
        case "row":
            assert sent == (before if op == "delete" else after)
            assert record.headers["op"] == op
    if body["key"] is None:
        assert record.key is None
    elif format != "outbox":
        assert record.key is not None
        assert decode_json(record.key) == body["key"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["text"][60:70])
def test_nothing_is_lost_that_a_format_can_carry(format: Format, message: dict[str, Any]) -> None:
    body = decode_json(message["text"])
    if body["op"] not in OPERATIONS_OF[format]:
        with pytest.raises(Refused, match=f"{format} has no {body['op']}"):
            write(make_event(message), format)
    elif format != "outbox":
        check_nothing_is_lost(make_event(message), body, format)


@given(format=st.sampled_from([format for format in FORMATS if format != "outbox"]), body=draw_bodies())
@settings(max_examples=200)
def test_no_value_of_any_row_is_lost(format: Format, body: dict[str, Any]) -> None:
    event = Event(text=encode(body), queue="q", msg_id=1, headers={"route": "r"})
    if format == "row" and body["op"] == "delete" and body["old"] is None and body["key"] is None:
        with pytest.raises(Refused, match="no row"):
            write(event, format)
        return
    check_nothing_is_lost(event, body, format)


@given(format=st.sampled_from(FORMATS), binding=st.sampled_from(["http", "nats"]), data=st.data())
@settings(max_examples=200)
def test_no_value_begins_a_header_of_its_own(format: Format, binding: Engine, data: st.DataObject) -> None:
    body = data.draw(draw_bodies())
    hostile = data.draw(st.text(max_size=20) | st.sampled_from(["a\r\nNats-Rollup: all", "é", "\0", " "]))
    row = {"id": hostile, "aggregatetype": "t", "aggregateid": hostile, "type": hostile, "payload": 1}
    body |= {"schema": hostile, "table": hostile, "id": hostile, "key": {"id": hostile}}
    body |= {"new": row} if format == "outbox" else {}
    headers = {"route": hostile, "traceparent": hostile, "id": hostile}
    text = json.dumps(body, default=str)
    event = Event(text=text, queue=hostile, msg_id=1, headers=headers)
    try:
        record = write(event, format, binding=binding)
    except ValueError:
        # Half of a surrogate pair: jsonb has none, and no engine is reached.
        return
    if record is not None:
        for name, value in [*record.headers.items(), ("id", record.id)]:
            assert re.fullmatch(r"[a-zA-Z-]+", name)
            assert re.fullmatch(r"[\x20-\x7e]*", value)


SENT = [
    '{"kind": "nightly", "op": "insert", "new": {"id": 1.50}}',
    "[1, 2.50]",
    '"text"',
    "null",
    "1e400",
]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("text", SENT)
def test_a_message_that_no_capture_wrote_is_passed_on_or_refused(format: Format, text: str) -> None:
    headers = {"x-forwarded-for": "me", "id": "order 7", "schedule": "nightly"}
    event = Event(
        text=text, queue="jobs", msg_id=4, headers=headers, enqueued_at="2026-11-22T18:54:03.120311+00:00"
    )
    if format not in OF_MESSAGES:
        with pytest.raises(Refused, match="no capture function wrote"):
            write(event, format)
        return
    record = write(event, format, binding="nats")
    assert record is not None
    assert record.id == "order%207"
    assert record.key is None
    assert "x-forwarded-for" not in record.headers
    if format == "cloudevents_structured":
        sent = read(record)
        assert sent["data"] == decode_json(text)
        assert (sent["type"], sent["source"]) == ("changelane.message", "/changelane/jobs")
        assert sent["time"] == "2026-11-22T18:54:03.120311+00:00"
    else:
        assert record.body == text.encode()


@pytest.mark.parametrize(
    "change",
    [
        {"op": 7},
        {"op": None},
        {"schema": ["app"]},
        {"new": [1]},
        {"key": "id"},
        {"at": None},
    ],
)
def test_a_message_with_a_route_that_is_no_change_is_no_change(change: dict[str, Any]) -> None:
    body = {**json.loads(MESSAGES[0]["text"]), **change}
    event = Event(text=json.dumps(body), queue="q", msg_id=3, headers={"route": "types"})
    for format in FORMATS:
        if format in OF_MESSAGES:
            record = write(event, format)
            assert record is not None
            assert record.id == "q:3"
        else:
            with pytest.raises(Refused):
                write(event, format)


@pytest.mark.parametrize("format", FORMATS)
def test_values_nested_too_deeply_are_refused(format: Format) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    text = MESSAGES[0]["text"].replace('"new": {', f'"new": {{"deep": {deep}, ', 1)
    with pytest.raises(Refused, match="too deep"):
        write(Event(text=text, queue="q", msg_id=1, headers={"route": "r"}), format)


@pytest.mark.parametrize(
    ("format", "change", "says"),
    [
        ("debezium", {"at": "yesterday"}, "'at'"),
        ("debezium", {"at": "2026-11-22T18:54:03"}, "'at'"),
        ("debezium", {"txid": "12x"}, "txid"),
        ("outbox", {"new": {"id": "1"}}, "aggregatetype, aggregateid, payload"),
        ("outbox", {"truncated": True}, "too large"),
    ],
)
def test_a_change_that_a_format_cannot_say_is_refused(
    format: Format, change: dict[str, Any], says: str
) -> None:
    body = {**json.loads(MESSAGES[0]["text"]), **change}
    with pytest.raises(Refused, match=says):
        write(Event(text=json.dumps(body), queue="q", msg_id=1, headers={"route": "r"}), format)


@pytest.mark.parametrize(
    ("payload", "body", "content_type"),
    [
        ({"total": Decimal("1.50")}, b'{"total": 1.50}', "application/json"),
        ('{"as": "text"}', b'{"as": "text"}', "text/plain; charset=utf-8"),
        (None, b"", "application/json"),
        ([1], b"[1]", "application/json"),
    ],
)
def test_an_outbox_sends_the_bare_payload(payload: Any, body: bytes, content_type: str) -> None:
    row = {"id": "9-a", "aggregatetype": "order", "aggregateid": 7, "type": "paid", "payload": payload}
    change = make_change(row, op="insert", key={"id": "9-a"})
    record = change.to("outbox", binding="kafka")
    assert record is not None
    assert (record.body, record.key, record.id) == (body, "7", "9-a")
    assert record.headers == {"id": "9-a", "content-type": content_type, "eventType": "paid"}
    assert make_change(row, op="snapshot").to("outbox") is not None
    assert make_change(row, row, op="update").to("outbox") is None
    assert make_change(old=row).to("outbox") is None
    del row["type"]
    record = make_change(row).to("outbox")
    assert record is not None
    assert "eventType" not in record.headers


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "outbox"])
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["text"][60:70])
def test_a_handler_and_a_relay_format_a_change_alike(format: Format, message: dict[str, Any]) -> None:
    if json.loads(message["text"])["op"] not in OPERATIONS_OF[format]:
        return
    change: Change[Any] = read_change(
        read_delivery(
            queue=message["queue"],
            msg_id=1,
            read_ct=1,
            message=message["text"],
            headers=json.dumps(message["headers"]),
            leased_until=0,
        )
    )
    handled, relayed = change.to(format, **SETTING), write(make_event(message), format)
    assert handled is not None
    assert relayed is not None
    assert replace(handled, body=relayed.body) == relayed
    assert read(handled) == read(relayed)


def test_numbers_are_exact() -> None:
    huge = Decimal("123456789012345678901234567890.123456789012345678901234567890")
    change = make_change({"id": 2**70, "v": huge, "w": Decimal("1.50")}, {"id": 1, "v": Decimal("1e-400")})
    record = change.to("cloudevents")
    sent = read(record)
    assert (sent["new"]["id"], sent["new"]["v"], str(sent["new"]["w"])) == (2**70, huge, "1.50")
    assert sent["old"]["v"] == Decimal("1e-400")
    assert read(change.to("debezium"))["after"]["v"] == huge


def test_a_key_is_spelled_as_debezium_spells_it() -> None:
    record = make_change({"id": 7}, key={"id": 7, "tenant": 'é "x"'}).to("debezium")
    assert record is not None
    assert record.key == '{"id":7,"tenant":"é \\"x\\""}'


def test_a_tombstone_can_be_left_out() -> None:
    change = make_change(old={"id": 7}, key={"id": 7})
    assert (record := change.to("debezium")) is not None
    assert record.tombstone
    assert (record := change.to("debezium", tombstone=False)) is not None
    assert not record.tombstone


def test_a_hasura_event_has_the_fields_of_hasura() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    extra = {"x-hasura-role": "user", "cause": "none of Hasura's"}
    event = make_change(
        {"id": 1}, {"id": 0}, table="shop.orders", route="paid", attempt=3, extra=extra, id="7-1",
        headers={"traceparent": trace},
    )  # fmt: skip
    sent = read(event.to("hasura", attempts=8))
    created = sent.pop("created_at")
    assert created == event.at.isoformat()
    assert sent == {
        "id": "7-1",
        "trigger": {"name": "paid"},
        "table": {"schema": "shop", "name": "orders"},
        "event": {
            "session_variables": {"x-hasura-role": "user"},
            "op": "UPDATE",
            "data": {"old": {"id": 0}, "new": {"id": 1}},
            "trace_context": {"trace_id": trace[3:35], "span_id": trace[36:52]},
        },
        "delivery_info": {"current_retry": 2, "max_retries": 7},
    }


def test_a_debezium_value_has_the_fields_of_debezium() -> None:
    sent = read(make_change({"id": 1}).to("debezium", database="shop"))
    assert list(sent) == ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"]
    assert list(sent["source"]) == [
        "version", "connector", "name", "ts_ms", "ts_us", "ts_ns", "snapshot", "db", "sequence", "schema",
        "table", "txId", "lsn", "xmin",
    ]  # fmt: skip
