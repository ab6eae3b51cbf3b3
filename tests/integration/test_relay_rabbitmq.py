"""Messages relayed to exchanges of a real RabbitMQ broker."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from support.rabbitmq_server import RabbitMqServer, run_rabbitmq
from support.relays import declare_relay, send_changes
from support.workers import Bench

PATIENCE = 120.0
LIMIT = 150_000

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMqServer]:
    settings = [f"max_message_size = {LIMIT}"]
    with run_rabbitmq(tmp_path_factory.mktemp("rabbitmq") / "broker", *settings) as server:
        yield server


@pytest.fixture
def exchange() -> str:
    return f"shop {secrets.token_hex(4)}"


def declare(bench: Bench, broker: RabbitMqServer, *, exchange: str | None, **options: Any) -> None:
    relay = {"exchange": exchange, "routing_key": "{schema}.{table}.{op}", **options.pop("relay", {})}
    there = {"rabbitmq": {"url": {"literal": broker.url}, **options.pop("login", {})}}
    declare_relay(bench, there, relay, **options)


def find_ids(messages: list[tuple[Any, Any, bytes]]) -> list[int]:
    return [int(properties.headers["id"].removeprefix("id-")) for _, properties, _ in messages]


def test_each_change_arrives_persistent_with_its_id(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange, pattern="public.#")
    declare(bench, rabbitmq, exchange=exchange)
    send_changes(bench, 250, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    sent = [text for (text,) in bench.rows("SELECT message::text FROM pgmq.q_jobs")]
    bench.drain(timeout=PATIENCE)
    messages = rabbitmq.read(queue)
    assert sorted(body.decode() for _, _, body in messages) == sorted(sent)
    assert sorted(find_ids(messages)) == list(range(250))
    assert {delivery.routing_key for delivery, _, _ in messages} == {"public.things.update"}
    for _, properties, _ in messages:
        assert properties.message_id == properties.headers["id"]
        assert properties.delivery_mode == 2
        assert properties.headers["traceparent"][:5] == "00-0a"
    assert not bench.queued


def test_cloudevents_name_their_type_as_a_property(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange)
    declare(bench, rabbitmq, exchange=exchange, relay={"format": "cloudevents"})
    send_changes(bench, 1)
    bench.drain(timeout=PATIENCE)
    ((_, properties, _),) = rabbitmq.read(queue)
    assert properties.content_type == "application/json"
    assert properties.headers["ce-id"] == "id-0"
    assert properties.headers["ce-specversion"] == "1.0"


def test_the_default_exchange_sends_to_the_queue_of_the_routing_key(
    bench: Bench, rabbitmq: RabbitMqServer
) -> None:
    queue = rabbitmq.add_queue()
    declare(bench, rabbitmq, exchange=None, relay={"routing_key": queue})
    send_changes(bench, 5)
    bench.drain(timeout=PATIENCE)
    assert len(rabbitmq.read(queue)) == 5


def test_the_order_of_a_key_is_that_of_the_changes(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange)
    bench.order_by_key()
    declare(bench, rabbitmq, exchange=exchange, ordering="key")
    send_changes(bench, 140, keyed=True)
    bench.drain("--processes", "2", timeout=PATIENCE)
    seen = defaultdict(list)
    for number in find_ids(rabbitmq.read(queue)):
        seen[number % 7].append(number)
    assert seen == {key: list(range(key, 140, 7)) for key in range(7)}


def test_values_of_a_row_add_no_words_to_the_routing_key(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange, pattern="shop.*")
    declare(bench, rabbitmq, exchange=exchange, relay={"routing_key": "shop.{new.name}"})
    send_changes(bench, 3)
    for number, name in enumerate(["#.*", "é" * 130]):
        bench.conn.execute(
            "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,name}', to_jsonb(%s::text)) "
            "WHERE message->>'id' = %s",
            [name, f"id-{number}"],
        )
    bench.drain(timeout=PATIENCE)
    keys = {delivery.routing_key for delivery, _, _ in rabbitmq.read(queue)}
    assert keys == {"shop.a%2Eb%20c", "shop.%23%2E%2A"}
    (dead,) = bench.dead
    assert "the name has 265 bytes, and rabbitmq takes at most 255" in dead["dead_letter"]["error"]


def test_a_key_that_no_queue_takes_is_the_fault_of_the_message_whose_row_made_it(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange, pattern="1")
    declare(bench, rabbitmq, exchange=exchange, relay={"routing_key": "{new.value}"})
    send_changes(bench, 3)
    bench.drain(timeout=PATIENCE)
    assert find_ids(rabbitmq.read(queue)) == [1]
    assert sorted(dead["dead_letter"]["error"] for dead in bench.dead) == [
        f"NO_ROUTE: no queue takes routing key {number} at exchange {exchange}" for number in (0, 2)
    ]


def test_a_key_that_no_queue_takes_stops_the_consumer_where_it_is_for_all(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    rabbitmq.add_queue(exchange=exchange, pattern="elsewhere.#")
    declare(bench, rabbitmq, exchange=exchange)
    send_changes(bench, 3)
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert f"no queue takes routing key public.things.update at exchange {exchange}" in bench.log
    assert bench.queued == 3
    assert not bench.dead


def test_an_exchange_or_a_queue_that_is_missing_stops_the_consumer_at_the_start(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    declare(bench, rabbitmq, exchange=exchange)
    send_changes(bench, 3)
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert f"no exchange '{exchange}' in vhost '/'" in bench.log
    command = f"rabbitmqadmin declare exchange 'name={exchange}' type=topic durable=true"
    assert command in bench.log
    declare(bench, rabbitmq, exchange=None, relay={"routing_key": "no-such-queue"})
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "rabbitmqadmin declare queue name=no-such-queue durable=true" in bench.log
    assert bench.rows("SELECT read_ct FROM pgmq.q_jobs") == [(0,)] * 3


def test_an_exchange_that_is_deleted_later_stops_the_consumer(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    rabbitmq.add_queue(exchange=exchange)
    declare(bench, rabbitmq, exchange=exchange)
    with bench.worker() as process:
        send_changes(bench, 5)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        with rabbitmq.open() as channel:
            channel.exchange_delete(exchange)
        send_changes(bench, 5, first=5)
        assert process.wait(PATIENCE) == 1
    assert f"no exchange '{exchange}' in vhost '/'" in bench.log
    assert bench.queued == 5
    assert not bench.dead


def test_messages_that_are_too_large_go_to_the_dead_letters_and_no_other(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange)
    declare(bench, rabbitmq, exchange=exchange)
    send_changes(bench, 60)
    bench.conn.execute(
        "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,fill}', to_jsonb(repeat('x', %s))) "
        "WHERE message->>'id' IN ('id-7', 'id-8', 'id-40')",
        [LIMIT],
    )
    bench.drain(timeout=PATIENCE)
    errors = [dead["dead_letter"]["error"] for dead in bench.dead]
    assert len(errors) == 3, errors
    assert all(f"max_message_size is {LIMIT}" in error for error in errors)
    assert set(find_ids(rabbitmq.read(queue))) == set(range(60)) - {7, 8, 40}


def test_headers_larger_than_a_frame_break_no_connection(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange)
    declare(bench, rabbitmq, exchange=exchange, relay={"format": "cloudevents"})
    send_changes(bench, 10)
    bench.conn.execute(
        "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{key,id}', to_jsonb(repeat('x', 140000))) "
        "WHERE message->>'id' = 'id-5'"
    )
    bench.drain(timeout=PATIENCE)
    (dead,) = bench.dead
    assert "a frame takes 130048" in dead["dead_letter"]["error"]
    assert set(find_ids(rabbitmq.read(queue))) == set(range(10)) - {5}


def test_a_full_queue_that_rejects_is_an_outage(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    limits: dict[str, Any] = {"x-max-length": 30, "x-overflow": "reject-publish"}
    queue = rabbitmq.add_queue(exchange=exchange, **limits)
    declare(bench, rabbitmq, exchange=exchange, batch=10)
    with bench.worker():
        send_changes(bench, 50)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        assert "the broker rejects messages, as a full queue does" in bench.log
        stored = set(find_ids(rabbitmq.read(queue)))
        assert len(stored) >= 30

        def rest_arrives() -> bool:
            stored.update(find_ids(rabbitmq.read(queue)))
            return not bench.queued

        bench.wait(rest_arrives, seconds=PATIENCE)
    stored.update(find_ids(rabbitmq.read(queue)))
    assert stored == set(range(50))
    assert not bench.dead


def test_a_broker_that_dies_or_hangs_is_an_outage(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange)
    declare(bench, rabbitmq, exchange=exchange, relay={"timeout": 2.0})
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        # Confirms are due as it falls silent.
        rabbitmq.freeze()
        send_changes(bench, 50, first=10)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        rabbitmq.thaw()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        assert bench.log.count("destination is unavailable") == 1
        rabbitmq.kill()
        send_changes(bench, 240, first=60)
        bench.wait(lambda: bench.log.count("destination is unavailable") == 2, seconds=PATIENCE)
        bench.wait(lambda: bench.rows("SELECT FROM pgmq.q_jobs WHERE vt > now()") == [], seconds=PATIENCE)
        rabbitmq.start()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert set(find_ids(rabbitmq.read(queue))) == set(range(300))
    assert not bench.dead
    assert bench.log.count("destination is unavailable") == 2, "each outage is said once"


def test_a_connection_that_is_lost_while_confirms_are_due_loses_nothing(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange)
    declare(bench, rabbitmq, exchange=exchange, batch=50)
    with bench.worker():
        for turn in range(3):
            send_changes(bench, 1000, first=turn * 1000)
            bench.wait(lambda turn=turn: rabbitmq.count(queue) > turn * 1000, seconds=PATIENCE)
            rabbitmq.control("close_all_connections", "cut by the test")
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert set(find_ids(rabbitmq.read(queue))) == set(range(3000))
    assert not bench.dead


def test_an_alarm_is_an_outage_that_stores_no_message_again_and_again(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    queue = rabbitmq.add_queue(exchange=exchange)
    declare(bench, rabbitmq, exchange=exchange, relay={"timeout": 1.0})
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        rabbitmq.control("set_vm_memory_high_watermark", "absolute", "1")
        try:
            send_changes(bench, 20, first=10)
            bench.wait(lambda: "the broker blocks publishers: low on memory" in bench.log, seconds=PATIENCE)
            bench.wait(lambda: bench.rows("SELECT FROM pgmq.q_jobs WHERE vt > now()") == [], seconds=PATIENCE)
            # Several tries to reach it.
            bench.conn.execute("SELECT pg_sleep(4)")
        finally:
            rabbitmq.control("set_vm_memory_high_watermark", "0.4")
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    ids = find_ids(rabbitmq.read(queue))
    assert set(ids) == set(range(30))
    # What the broker had got before it stopped to read, and what was sent after the alarm.
    assert max(ids.count(number) for number in ids) <= 2
    assert not bench.dead
    assert bench.log.count("destination is unavailable") == 1


@pytest.mark.parametrize("user", ["relay", "nobody"])
def test_a_refused_login_stops_the_consumer_and_tells_no_secret(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str, user: str
) -> None:
    (bench.folder / "password").write_text("wrong-and-secret\n")
    login = {"username": user, "password": {"file": str(bench.folder / "password")}}
    declare(bench, rabbitmq, exchange=exchange, login=login)
    send_changes(bench, 3)
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "the broker refuses the login: ACCESS_REFUSED" in bench.log
    assert "wrong-and-secret" not in bench.log
    assert bench.rows("SELECT read_ct FROM pgmq.q_jobs") == [(0,)] * 3


def test_a_virtual_host_that_is_missing_stops_the_consumer(
    bench: Bench, rabbitmq: RabbitMqServer, exchange: str
) -> None:
    declare(bench, rabbitmq, exchange=exchange, login={"url": {"literal": f"{rabbitmq.url}/nope"}})
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "NOT_ALLOWED - vhost nope not found" in bench.log


def test_a_user_needs_no_right_but_to_write(bench: Bench, rabbitmq: RabbitMqServer, exchange: str) -> None:
    queue = rabbitmq.add_queue(exchange=exchange)
    (bench.folder / "password").write_text("right\n")
    secret = {"file": str(bench.folder / "password")}
    declare(bench, rabbitmq, exchange=exchange, login={"username": "relay", "password": secret})
    send_changes(bench, 3)
    bench.drain(timeout=PATIENCE)
    assert len(rabbitmq.read(queue)) == 3
    declare(bench, rabbitmq, exchange=exchange, login={"username": "stranger", "password": secret})
    send_changes(bench, 3)
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "ACCESS_REFUSED" in bench.log
    assert bench.queued == 3
    assert not bench.dead
