"""`coalesce` in real workers: one call with the last state, whatever fails or dies in between."""

from __future__ import annotations

import json
import random
import signal
import textwrap
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.http_receiver import Answer, Request, run_receiver
from support.keyed_messages import INDEX, send
from support.relays import declare_relay
from support.workers import Bench

from changelane.contract.coalesce import Coalesce
from changelane.contract.manifest import Retry

RECORD = """
    def handle(change: Change, tx: psycopg.Connection) -> None:
        if random.random() < FAIL:
            raise ValueError("by chance")
        tx.execute("INSERT INTO calls (key, op, value, merged, attempt) VALUES (%s, %s, %s, %s, %s)", [
            change.key["id"], change.op, (change.new or {}).get("v"), change.merged, change.attempt,
        ])
        time.sleep(random.random() * PAUSE)
"""
SINGLE = """
    def record(change):
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
            conn.execute("INSERT INTO calls (key, op, value, merged, attempt) VALUES (%s, %s, %s, %s, %s)", [
                change.key["id"], change.op, (change.new or {}).get("v"), change.merged, change.attempt,
            ])
"""
HANDLERS = {
    "transactional": RECORD,
    "at_least_once": SINGLE + "\n    def handle(change: Change) -> None:\n        record(change)\n",
    "batches": SINGLE
    + "\n    def handle(changes: list[Change]) -> None:\n        for change in changes: record(change)\n",
    "async": SINGLE + "\n    async def handle(change: Change) -> None:\n        record(change)\n",
}


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    conn.execute(INDEX)
    conn.execute(
        "CREATE TABLE calls (id bigserial, at timestamptz DEFAULT clock_timestamp(), key int, op text, "
        "value int, merged int, attempt int)"
    )
    return bench


def declare(bench: Bench, source: str, *, pause: float = 0.0, fail: float = 0.0, **consumer: Any) -> None:
    source = textwrap.dedent(source).replace("PAUSE", str(pause)).replace("FAIL", str(fail))
    source = "import random\n" + source
    bench.declare(source, **{"coalesce": Coalesce(), **consumer})


def update(bench: Bench, key: int, value: int) -> int:
    return send(bench.conn, "update", key, old={"id": key, "v": value - 1}, new={"id": key, "v": value})


@pytest.mark.parametrize("kind", HANDLERS)
def test_what_waits_of_a_key_is_one_call(bench: Bench, kind: str) -> None:
    mode = "transactional" if kind == "transactional" else "at_least_once"
    declare(bench, HANDLERS[kind], mode=mode)
    for value in range(1, 101):
        for key in range(3):
            update(bench, key, value)
    for op in ("insert", "delete"):
        send(bench.conn, op, 9, new={"id": 9} if op == "insert" else None)
    bench.drain("--processes", "2")
    calls = bench.rows("SELECT key, op, value, merged, attempt FROM calls ORDER BY key")
    assert calls == [(key, "update", 100, 100, 1) for key in range(3)]
    assert bench.queued == 0
    assert bench.dead == []


def test_a_failed_change_takes_what_came_meanwhile_along(bench: Bench) -> None:
    """Attempts are counted for all together; the last failure buries all messages of the change."""
    declare(
        bench,
        """
        def handle(change: Change) -> None:
            note(f"{change.new['v']} {change.merged} {change.attempt}")
            raise ValueError("always")
        """,
        retry=Retry(attempts=3, first=1.0, backoff="constant"),
    )
    update(bench, 1, 1)
    with bench.worker():
        bench.wait(lambda: len(bench.notes) == 1)
        update(bench, 1, 2)
        bench.wait(lambda: len(bench.notes) == 2)
        update(bench, 1, 3)
        bench.wait(lambda: len(bench.dead) == 3)
    assert bench.notes == ["1 1 1", "2 2 2", "3 3 3"]
    assert bench.queued == 0
    letters = bench.rows("SELECT message->'new'->'v' FROM pgmq.q_jobs_dlq ORDER BY msg_id")
    assert letters == [(1,), (2,), (3,)]
    assert {letter["dead_letter"]["attempts"] for letter in bench.dead} == {3}


def test_a_burst_of_updates_makes_few_calls_and_one_follows_the_last(bench: Bench) -> None:
    """Pauses of the writer that are longer than `quiet` may each make one more call."""
    quiet, at_most, seconds, count = 0.2, 1.0, 6.0, 1_000
    declare(bench, HANDLERS["at_least_once"], coalesce=Coalesce(quiet=quiet, at_most=at_most))
    times = []
    with bench.worker("--processes", "2") as worker:
        bench.wait(lambda: bench.log.count('"working"') >= 2)
        began = time.monotonic()
        for value in range(count):
            time.sleep(max(0.0, began + value * seconds / count - time.monotonic()))
            times.append(time.monotonic())
            update(bench, 1, value)
        bench.wait(lambda: bench.rows("SELECT max(value) FROM calls") == [(count - 1,)])
        bench.wait(lambda: not bench.queued)
        worker.send_signal(signal.SIGTERM)
        worker.wait(20)
    calls = bench.rows("SELECT value, merged FROM calls ORDER BY id")
    pauses = sum(later - earlier > quiet * 0.9 for earlier, later in pairwise(times))
    assert len(calls) <= (times[-1] - times[0]) / at_most + 1 + pauses, calls
    assert [value for value, _ in calls] == sorted(value for value, _ in calls)
    assert sum(merged for _, merged in calls) == count


def test_the_last_state_takes_effect_whoever_is_killed(bench: Bench) -> None:
    """Writers change rows while workers fail, are killed and are stopped past their leases."""
    declare(
        bench, RECORD, pause=0.05, fail=0.1, mode="transactional", lease=1, batch=5,
        coalesce=Coalesce(quiet=0.05, at_most=0.3), retry=Retry(attempts=50, first=0.01, max=0.05),
    )  # fmt: skip
    last: dict[int, int] = {}
    ending = threading.Event()

    def write() -> None:
        dice = random.Random(7)
        with psycopg.connect(bench.url, autocommit=True) as conn:
            while not ending.is_set():
                key = dice.randrange(6)
                last[key] = last.get(key, 0) + 1
                send(conn, "update", key, old={}, new={"id": key, "v": last[key]})
                time.sleep(0.004)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            with bench.worker() as killed, bench.worker() as stopped:
                seen = bench.count("calls")
                bench.wait(lambda seen=seen: bench.count("calls") >= seen + 15)
                killed.kill()
                stopped.send_signal(signal.SIGSTOP)
                with bench.worker() as joined:
                    seen = bench.count("calls")
                    bench.wait(lambda seen=seen: bench.count("calls") >= seen + 15)
                    stopped.send_signal(signal.SIGCONT)
                    joined.send_signal(signal.SIGTERM)
                    assert joined.wait(20) == 0
    finally:
        ending.set()
        writer.join()
    bench.drain("--processes", "2", timeout=60)
    calls = bench.rows("SELECT key, value, merged FROM calls ORDER BY id")
    for key in last:
        values = [value for where, value, _ in calls if where == key]
        assert values == sorted(set(values))
        assert values[-1] == last[key]
        assert sum(merged for where, _, merged in calls if where == key) == last[key]
    assert bench.dead == []


def test_many_keys_do_not_wait_for_a_busy_one(bench: Bench) -> None:
    """A key whose backlog fills every look, and that is never quiet, delays no other."""
    declare(bench, HANDLERS["at_least_once"], coalesce=Coalesce(quiet=1.0))
    for value in range(3_000):
        update(bench, 1, value)
    with bench.worker():
        done = 0
        for key in range(2, 6):
            update(bench, key, 1)
        for value in range(3_000, 3_400):
            update(bench, 1, value)
            time.sleep(0.01)
            done = done or int(bench.count("calls") >= 4) * value
            if done:
                break
        assert done, bench.log
        assert bench.rows("SELECT DISTINCT key FROM calls ORDER BY key") == [(2,), (3,), (4,), (5,)]
        bench.wait(lambda: not bench.queued)
    assert bench.rows("SELECT value, merged FROM calls WHERE key = 1") == [(done, done + 1)]


def test_a_relay_publishes_the_last_state_of_each_key(bench: Bench) -> None:
    """One request for each key, none for what is nothing, and all messages of a refused one are retried."""
    refused: list[int] = []

    def answer(request: Request) -> Answer:
        change = json.loads(request.body)
        if change["key"]["id"] == 2 and not refused:
            refused.append(change["new"]["v"])
            return Answer(503)
        return Answer()

    with run_receiver(answer) as receiver:
        declare_relay(bench, {"http": {"url": {"literal": receiver.url}}}, {}, coalesce=Coalesce())
        for value in range(1, 21):
            for key in (1, 2):
                update(bench, key, value)
        for op in ("insert", "delete"):
            send(bench.conn, op, 9, new={"id": 9} if op == "insert" else None)
        bench.drain()
        posted = [json.loads(request.body) for request in receiver.requests]
    told = sorted(
        (change["key"]["id"], change["op"], change["old"]["v"], change["new"]["v"]) for change in posted
    )
    assert told == [(1, "update", 0, 20), (2, "update", 0, 20), (2, "update", 0, 20)]
    assert refused == [20]
    assert bench.dead == []
