"""Messages relayed to streams of a real Redis server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.redis_server import RedisServer, run_redis
from support.relays import declare_relay, send_changes
from support.workers import Bench

PATIENCE = 90.0

Connection = psycopg.Connection[Any]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with run_redis(tmp_path / "redis") as server:
        yield server


def declare(bench: Bench, redis: RedisServer, *, stream: str = "shop:{table}", **options: Any) -> None:
    relay = {"stream": stream, **options.pop("relay", {})}
    there = {"redis": {"url": {"literal": redis.url}, **options.pop("login", {})}}
    declare_relay(bench, there, relay, **options)


def find_ids(entries: list[dict[bytes, bytes]]) -> list[int]:
    return [int(entry[b"id"].removeprefix(b"id-")) for entry in entries]


def test_each_change_is_an_entry_with_its_id(bench: Bench, redis: RedisServer) -> None:
    declare(bench, redis)
    send_changes(bench, 150, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    sent = [text for (text,) in bench.rows("SELECT message::text FROM pgmq.q_jobs")]
    bench.drain(timeout=PATIENCE)
    entries = redis.read("shop:things")
    assert sorted(entry[b"data"].decode() for entry in entries) == sorted(sent)
    assert sorted(find_ids(entries)) == list(range(150))
    assert {entry[b"traceparent"][:5] for entry in entries} == {b"00-0a"}


def test_the_order_of_a_key_is_that_of_the_changes(bench: Bench, redis: RedisServer) -> None:
    bench.order_by_key()
    declare(bench, redis, ordering="key")
    send_changes(bench, 140, keyed=True)
    bench.drain("--processes", "2", timeout=PATIENCE)
    seen = defaultdict(list)
    for number in find_ids(redis.read("shop:things")):
        seen[number % 7].append(number)
    assert seen == {key: list(range(key, 140, 7)) for key in range(7)}


def test_a_server_that_dies_is_an_outage(bench: Bench, redis: RedisServer) -> None:
    declare(bench, redis)
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        redis.kill()
        send_changes(bench, 90, first=10)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        redis.start()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert sorted(find_ids(redis.read("shop:things"))) == list(range(100))
    assert not bench.dead


def test_a_server_that_hangs_gets_nothing_twice_from_the_client_itself(
    bench: Bench, redis: RedisServer
) -> None:
    declare(bench, redis, relay={"timeout": 1.0})
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        redis.freeze()
        send_changes(bench, 20, first=10)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        redis.thaw()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    ids = find_ids(redis.read("shop:things"))
    assert set(ids) == set(range(30))
    # What the server had got before it hung, and what we sent after that; no third copy.
    assert max(ids.count(number) for number in ids) <= 2


def test_a_server_without_memory_is_an_outage(bench: Bench, redis: RedisServer) -> None:
    declare(bench, redis)
    redis.client.config_set("maxmemory-policy", "noeviction")
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        redis.client.config_set("maxmemory", "1")
        send_changes(bench, 10, first=10)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        assert "maxmemory" in bench.log
        redis.client.config_set("maxmemory", "0")
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert sorted(find_ids(redis.read("shop:things"))) == list(range(20))
    assert not bench.dead


def test_a_key_that_is_no_stream_is_the_messages_own_fault(bench: Bench, redis: RedisServer) -> None:
    declare(bench, redis, stream="shop:{new.value}")
    redis.client.set("shop:1", "a text")
    send_changes(bench, 3)
    bench.drain(timeout=PATIENCE)
    (dead,) = bench.dead
    assert "WRONGTYPE" in dead["dead_letter"]["error"]
    assert redis.read("shop:0")
    assert redis.read("shop:2")


def test_a_stream_that_is_another_key_stops_the_consumer(bench: Bench, redis: RedisServer) -> None:
    declare(bench, redis, stream="shop")
    redis.client.set("shop", "a text")
    send_changes(bench, 3)
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "key shop is no stream" in bench.log
    assert bench.queued == 3


def test_a_wrong_password_stops_the_consumer_and_the_right_one_opens(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    with run_redis(tmp_path / "redis", password="right") as redis:
        secret.write_text("wrong-and-secret")
        declare(bench, redis, login={"password": {"file": str(secret)}})
        send_changes(bench, 3)
        with bench.worker() as process:
            assert process.wait(PATIENCE) == 1
        assert "relay stopped" in bench.log
        assert "wrong-and-secret" not in bench.log
        assert bench.queued == 3
        secret.write_text("right\n")
        bench.drain(timeout=PATIENCE)
        assert len(redis.read("shop:things")) == 3


def test_settings_of_redis_that_may_lose_entries_are_reported_at_the_start(
    bench: Bench, tmp_path: Path
) -> None:
    options = ["--appendonly", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]
    with run_redis(tmp_path / "redis", *options) as redis:
        declare(bench, redis)
        send_changes(bench, 1)
        bench.drain(timeout=PATIENCE)
    assert "CONFIG SET maxmemory-policy noeviction" in bench.log
    assert "CONFIG SET appendonly yes" in bench.log
