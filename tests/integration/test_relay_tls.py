"""Engines over encrypted connections: certificates are verified, and clients show their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Certificates, make_certificates
from support.kafka_broker import run_tansu
from support.nats_server import run_nats
from support.rabbitmq_server import run_rabbitmq
from support.redis_server import run_redis
from support.relays import open_engine

from changelane.contract.destination import Relay
from changelane.runner.relay.engine import Misconfigured, Outgoing, Unavailable

PATIENCE = 60.0


@dataclass(frozen=True)
class Encrypted:
    """A server with the certificate of 127.0.0.1, which wants to see the client's, too."""

    kind: str
    options: dict[str, Any]
    relay: Relay

    def try_to_publish(
        self, *, host: str = "127.0.0.1", tls: dict[str, str], patience: float = PATIENCE
    ) -> str:
        """The kind of the outcome, and what the engine said."""
        options = _replace(self.options, "127.0.0.1", host)
        message = Outgoing(id="id-1", address="shop.things", body=b"{}", headers={"id": "id-1"})
        with open_engine({self.kind: {**options, **({"tls": tls} if tls else {})}}) as engine:
            try:
                engine.connect(timeout=patience)
            except (Misconfigured, Unavailable) as error:
                return f"{type(error).__name__.lower()}: {error}"
            (outcome,) = engine.publish([message], relay=self.relay)
            return f"{outcome.kind}: {outcome.text}"


def _replace(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replace(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value


@contextmanager
def run_encrypted(kind: str, folder: Path, made: Certificates) -> Iterator[Encrypted]:
    relay = {"to": "there", "timeout": PATIENCE}
    match kind:
        case "nats":
            cert, key = made.server
            options = ["--tls", "--tlscert", cert, "--tlskey", key, "--tlscacert", made.ca, "--tlsverify"]
            with run_nats(folder, *options, connect={"tls": made.make_client_context()}) as server:
                server.add_stream("SHOP", "shop.>")
                relay |= {"subject": "shop.things"}
                yield Encrypted(kind, {"servers": [server.url]}, Relay.model_validate(relay))
        case "kafka":
            with run_tansu(tls=made) as address:
                relay |= {"topic": "shop"}
                described = {"servers": [address], "security": "ssl"}
                yield Encrypted(kind, described, Relay.model_validate(relay))
        case "redis":
            with run_redis(folder, tls=made) as server:
                relay |= {"stream": "shop.things"}
                yield Encrypted(kind, {"url": {"literal": server.url}}, Relay.model_validate(relay))
        case _:
            with run_rabbitmq(folder, tls=made) as broker:
                broker.add_queue(exchange="shop")
                relay |= {"exchange": "shop", "routing_key": "shop.things"}
                yield Encrypted(kind, {"url": {"literal": broker.tls_url}}, Relay.model_validate(relay))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("kind", ["nats", "kafka", "redis", "rabbitmq"])
def test_both_sides_are_verified(kind: str, made: Certificates, tmp_path: Path) -> None:
    cert, key = made.client
    ours = {"cert": cert, "key": key}
    with run_encrypted(kind, tmp_path / kind, made) as there:
        assert there.try_to_publish(tls={"ca": made.ca, **ours}) == "confirmed: "
        # The system's authorities do not know the test's.
        for tls in ({}, ours):
            said = there.try_to_publish(tls=tls)
            assert said.startswith("misconfigured: "), said
            assert "not trusted" in said
        said = there.try_to_publish(host="localhost", tls={"ca": made.ca, **ours})
        assert said.startswith("misconfigured: "), said
        # Whether we hear why the server hangs up is a race.
        said = there.try_to_publish(tls={"ca": made.ca}, patience=10.0)
        assert said.startswith(("misconfigured: ", "unavailable: ")), said
        said = there.try_to_publish(tls={"ca": "/nowhere/ca.pem"})
        assert said.startswith("misconfigured: "), said
        assert "/nowhere/ca.pem" in said
