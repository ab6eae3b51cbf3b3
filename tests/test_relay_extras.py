"""A missing client library of an engine is reported in one line."""

from __future__ import annotations

import sys

import pytest

from changelane.contract.destination import ENGINES, Destination
from changelane.errors import DestinationError
from changelane.runner.relay.destinations import make_engine

MODULES = {
    "nats": "nats",
    "kafka": "confluent_kafka",
    "rabbitmq": "pika",
    "redis": "redis",
    "http": "aiohttp",
}
DECLARED = {
    "nats": {"servers": ["nats://n1"]},
    "kafka": {"servers": ["k1:9092"]},
    "rabbitmq": {"url": {"literal": "amqp://mq"}},
    "redis": {"url": {"literal": "redis://cache"}},
    "http": {"url": {"literal": "https://hook.example"}},
}


@pytest.mark.parametrize("kind", ENGINES)
def test_a_missing_extra_is_one_clear_line(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULES[kind], None)
    there = Destination.model_validate({"name": "there", kind: DECLARED[kind]})
    with pytest.raises(DestinationError) as caught:
        make_engine(there)
    assert caught.value.what == f"destination there: the client of {kind} is not installed"
    assert caught.value.fix == f"pip install 'changelane[{kind}]'"


def test_half_of_an_extra_is_said_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nkeys", None)
    monkeypatch.delitem(sys.modules, "changelane.runner.relay.nats_engine", raising=False)
    with pytest.raises(DestinationError, match="the client of nats is not installed"):
        make_engine(Destination.model_validate({"name": "there", "nats": DECLARED["nats"]}))
