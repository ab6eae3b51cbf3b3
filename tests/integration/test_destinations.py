"""`validate --live` and the doctor look at the engines that relays send to."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.http_receiver import run_receiver
from support.kafka_broker import run_tansu
from support.nats_server import NatsServer, find_port, run_nats
from support.redis_server import run_redis

from changelane.contract.destination import Destination, Relay
from changelane.contract.manifest import Consumer
from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.relay.survey import LIMIT, check_destinations

SPEC = """\
version: 1
project: shop
queues: {events: {}}
routes:
  - {name: orders, table: public.orders, events: [insert], queue: events}
"""


@pytest.fixture
def look(conn: psycopg.Connection[Any], tmp_path: Path, run_changelane: Any) -> Any:
    """Declares a relay and returns what `validate --live` says of it: severity, words and fix."""
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, total numeric)")

    def validate(destination: str, relay: str = "", **consumer: str) -> list[tuple[str, str, str]]:
        settings = "".join(f"\n    {key}: {value}" for key, value in consumer.items())
        (tmp_path / "pipelines.yaml").write_text(
            f"{SPEC}destinations:\n  there: {{{destination}}}\n"
            f"consumers:\n  events:\n    relay: {{to: there{', ' if relay else ''}{relay}}}{settings}\n"
        )
        found = run_changelane("validate", "--live", "--format", "json")
        problems = json.loads(found.stdout)["diagnostics"]
        assert found.returncode == int(any(problem["severity"] == "error" for problem in problems))
        engine = [problem for problem in problems if problem["code"] == "CL404"]
        assert all(problem["span"]["line"] == 10 for problem in engine)
        return [(problem["severity"], problem["summary"], problem["fix"]) for problem in engine]

    return validate


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with run_nats(tmp_path / "nats") as server:
        yield server


def test_nats_is_looked_at(look: Any, nats: NatsServer) -> None:
    there, relay = f"nats: {{servers: ['{nats.url}']}}", "subject: 'shop.{table}'"
    ((severity, text, fix),) = look(there, relay)
    assert severity == "error"
    assert text == "destination there (nats): no stream of JetStream takes the subject shop.*"
    assert "nats stream add SHOP --subjects 'shop.>'" in fix
    nats.add_stream("SHOP", "shop.>", max_msgs=100, discard="old", duplicate_window=30)
    found = look(there, relay)
    assert [severity for severity, _, _ in found] == ["warning", "warning"]
    fixes = {fix for _, _, fix in found}
    assert fixes == {"nats stream edit SHOP --dupe-window 180s", "nats stream edit SHOP --discard new"}
    nats.delete_stream("SHOP")
    nats.add_stream("SHOP", "shop.>", duplicate_window=120)
    assert look(there, relay) == []
    nats.freeze()
    began = time.monotonic()
    ((severity, text, _),) = look(there, relay)
    nats.thaw()
    assert severity == "error"
    assert nats.url in text or "answer" in text
    assert time.monotonic() - began < 60


def test_redis_is_looked_at(look: Any, tmp_path: Path) -> None:
    with run_redis(tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as redis:
        there, relay = f"redis: {{url: 'redis://127.0.0.1:{redis.port}/0'}}", "stream: 'shop:{table}'"
        found = look(there, relay)
        assert {fix for _, _, fix in found} >= {"CONFIG SET maxmemory-policy noeviction"}
        redis.client.config_set("maxmemory-policy", "noeviction")
        redis.client.config_set("appendonly", "yes")
        assert look(there, relay) == []
        redis.client.set("shop:all", "text")
        ((severity, text, _),) = look(there, "stream: 'shop:all'")
        assert (severity, text) == ("error", "destination there (redis): key shop:all is no stream")
        redis.client.config_set("requirepass", "another")
        ((severity, text, _),) = look(there, relay)
        assert severity == "error"
        assert "login" in text or "right" in text


def test_kafka_is_looked_at(look: Any) -> None:
    with run_tansu() as servers:
        there, relay = f"kafka: {{servers: ['{servers}']}}", "topic: 'shop.{table}'"
        ((severity, text, fix),) = look(there, relay)
        assert severity == "warning"
        assert text == "destination there (kafka): no topic shop.{table} is there"
        assert "kafka-topics.sh --create" in fix
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        settings = {"retention.ms": "60000", "cleanup.policy": "compact,delete"}
        made = admin.create_topics([NewTopic("shop.orders", 1, 1, config=settings)])
        made["shop.orders"].result(30)
        found = look(there, relay)
        assert {severity for severity, _, _ in found} == {"warning"}
        said = " ".join(text for _, text, _ in found)
        assert "one replica" in said
        assert "is compacted" in said
        assert "drops records after 60 s" in said
        assert all(fix.startswith("kafka-") for _, _, fix in found)
        assert "is compacted" not in " ".join(text for _, text, _ in look(there, f"{relay}, format: row"))


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
            str(certificate), "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return key, certificate


def test_http_is_reached_over_tls_and_gets_no_request(look: Any, tmp_path: Path) -> None:
    key, certificate = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with run_receiver(tls=context) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        assert url.startswith("https://")
        assert look(f"http: {{url: '{url}', tls: {{ca: '{certificate}'}}}}") == []
        ((severity, text, _),) = look(f"http: {{url: '{url}'}}")
        assert severity == "error"
        assert "is not trusted" in text
        assert receiver.requests == []


@contextmanager
def listen_without_an_answer() -> Iterator[int]:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        yield silent.getsockname()[1]


@pytest.mark.parametrize("listens", [True, False])
def test_engines_that_are_away_are_errors_after_a_bounded_time(listens: bool) -> None:
    with listen_without_an_answer() as silent:
        port = silent if listens else find_port()
        engines: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
            "nats": ({"servers": [f"nats://127.0.0.1:{port}"]}, {"subject": "a.b"}),
            "kafka": ({"servers": [f"127.0.0.1:{port}"]}, {"topic": "a.b"}),
            "rabbitmq": ({"url": {"literal": f"amqp://127.0.0.1:{port}"}}, {"routing_key": "a.b"}),
            "redis": ({"url": {"literal": f"redis://127.0.0.1:{port}/0"}}, {"stream": "a"}),
            "http": ({"url": {"literal": f"https://127.0.0.1:{port}/"}}, {}),
        }
        destinations = [
            Destination.model_validate({"name": engine, engine: settings})
            for engine, (settings, _) in engines.items()
        ]
        consumers = [
            Consumer(
                queue=f"to_{engine}",
                dead_letter=f"to_{engine}_dlq",
                relay=Relay.model_validate({"to": engine, "timeout": 2.0, **address}),
            )
            for engine, (_, address) in engines.items()
        ]
        began = time.monotonic()
        looks = check_destinations(consumers, destinations)
        assert time.monotonic() - began < LIMIT + 10
        assert [(look.queue, look.engine) for look in looks] == [(f"to_{name}", name) for name in engines]
        assert {look.finding.severity for look in looks} == {"error"}
        assert all(look.finding.text and look.finding.fix for look in looks)


def test_a_secret_missing_on_this_machine_is_a_warning(look: Any) -> None:
    ((severity, text, fix),) = look(
        "nats: {servers: ['nats://127.0.0.1:1'], token: {env: A_TOKEN_THAT_IS_NOT_SET}}", "subject: a.b"
    )
    assert severity == "warning"
    assert "not looked at: the environment variable A_TOKEN_THAT_IS_NOT_SET is not set" in text
    assert "A_TOKEN_THAT_IS_NOT_SET" in fix


def test_the_doctor_finds_the_same_and_the_reports_of_workers(
    conn: psycopg.Connection[Any], look: Any, nats: NatsServer, run_changelane: Any
) -> None:
    nats.add_stream("SHOP", "shop.>", duplicate_window=30)
    look(f"nats: {{servers: ['{nats.url}']}}", "subject: 'shop.{table}'")
    for command in (["inspect"], ["generate"], ["apply", "--yes"]):
        done = run_changelane(*command)
        assert done.returncode == 0, done.stderr
    conn.execute(SCHEMA_SQL.encode())
    told = [
        {
            "queue": "events", "destination": "there", "engine": "nats", "state": "paused",
            "since": "2026-11-01T00:00:00Z", "error": "no answer",
            "published": 1, "confirmed": 1, "refused": 0,
        }
    ]  # fmt: skip
    conn.execute("SELECT changelane.tell_relays('host:1', %s)", [json.dumps(told)])
    stopped = [{**told[0], "state": "stopped", "error": "no stream"}]
    conn.execute("SELECT changelane.tell_relays('host:2', %s)", [json.dumps(stopped)])
    done = run_changelane("doctor", "--format", "json")
    assert done.returncode == 2
    findings = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert "knows ids for 30 s" in findings["destination-risky"]["what"]
    assert findings["destination-risky"]["fix"] == "nats stream edit SHOP --dupe-window 180s"
    assert "no answer" in findings["relay-paused"]["what"]
    assert "no stream" in findings["relay-stopped"]["what"]
    nats.kill()
    done = run_changelane("doctor", "--format", "json")
    findings = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert "cannot be reached" in findings["destination-unready"]["what"]
