"""Messages relayed to NATS JetStream, by real worker processes to a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.nats_server import NatsServer, run_nats
from support.relays import declare_relay, send_changes
from support.workers import Bench

PATIENCE = 90.0

Connection = psycopg.Connection[Any]


@pytest.fixture
def bench(conn: Connection, database: str, tmp_path: Path) -> Bench:
    return Bench(conn=conn, url=database, folder=tmp_path)


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


def test_what_is_sent_twice_is_stored_once(bench: Bench, nats: NatsServer) -> None:
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
        # Nothing stays claimed: another worker could have a way to the engine.
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


def test_a_message_of_its_own_fault_goes_to_the_dead_letters_and_no_other(
    bench: Bench, nats: NatsServer
) -> None:
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
