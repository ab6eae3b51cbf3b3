"""Messages as CloudEvents, read by the SDK of CloudEvents."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http, kafka, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from support.events import MESSAGES, draw_bodies, make_event, read, write

from changelane.contract.formats import Format
from changelane.contract.template import Engine
from changelane.encoding import encode
from changelane.envelopes.event import Event
from changelane.envelopes.record import Record


def read_cloudevent(record: Record, binding: Engine) -> BaseCloudEvent:
    match binding:
        case "http":
            return http.from_http(http.HTTPMessage(headers=record.headers, body=record.body), JSONFormat())
        case "kafka":
            headers = {name: value.encode() for name, value in record.headers.items()}
            key = None if record.key is None else record.key.encode()
            sent = kafka.KafkaMessage(headers=headers, key=key, value=record.body)
            return kafka.from_kafka(sent, JSONFormat())
        case _:
            own = {name: value for name, value in record.headers.items() if name != "content-type"}
            return rabbitmq.from_rabbitmq(
                rabbitmq.RabbitMQMessage(headers=own, content_type=record.content_type, body=record.body),
                JSONFormat(),
            )


@pytest.mark.parametrize("format", ["cloudevents", "cloudevents_structured"])
@pytest.mark.parametrize("binding", ["http", "kafka", "rabbitmq"])
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["text"][60:70])
def test_the_sdk_of_cloudevents_reads_them(format: Format, binding: Engine, message: dict[str, Any]) -> None:
    event = make_event(message)
    record = write(event, format, binding=binding)
    assert record is not None
    found = read_cloudevent(record, binding)
    body = json.loads(message["text"])
    assert found.get_data() == body
    assert found.get_id() == body["id"]
    assert found.get_type() == f"changelane.{body['op']}"
    assert found.get_source() == f"/changelane/app/{body['table']}"
    assert found.get_time() == datetime.fromisoformat(body["at"])
    assert found.get_datacontenttype() == "application/json"
    assert found.get_extension("route") == message["headers"]["route"]
    assert found.get_extension("traceparent") == message["headers"].get("traceparent")
    assert found.get_extension("partitionkey") == found.get_subject() == event.key


@given(body=draw_bodies(), binding=st.sampled_from(["http", "kafka", "rabbitmq"]))
def test_the_sdk_of_cloudevents_reads_any_key(body: dict[str, Any], binding: Engine) -> None:
    event = Event(text=encode(body), queue="q", msg_id=1, headers={"route": "r"})
    record = write(event, "cloudevents", binding=binding)
    assert record is not None
    assert read_cloudevent(record, binding).get_subject() == event.key


def test_a_source_can_be_given() -> None:
    event = make_event(MESSAGES[0])
    record = write(event, "cloudevents", source="https://shop.example/db")
    assert record is not None
    assert record.headers["ce-source"] == "https://shop.example/db"
    assert read(write(event, "debezium", source="shop"))["source"]["name"] == "shop"


def test_redis_has_structured_events() -> None:
    event = make_event(MESSAGES[0])
    assert write(event, "cloudevents", binding="redis") == write(
        event, "cloudevents_structured", binding="redis"
    )
