"""Kafka: an idempotent producer that waits for all replicas, and a delivery report for each record.

A producer retries by itself until its own timeout, and forgets nothing before. So one that did not finish a
batch in time is purged and replaced: none of its records is sent after the messages were given back.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from changelane.contract.destination import Kafka, Relay
from changelane.contract.template import parse_template
from changelane.errors import DestinationError
from changelane.runner.relay.engine import CONFIRMED, Finding, Misconfigured, Outcome, Outgoing, Unavailable
from changelane.runner.relay.kafka_settings import find_losses
from changelane.runner.relay.tls import find_refusal, make_tls_context

POLL = 0.1
"""Seconds that one wait for delivery reports takes, at most."""

GRACE = 1.0
"""Seconds that the reports of purged records get."""

METADATA = 10_000
"""Milliseconds after which a topic that the brokers do not know is reported as unknown."""

LATEST = 3_600_000
"""Milliseconds after which the producer itself gives a record up: ``publish`` does so much earlier."""

_REFUSED = {
    KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.POLICY_VIOLATION,
    KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.TOPIC_EXCEPTION, KafkaError.INVALID_MSG,
    KafkaError.INVALID_MSG_SIZE,
}  # fmt: skip
_MISCONFIGURED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION,
    KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._AUTHENTICATION,
    KafkaError.UNSUPPORTED_SASL_MECHANISM, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.INVALID_REQUIRED_ACKS, KafkaError._INVALID_ARG,
}  # fmt: skip
_FAILED = {KafkaError.UNKNOWN}
"""All others are outages: brokers that are away, elect a leader, throttle, or lack replicas or space."""

_LOGIN = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}


class _Reports:
    """The outcomes of one call of ``publish``. Reports come in whichever thread polls."""

    def __init__(self, size: int) -> None:
        self.outcomes: list[Outcome | None] = [None] * size
        self._done: list[int] = []

    @property
    def complete(self) -> bool:
        return len(self._done) >= len(self.outcomes)

    def put(self, index: int, outcome: Outcome) -> None:
        if self.outcomes[index] is None:
            self.outcomes[index] = outcome
            self._done.append(index)

    def hear(self, index: int, error: KafkaError | None, _message: object) -> None:
        self.put(index, CONFIRMED if error is None else _judge(error))


class KafkaEngine:
    """A destination of kind ``kafka``."""

    def __init__(self, destination: Kafka, *, name: str) -> None:
        self._destination = destination
        self._name = name
        self._lock = threading.Lock()
        self._producer: Producer | None = None
        self._refusal = ""

    def connect(self, *, timeout: float) -> None:
        self._list_topics(timeout)

    def check(self, relay: Relay, *, lease: float, timeout: float) -> list[Finding]:
        topics = self._list_topics(timeout)
        parts = parse_template(relay.address, engine="kafka").parts
        pattern = re.compile("".join(re.escape(part) if isinstance(part, str) else ".+" for part in parts))
        if taken := {name: topics[name] for name in sorted(topics) if pattern.fullmatch(name)}:
            settings = self._read_settings()
            return list(find_losses(settings, taken, format=relay.format, timeout=timeout))
        named = "".join(part if isinstance(part, str) else str(part) for part in parts)
        # A broker may create topics as they are written to, and does not say so.
        return [
            Finding(
                "warning",
                f"no topic {named} is there",
                f"unless the brokers create topics: kafka-topics.sh --create --topic {named} --partitions 12",
            )
        ]

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        reports = _Reports(len(batch))
        until = time.monotonic() + relay.timeout
        try:
            producer = self._open()
        except Misconfigured as error:
            return [Outcome("misconfigured", str(error))] * len(batch)
        for index, message in enumerate(batch):
            self._produce(producer, message, partial(reports.hear, index), reports, index, until)
            if message.tombstone:
                self._produce(producer, message, _ignore, reports, index, until, empty=True)
        while not reports.complete and time.monotonic() < until and not self._refusal:
            producer.poll(POLL)
        if self._refusal:
            self._replace(producer)
            rest = Outcome("misconfigured", self._refusal)
        else:
            rest = Outcome("unavailable", f"no delivery report within {relay.timeout:g} s")
            if not reports.complete or any(_is_fatal(outcome) for outcome in reports.outcomes):
                self._replace(producer)
        return [outcome or rest for outcome in reports.outcomes]

    def close(self) -> None:
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            _purge(producer)

    def _produce(
        self,
        producer: Producer,
        message: Outgoing,
        report: Callable[[KafkaError | None, object], None],
        reports: _Reports,
        index: int,
        until: float,
        *,
        empty: bool = False,
    ) -> None:
        headers: Any = message.headers
        while True:
            try:
                producer.produce(
                    message.address,
                    value=None if empty else message.body,
                    key=message.key,
                    headers=headers,
                    on_delivery=report,
                )
                return
            except BufferError:
                # Its queue is full of what other batches sent; reports make room.
                if time.monotonic() > until or self._refusal:
                    reports.put(index, Outcome("unavailable", "the producer's queue is full"))
                    return
                producer.poll(POLL)
            except KafkaException as error:
                reports.put(index, _judge(error.args[0]))
                return

    def _open(self) -> Producer:
        with self._lock:
            if self._producer is None:
                self._refusal = ""
                try:
                    self._producer = Producer(self._read_settings())
                except DestinationError as error:
                    raise Misconfigured(error.what, fix=error.fix) from None
                except KafkaException as error:
                    raise Misconfigured(f"the options are refused: {_say(error.args[0])}") from None
            return self._producer

    def _read_settings(self) -> dict[str, Any]:
        named = self._destination
        settings: dict[str, Any] = {
            "client.id": "changelane",
            **named.options,
            "bootstrap.servers": ",".join(named.servers),
            "security.protocol": named.security,
            "enable.idempotence": True,
            "acks": "all",
            # Java's own, so that a key lands where every Java producer puts it.
            "partitioner": "murmur2_random",
            # Records of a batch go in few requests. Each one wakes threads, here and at the broker.
            "linger.ms": 1,
            "message.timeout.ms": LATEST,
            "topic.metadata.propagation.max.ms": METADATA,
            "log_level": 0,
            "error_cb": self._hear_error,
        }
        if named.mechanism is not None:
            settings["sasl.mechanism"] = named.mechanism
        if named.username is not None:
            settings["sasl.username"] = named.username
        if named.password is not None:
            settings["sasl.password"] = named.password.read()
        if named.tls is not None:
            make_tls_context(named.tls)
            files = {
                "ssl.ca.location": named.tls.ca,
                "ssl.certificate.location": named.tls.cert,
                "ssl.key.location": named.tls.key,
            }
            settings |= {key: path for key, path in files.items() if path is not None}
        return settings

    def _hear_error(self, error: KafkaError) -> None:
        """A refused login is told here alone; records would wait for ever."""
        text = _say(error)
        if error.code() in _LOGIN:
            self._refusal = f"the brokers refuse the login: {text}"
        elif refusal := find_refusal(text):
            self._refusal = refusal

    def _list_topics(self, timeout: float) -> dict[str, int]:
        """The topics, each with the fewest replicas that one of its partitions has."""
        producer = self._open()
        until = time.monotonic() + timeout
        while True:
            # The call waits for its whole timeout; a refused login is heard between short ones.
            try:
                left = max(0.1, min(2.0, until - time.monotonic()))
                found = producer.list_topics(timeout=left).topics
                return {
                    name: min((len(part.replicas) for part in topic.partitions.values()), default=0)
                    for name, topic in found.items()
                }
            except KafkaException as error:
                producer.poll(0)
                if self._refusal:
                    refusal = self._refusal
                    self._replace(producer)
                    raise Misconfigured(refusal) from None
                if time.monotonic() < until:
                    continue
                servers = ", ".join(self._destination.servers)
                raise Unavailable(f"{servers} cannot be reached: {_say(error.args[0])}") from None

    def _replace(self, producer: Producer) -> None:
        with self._lock:
            if self._producer is producer:
                self._producer = None
        _purge(producer)


def _purge(producer: Producer) -> None:
    """Throw away all that the producer still holds, and hear of it."""
    producer.purge(in_queue=True, in_flight=True, blocking=True)
    producer.flush(GRACE)


def _judge(error: KafkaError) -> Outcome:
    code, text = error.code(), _say(error)
    if error.fatal():
        return Outcome("unavailable", f"{_FATAL}{text}")
    if code in _REFUSED:
        return Outcome("refused", text)
    if code in _MISCONFIGURED:
        return Outcome("misconfigured", text)
    return Outcome("failed" if code in _FAILED else "unavailable", text)


_FATAL = "the producer must be replaced: "


def _is_fatal(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.text.startswith(_FATAL)


def _ignore(error: KafkaError | None, _message: object) -> None:
    """A tombstone that is lost costs the log some space, and no reader a change."""


def _say(error: KafkaError) -> str:
    return error.str().partition("\n")[0]
