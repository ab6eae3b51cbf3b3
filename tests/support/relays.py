"""Relays as consumers of a bench's queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from changelane.contract.destination import Destination, Relay
from changelane.contract.manifest import Consumer, Manifest, Retry
from changelane.runner.relay.destinations import make_engine
from changelane.runner.relay.engine import Engine
from support.workers import Bench


def declare_relay(bench: Bench, destination: dict[str, Any], relay: dict[str, Any], **consumer: Any) -> None:
    """Write a manifest whose one consumer relays queue ``jobs`` to destination ``there``."""
    consumer.setdefault("retry", Retry(attempts=3, first=0.1, max=0.5))
    consumer.setdefault("batch", 100)
    spec = Consumer(
        queue="jobs",
        dead_letter="jobs_dlq",
        relay=Relay.model_validate({"to": "there", "timeout": 5.0, **relay}),
        **consumer,
    )
    there = Destination.model_validate({"name": "there", **destination})
    manifest = Manifest(
        project="bench", files={}, queues=(), captures=(), consumers=(spec,), destinations=(there,)
    )
    (bench.folder / "sql_out").mkdir(exist_ok=True)
    (bench.folder / "sql_out" / "manifest.json").write_text(manifest.dump())


def send_changes(
    bench: Bench, count: int, *, first: int = 0, table: str = "things", keyed: bool = False, **headers: Any
) -> list[str]:
    """Send updates of seven rows with ids ``id-0`` and on; returns the ids. ``keyed``: ordered by row."""
    numbers = range(first, first + count)
    ids = [f"id-{number}" for number in numbers]
    groups: list[dict[str, Any]] = [
        {"x-pgmq-group": f"[{number % 7}]"} if keyed else {} for number in numbers
    ]
    bench.conn.execute(
        "SELECT pgmq.send_batch('jobs', %s::jsonb[], %s::jsonb[])",
        [
            [_write(id, table) for id in ids],
            [json.dumps({"route": "things", **group, **headers}) for group in groups],
        ],
    )
    return ids


def _write(id: str, table: str) -> str:
    number = int(id.removeprefix("id-"))
    change = {
        "id": id, "op": "update", "schema": "public", "table": table, "key": {"id": number % 7},
        "new": {"id": number % 7, "value": number, "name": "a.b c"}, "old": {"value": number - 1},
        "txid": "7", "at": "2026-11-22T18:54:03.120311+00:00",
    }  # fmt: skip
    return json.dumps(change)


@contextmanager
def open_engine(described: dict[str, Any]) -> Iterator[Engine]:
    """Open the engine of a destination without a worker."""
    engine = make_engine(Destination.model_validate({"name": "there", **described}))
    try:
        yield engine
    finally:
        engine.close()
