"""The HTTP engine, opened on a receiver, and messages to post with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from changelane.contract.destination import Http, Relay
from changelane.runner.relay.engine import Outcome, Outgoing
from changelane.runner.relay.http_engine import HttpEngine


@contextmanager
def open_engine(address: str, **options: Any) -> Iterator[HttpEngine]:
    engine = HttpEngine(Http.model_validate({"url": {"literal": address}, **options}), name="hook")
    try:
        yield engine
    finally:
        engine.close()


def sign_by(*names: str) -> dict[str, Any]:
    return {"standard_webhooks": [{"env": name} for name in names]}


def make_batch(count: int = 1, *, body: bytes = b"{}") -> list[Outgoing]:
    return [
        Outgoing(id=f"7-{number}", address="", body=body, headers={"content-type": "application/json"})
        for number in range(count)
    ]


def post(engine: HttpEngine, batch: list[Outgoing] | None = None, *, timeout: float = 20.0) -> list[Outcome]:
    relay = Relay.model_validate({"to": "hook", "timeout": timeout})
    return engine.publish(batch or make_batch(), relay=relay)
