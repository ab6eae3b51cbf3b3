"""Messages relayed over HTTP, by real worker processes to a receiver that misbehaves."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from standardwebhooks import Webhook
from support.http_receiver import Answer, Receiver, Request, run_receiver
from support.relays import declare_relay, send_changes
from support.workers import Bench

PATIENCE = 90.0
SECRET = "whsec_" + "A" * 44

Connection = psycopg.Connection[Any]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver(lambda request: Answer()) as found:
        yield found


def declare(bench: Bench, receiver: Receiver, *, http: dict[str, Any] | None = None, **options: Any) -> None:
    there = {"http": {"url": {"literal": receiver.url}, **(http or {})}}
    declare_relay(bench, there, options.pop("relay", {}), **options)


def test_each_change_is_posted_signed_and_acknowledged_by_2xx(
    bench: Bench, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "auth").write_text("Bearer of good news")
    sign = {"standard_webhooks": [{"file": str(tmp_path / "secret")}]}
    headers = {"Authorization": {"file": str(tmp_path / "auth")}}
    declare(bench, receiver, http={"sign": sign, "headers": headers})
    ids = send_changes(bench, 120)
    sent = [text for (text,) in bench.rows("SELECT message::text FROM pgmq.q_jobs ORDER BY msg_id")]
    bench.drain(timeout=PATIENCE)
    assert sorted(request.body.decode() for request in receiver.requests) == sorted(sent)
    assert sorted(request.headers["webhook-id"] for request in receiver.requests) == sorted(ids)
    for request in receiver.requests:
        Webhook(SECRET).verify(request.body, request.headers)
        assert request.headers["authorization"] == "Bearer of good news"
    assert len({request.connection for request in receiver.requests}) <= 16
    assert bench.queued == 0
    assert SECRET not in bench.log
    assert "good news" not in bench.log


def test_four_batches_are_on_their_way_at_once(bench: Bench, receiver: Receiver) -> None:
    receiver.decide = lambda request: Answer(after=2.0)
    declare(bench, receiver, batch=1)
    send_changes(bench, 8)
    bench.drain(timeout=PATIENCE)
    assert receiver.most_at_once == 4
    assert bench.queued == 0


@pytest.mark.parametrize("format", ["supabase", "hasura", "debezium", "cloudevents"])
def test_each_format_arrives_as_it_is_described(bench: Bench, receiver: Receiver, format: str) -> None:
    declare(bench, receiver, relay={"format": format})
    send_changes(bench, 1)
    bench.drain(timeout=PATIENCE)
    (request,) = receiver.requests
    body = json.loads(request.body)
    row, old = {"id": 0, "value": 0, "name": "a.b c"}, {"id": 0, "value": -1, "name": "a.b c"}
    assert request.headers["content-type"] == "application/json"
    match format:
        case "supabase":
            place = {"type": "UPDATE", "table": "things", "schema": "public"}
            assert body == {**place, "record": row, "old_record": old}
        case "hasura":
            assert body["event"]["data"] == {"old": old, "new": row}
            assert body["delivery_info"] == {"current_retry": 0, "max_retries": 2}
            assert body["trigger"] == {"name": "things"}
        case "debezium":
            assert (body["before"], body["after"], body["op"]) == (old, row, "u")
        case _:
            assert body["new"] == row
            assert request.headers["ce-type"] == "changelane.update"
            assert request.headers["ce-id"] == "id-0"


def test_hasuras_receiver_sees_how_often_it_was_tried(bench: Bench, receiver: Receiver) -> None:
    receiver.decide = lambda request: Answer(500)
    declare(bench, receiver, relay={"format": "hasura"})
    send_changes(bench, 1)
    bench.drain(timeout=PATIENCE)
    tries = [json.loads(request.body)["delivery_info"]["current_retry"] for request in receiver.requests]
    assert tries == [0, 1, 2]
    assert {request.headers["id"] for request in receiver.requests} == {"id-0"}


def test_each_status_settles_its_message_accordingly(bench: Bench, receiver: Receiver) -> None:
    answers = {"id-1": 400, "id-2": 422, "id-3": 413, "id-4": 500, "id-5": 404}

    def decide(request: Request) -> Answer:
        return Answer(answers.get(request.headers["id"], 200), body=b"no such customer")

    receiver.decide = decide
    declare(bench, receiver)
    send_changes(bench, 20)
    bench.drain(timeout=PATIENCE)
    tried = Counter(request.headers["id"] for request in receiver.requests)
    assert tried == {f"id-{number}": 3 if number == 4 else 1 for number in range(20)}
    texts = Counter(dead["dead_letter"]["error"] for dead in bench.dead)
    assert texts == {f"it answers {status} (no such customer)": 1 for status in answers.values()}


def test_an_outage_spends_no_attempt_and_ends_by_itself(bench: Bench, receiver: Receiver) -> None:
    declare(bench, receiver)
    with bench.worker():
        send_changes(bench, 10)
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        receiver.close()
        send_changes(bench, 100, first=10)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        bench.wait(lambda: bench.rows("SELECT FROM pgmq.q_jobs WHERE vt > now()") == [], seconds=PATIENCE)
        receiver.open()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert {request.headers["id"] for request in receiver.requests} == {f"id-{n}" for n in range(110)}
    assert not bench.dead
    assert bench.log.count("destination is unavailable") == 1, "it is said once"
    assert "destination stores again" in bench.log


@pytest.mark.parametrize("answer", [Answer(503), Answer(429), Answer(after=600), Answer(abort=True)])
def test_a_receiver_that_is_busy_silent_or_broken_is_an_outage(
    bench: Bench, receiver: Receiver, answer: Answer
) -> None:
    away = threading.Event()
    away.set()
    receiver.decide = lambda request: answer if away.is_set() else Answer()
    declare(bench, receiver, relay={"timeout": 1.0})
    with bench.worker():
        send_changes(bench, 1)
        bench.wait(lambda: "destination is unavailable" in bench.log, seconds=PATIENCE)
        # More tries than a message has attempts.
        bench.wait(lambda: len(receiver.requests) > 3, seconds=PATIENCE)
        away.clear()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
    assert not bench.dead


def test_retry_after_is_waited_for(bench: Bench, receiver: Receiver) -> None:
    def decide(request: Request) -> Answer:
        return Answer(429, headers={"Retry-After": "3"}) if len(receiver.requests) == 1 else Answer()

    receiver.decide = decide
    declare(bench, receiver)
    send_changes(bench, 1)
    bench.drain(timeout=PATIENCE)
    first, second = receiver.requests
    assert second.at - first.at >= 3
    assert not bench.dead


def test_one_message_that_is_never_answered_does_not_hold_up_the_others(
    bench: Bench, receiver: Receiver
) -> None:
    receiver.decide = lambda request: Answer(after=600 if request.headers["id"] == "id-0" else 0.1)
    declare(bench, receiver, http={"concurrency": 2}, relay={"timeout": 1.0})
    send_changes(bench, 60)
    with bench.worker():
        bench.wait(lambda: bench.queued <= 1, seconds=PATIENCE)
        # Failures cost attempts only while other messages are answered.
        for round in range(1, 4):
            if bench.dead:
                break
            send_changes(bench, 60, first=100 * round)
            bench.wait(lambda: bench.queued <= 1, seconds=PATIENCE)
    answered = {request.headers["id"] for request in receiver.requests}
    assert answered >= {f"id-{number}" for number in range(60)}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(410), "it answers 410: it wants no more messages"),
        (Answer(401), "it answers 401: it does not know us"),
        (Answer(403), "it answers 403: it does not know us"),
        (Answer(302, headers={"Location": "https://elsewhere.example/"}), "redirects are not followed"),
    ],
)
def test_a_receiver_that_refuses_us_stops_its_consumer_and_keeps_the_messages(
    bench: Bench, receiver: Receiver, answer: Answer, says: str
) -> None:
    receiver.decide = lambda request: answer
    declare(bench, receiver)
    send_changes(bench, 5)
    with bench.worker("--drain") as process:
        assert process.wait(PATIENCE) == 1
    assert says in bench.log
    assert bench.queued == 5
    assert not bench.dead
    assert len(receiver.requests) <= 5


def test_with_the_order_of_keys_one_message_of_a_key_is_on_its_way(bench: Bench, receiver: Receiver) -> None:
    bench.order_by_key()
    failing = {"id-9", "id-17"}

    def decide(request: Request) -> Answer:
        fails = request.headers["id"] in failing
        failing.discard(request.headers["id"])
        return Answer(500 if fails else 200, after=0.005)

    receiver.decide = decide
    declare(bench, receiver, ordering="key")
    for number in range(70):
        send_changes(bench, 1, first=number, keyed=True)
    bench.drain(timeout=PATIENCE)
    stored: dict[int, list[int]] = {}
    for request in receiver.requests:
        body = json.loads(request.body)
        stored.setdefault(body["key"]["id"], []).append(body["new"]["value"])
    for key, values in stored.items():
        # A repeated value is the attempt that failed; none comes between.
        assert values == sorted(values), key
    assert sum(len(set(values)) for values in stored.values()) == 70


def test_an_address_that_is_excluded_is_never_connected_to(bench: Bench, receiver: Receiver) -> None:
    declare(bench, receiver, http={"deny": ["private"]})
    send_changes(bench, 3)
    with bench.worker("--drain") as process:
        assert process.wait(PATIENCE) == 1
    assert "`allow` and `deny` exclude" in bench.log
    assert receiver.requests == []
    assert bench.queued == 3
