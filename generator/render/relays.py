"""Relays and destinations as the manifest holds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from changelane.contract import destination as contract
from changelane.contract.destination import ADDRESSES, DEDUPLICATING, ENGINES
from changelane.generator.spec.models import Consumer, Spec
from changelane.generator.spec.scalars import read_rate

BATCH = 500
"""Messages that a relay claims at a time, by default."""

HTTP_BATCH = 100
"""The same over HTTP, where each message is a request of its own."""


def describe_destinations(spec: Spec) -> Iterator[contract.Destination]:
    for name, destination in sorted(spec.destinations.items()):
        described = destination.model_dump()
        for engine in ENGINES:
            url = getattr(getattr(destination, engine), "url", None)
            if url is not None and url.literal is not None:
                described[engine]["url"] = {"literal": url.literal}
        if destination.http is not None and destination.http.rate is not None:
            described["http"]["rate"] = read_rate(destination.http.rate)
        yield contract.Destination.model_validate({"name": name, **described})


def describe_relay(spec: Spec, consumer: Consumer) -> dict[str, Any]:
    """The fields of a manifest's consumer by which a relay differs from a handler; empty for a handler."""
    relay, given = consumer.relay, consumer.model_fields_set
    if relay is None:
        return {}
    destination = spec.destinations[relay.to]
    engine = next(name for name in ENGINES if getattr(destination, name) is not None)
    described = {
        "to": relay.to,
        "format": relay.format,
        "source": relay.source or "",
        "database": relay.database or "",
        "tombstone": relay.tombstone is not False,
        "deduplicate": engine in DEDUPLICATING if relay.deduplicate is None else relay.deduplicate,
        "exchange": relay.exchange,
        **{key: getattr(relay, key) for key in ADDRESSES[engine]},
    }
    if consumer.timeout is not None:
        described["timeout"] = consumer.timeout
    return {
        "relay": contract.Relay.model_validate(described),
        "batch": consumer.batch if "batch" in given else HTTP_BATCH if engine == "http" else BATCH,
        "timeout": None,
    }
