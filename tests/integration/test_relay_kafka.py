"""Messages relayed to Kafka's protocol: to Tansu, and to librdkafka's mock cluster for a broker's faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from confluent_kafka import KafkaError
from support.kafka_broker import MockCluster, create_topic, read_topic, run_mock_cluster, run_tansu
from support.relays import declare_relay, send_changes
from support.workers import Bench

PATIENCE = 120.0

Connection = psycopg.Connection[Any]


@pytest.fixture
def mock() -> Iterator[MockCluster]:
    with run_mock_cluster() as cluster:
        cluster.create_topic("shop.things", partitions=4)
        yield cluster


def declare(bench: Bench, servers: str, *, topic: str = "shop.{table}", **options: Any) -> None:
    relay = {"topic": topic, **options.pop("relay", {})}
    there = {"kafka": {"servers": servers.split(","), **options.pop("login", {})}}
    declare_relay(bench, there, relay, **options)


def place(key: bytes, partitions: int) -> int:
    """The partition where Java's producers put a key (Kafka's Utils.murmur2, BuiltInPartitioner)."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    value = (0x9747B28C ^ len(key)) & mask
    for start in range(0, len(key) - 3, 4):
        k = int.from_bytes(key[start : start + 4], "little") * m & mask
        value = (value * m & mask) ^ ((k ^ (k >> 24)) * m & mask)
    rest = key[len(key) // 4 * 4 :]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * m & mask
    value = (value ^ (value >> 13)) * m & mask
    return ((value ^ (value >> 15)) & 0x7FFFFFFF) % partitions


def test_each_change_is_a_record_where_java_would_put_it(bench: Bench) -> None:
    with run_tansu() as servers:
        create_topic(servers, "shop.things", partitions=6)
        declare(bench, servers, login={"options": {"compression.type": "zstd"}})
        ids = send_changes(bench, 120, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        sent = [text for (text,) in bench.rows("SELECT message::text FROM pgmq.q_jobs")]
        bench.drain(timeout=PATIENCE)
        records = read_topic(servers, "shop.things", 120)
    assert sorted(record.value.decode() for record in records) == sorted(sent)
    headers = [record.headers for record in records]
    assert sorted(header["id"].decode() for header in headers) == sorted(ids)
    assert {header["traceparent"][:5] for header in headers} == {b"00-0a"}
    assert {record.key for record in records} == {b'{"id":%d}' % number for number in range(7)}
    assert all(record.partition == place(record.key, 6) for record in records)


def test_the_order_of_a_key_is_that_of_the_changes(bench: Bench, mock: MockCluster) -> None:
    bench.order_by_key()
    declare(bench, mock.servers, ordering="key")
    send_changes(bench, 200, keyed=True)
    bench.drain("--processes", "2", timeout=PATIENCE)
    seen = defaultdict(list)
    for record in read_topic(mock.servers, "shop.things", 200):
        seen[record.key].append(int(record.headers["id"].removeprefix(b"id-")))
    assert len(seen) == 7
    assert all(numbers == sorted(numbers) for numbers in seen.values())


def test_a_broker_that_is_down_is_an_outage(bench: Bench, mock: MockCluster) -> None:
    declare(bench, mock.servers, relay={"timeout": 3.0})
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        mock.take_down()
        send_changes(bench, 90, first=10)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        bench.wait(lambda: not bench.rows("SELECT FROM pgmq.q_jobs WHERE vt > now()"), seconds=PATIENCE)
        mock.bring_up()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    ids = {record.headers["id"] for record in read_topic(mock.servers, "shop.things", 100)}
    assert len(ids) == 100
    assert not bench.dead


def test_a_record_that_was_given_back_is_not_sent_later(bench: Bench, mock: MockCluster) -> None:
    declare(bench, mock.servers, relay={"timeout": 1.0})
    with bench.worker():
        send_changes(bench, 5)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        mock.take_down()
        send_changes(bench, 5, first=5)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        # Another worker, or a person, takes them meanwhile.
        bench.wait(lambda: not bench.rows("SELECT FROM pgmq.q_jobs WHERE vt > now()"), seconds=PATIENCE)
        bench.conn.execute("DELETE FROM pgmq.q_jobs")
        mock.bring_up()
        send_changes(bench, 1, first=10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert len(read_topic(mock.servers, "shop.things", 6)) == 6


def test_brokers_that_pass_over_a_record_for_a_while_are_waited_for(bench: Bench, mock: MockCluster) -> None:
    # With several requests in flight the mock takes a later one after it refused the first, and calls the
    # repeated first one a duplicate. A broker would refuse the later one for its gap.
    declare(bench, mock.servers, login={"options": {"max.in.flight": 1}})
    mock.refuse(KafkaError.NOT_ENOUGH_REPLICAS, times=3)
    send_changes(bench, 20)
    bench.drain(timeout=PATIENCE)
    assert len({record.headers["id"] for record in read_topic(mock.servers, "shop.things", 20)}) == 20
    assert not bench.dead


def test_a_record_that_is_too_large_is_a_dead_letter(bench: Bench, mock: MockCluster) -> None:
    declare(bench, mock.servers)
    send_changes(bench, 3)
    bench.conn.execute(
        "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,fill}', to_jsonb(repeat('x', 2000000))) "
        "WHERE message->>'id' = 'id-1'"
    )
    bench.drain(timeout=PATIENCE)
    (dead,) = bench.dead
    assert "too large" in dead["dead_letter"]["error"].lower()
    assert len(read_topic(mock.servers, "shop.things", 2)) == 2


def test_a_missing_right_stops_the_consumer_and_leaves_its_messages(bench: Bench, mock: MockCluster) -> None:
    declare(bench, mock.servers)
    mock.refuse(KafkaError.TOPIC_AUTHORIZATION_FAILED, times=20)
    send_changes(bench, 3)
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "relay stopped" in bench.log
    assert "Topic authorization failed" in bench.log
    assert bench.queued == 3
    assert not bench.dead


def test_an_option_that_librdkafka_does_not_know_stops_the_consumer(bench: Bench, mock: MockCluster) -> None:
    declare(bench, mock.servers, login={"options": {"compresion.type": "zstd"}})
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "compresion.type" in bench.log


def test_four_workers_keep_the_order_of_each_key_in_a_partitioned_topic(bench: Bench) -> None:
    bench.order_by_key()
    with run_tansu() as servers:
        create_topic(servers, "shop.things", partitions=6)
        declare(bench, servers, ordering="key", batch=20)
        send_changes(bench, 1400, keyed=True)
        bench.drain("--processes", "4", timeout=PATIENCE)
        records = read_topic(servers, "shop.things", 1400)
    seen = defaultdict(list)
    partitions = defaultdict(set)
    for record in records:
        seen[record.key].append(int(record.headers["id"].removeprefix(b"id-")))
        partitions[record.key].add(record.partition)
    assert seen == {b'{"id":%d}' % key: list(range(key, 1400, 7)) for key in range(7)}
    assert all(len(places) == 1 for places in partitions.values())
    assert len(set.union(*partitions.values())) > 1
