"""Messages relayed to NATS JetStream, by real worker processes to a real server."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
from nats.aio.msg import Msg
from psycopg.types.json import Jsonb
from support.nats_server import NatsServer, run_nats
from support.relays import declare_relay, send_changes
from support.workers import Bench

from changelane.contract.manifest import Retry

PATIENCE = 90.0

Connection = psycopg.Connection[Any]


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with run_nats(tmp_path / "nats") as server:
        yield server


def declare(
    bench: Bench, nats: NatsServer, *, subject: str = "shop.{schema}.{table}.{op}", **options: Any
) -> None:
    relay = {"subject": subject, "deduplicate": True, **options.pop("relay", {})}
    there = {"nats": {"servers": [nats.url], **options.pop("login", {})}}
    declare_relay(bench, there, relay, **options)


def find_number(message: Msg) -> int:
    return int((message.headers or {})["id"].removeprefix("id-"))


def test_each_change_is_stored_once_as_it_was_sent(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    nats.add_stream("SHOP", "shop.>")
    ids = send_changes(bench, 250, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    sent = [text for (text,) in bench.rows("SELECT message::text FROM pgmq.q_jobs ORDER BY msg_id")]
    bench.drain(timeout=PATIENCE)
    messages = nats.read("SHOP")
    assert sorted(message.data.decode() for message in messages) == sorted(sent)
    assert {message.subject for message in messages} == {"shop.public.things.update"}
    headers = [message.headers or {} for message in messages]
    assert sorted(header["Nats-Msg-Id"] for header in headers) == sorted(ids)
    assert all(header["id"] == header["Nats-Msg-Id"] for header in headers)
    assert {header["traceparent"] for header in headers} == {
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    }
    assert bench.queued == 0


def test_a_message_that_is_sent_twice_is_stored_once(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    nats.add_stream("SHOP", "shop.>")
    send_changes(bench, 20)
    bench.drain(timeout=PATIENCE)
    send_changes(bench, 20)
    bench.drain(timeout=PATIENCE)
    assert nats.count("SHOP") == 20
    assert bench.queued == 0


def test_an_outage_spends_no_attempt_and_ends_by_itself(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats, relay={"timeout": 2.0})
    nats.add_stream("SHOP", "shop.>")
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        nats.kill()
        send_changes(bench, 300, first=10)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        # No message stays claimed, because another worker may reach the engine.
        bench.wait(lambda: bench.rows("SELECT FROM pgmq.q_jobs WHERE vt > now()") == [], seconds=PATIENCE)
        nats.start()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert nats.count("SHOP") == 310
    assert not bench.dead
    assert bench.log.count("destination is unavailable") == 1, "it is said once"
    assert "destination stores again" in bench.log


def test_a_server_that_hangs_is_an_outage(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats, relay={"timeout": 1.0})
    nats.add_stream("SHOP", "shop.>")
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        nats.freeze()
        send_changes(bench, 50, first=10)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        nats.thaw()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert nats.count("SHOP") == 60
    assert not bench.dead


def test_a_stream_that_is_full_is_an_outage(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    nats.add_stream("SHOP", "shop.>", max_msgs=30, discard="new")
    with bench.worker():
        send_changes(bench, 50)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        assert "maximum messages exceeded" in bench.log
        bench.wait(lambda: nats.count("SHOP") == 30, seconds=PATIENCE)
        assert not bench.dead
        nats.ask(lambda client: client.jetstream(timeout=30).purge_stream("SHOP"))
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert nats.count("SHOP") == 20


def test_only_the_faulty_message_goes_to_the_dead_letters(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats, subject="shop.{new.name}")
    nats.add_stream("SHOP", "shop.>", max_msg_size=2000)
    send_changes(bench, 3)
    bench.send(json.dumps(1))
    bench.conn.execute(
        "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,fill}', to_jsonb(repeat('x', 5000))) "
        "WHERE message->>'id' = 'id-1'"
    )
    bench.drain(timeout=PATIENCE)
    texts = sorted(dead["dead_letter"]["error"] for dead in bench.dead)
    assert texts == [
        "message size exceeds maximum allowed",
        "no address: the message has no {new.name}",
    ]
    assert {message.subject for message in nats.read("SHOP")} == {"shop.a%2Eb%20c"}
    assert nats.count("SHOP") == 2


def test_a_message_larger_than_the_server_takes_breaks_no_connection(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    nats.add_stream("SHOP", "shop.>")
    send_changes(bench, 3)
    # Under max_payload without its headers, over it with them.
    bench.conn.execute(
        "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,fill}', to_jsonb(repeat('x', 1048316))) "
        "WHERE message->>'id' = 'id-1'"
    )
    assert 1048476 < bench.rows("SELECT max(length(message::text)) FROM pgmq.q_jobs")[0][0] <= 1048576
    bench.drain(timeout=PATIENCE)
    assert [dead["dead_letter"]["error"].partition("; ")[2] for dead in bench.dead] == [
        "the server's max_payload is 1048576"
    ]
    assert nats.count("SHOP") == 2


def test_a_missing_stream_stops_the_consumer_and_leaves_its_messages(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    send_changes(bench, 3)
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "no stream of JetStream takes the subject shop.*.*.*" in bench.log
    assert "nats stream add SHOP --subjects 'shop.>'" in bench.log
    assert bench.rows("SELECT read_ct FROM pgmq.q_jobs") == [(0,)] * 3


def test_a_stream_that_is_deleted_later_stops_the_consumer(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    nats.add_stream("SHOP", "shop.>")
    with bench.worker() as process:
        send_changes(bench, 5)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        nats.delete_stream("SHOP")
        send_changes(bench, 5, first=5)
        assert process.wait(PATIENCE) == 1
    assert "no stream of JetStream takes the subject shop.public.things.update" in bench.log
    assert bench.queued == 5
    assert not bench.dead


def test_a_refused_login_stops_the_consumer_and_tells_no_secret(bench: Bench, tmp_path: Path) -> None:
    with run_nats(tmp_path / "nats", "--user", "relay", "--pass", "right") as nats:
        (tmp_path / "password").write_text("wrong-and-secret\n")
        secret = {"file": str(tmp_path / "password")}
        declare(bench, nats, login={"username": "relay", "password": secret})
        send_changes(bench, 3)
        with bench.worker() as process:
            assert process.wait(PATIENCE) == 1
    assert "refuses the login" in bench.log
    assert "wrong-and-secret" not in bench.log
    assert bench.queued == 3


def test_a_password_from_a_file_opens_the_door(bench: Bench, tmp_path: Path) -> None:
    connect = {"user": "relay", "password": "right"}
    with run_nats(tmp_path / "nats", "--user", "relay", "--pass", "right", connect=connect) as nats:
        nats.add_stream("SHOP", "shop.>")
        (tmp_path / "password").write_text("right\n")
        secret = {"file": str(tmp_path / "password")}
        declare(bench, nats, login={"username": "relay", "password": secret})
        send_changes(bench, 3)
        bench.drain(timeout=PATIENCE)
        assert nats.count("SHOP") == 3


def test_a_secret_that_is_not_there_is_said_by_its_place(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats, login={"token": {"env": "NO_SUCH_VARIABLE"}})
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    assert "the environment variable NO_SUCH_VARIABLE is not set" in bench.log


def test_no_value_of_a_row_makes_another_subject(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats, subject="shop.{new.name}.x")
    nats.add_stream("ALL", "shop.>", "other.>")
    values: list[object] = [
        "a b",
        "*",
        ">",
        "a.b",
        "$JS.API",
        "x\r\nPUB other.y 1\r\nz",
        "é",
        "%2E",
        " ",
        "",
        None,
        {"a": 1},
    ]
    send_changes(bench, len(values))
    for number, value in enumerate(values):
        bench.conn.execute(
            "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,name}', %s) WHERE message->>'id' = %s",
            [Jsonb(value), f"id-{number}"],
        )
    bench.drain(timeout=PATIENCE)
    messages = nats.read("ALL")
    subjects = {
        int((message.headers or {})["id"].removeprefix("id-")): message.subject for message in messages
    }
    assert sorted(subjects) == list(range(9))
    assert len(messages) == 9
    for number, subject in subjects.items():
        first, middle, last = subject.split(".")
        assert (first, last) == ("shop", "x")
        assert unquote(middle) == values[number]
    texts = sorted(dead["dead_letter"]["error"] for dead in bench.dead)
    assert texts == [
        "no address: {new.name} is '' in this message, which makes no part of a name",
        "no address: {new.name} is no short value in this message: an object, a list or a huge number",
        "no address: {new.name} is null in this message",
    ]


def test_the_order_of_a_key_holds_through_retries(bench: Bench, nats: NatsServer) -> None:
    bench.order_by_key()
    retry = Retry(attempts=1000, first=0.1, max=0.3)
    declare(bench, nats, subject="{new.kind}.things", ordering="key", retry=retry)
    nats.add_stream("SHOP", "shop.>")
    send_changes(bench, 140, keyed=True)
    # Each fifth has no stream that takes it, for a while.
    bench.conn.execute(
        "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,kind}', "
        "CASE WHEN (message->'new'->>'value')::int % 5 = 3 THEN '\"late\"'::jsonb ELSE '\"shop\"' END)"
    )
    with bench.worker("--processes", "2"):
        # Every key waits at its first message that is not taken.
        bench.wait(lambda: nats.count("SHOP") == sum(first // 7 for first in LATE), seconds=PATIENCE)
        nats.ask(lambda client: client.jetstream(timeout=30).update_stream(
            name="SHOP", subjects=["shop.>", "late.>"]
        ))  # fmt: skip
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    seen = defaultdict(list)
    for message in nats.read("SHOP"):
        number = find_number(message)
        seen[number % 7].append(number)
    assert seen == {key: list(range(key, 140, 7)) for key in range(7)}
    assert not bench.dead


LATE = [next(number for number in range(key, 140, 7) if number % 5 == 3) for key in range(7)]
"""The first message of each key that has to wait."""
