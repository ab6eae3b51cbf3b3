"""`ordering: key`: a key's messages are handled one at a time and in order, also under faults."""

from __future__ import annotations

import json
import signal
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.workers import Bench

from changelane.contract.manifest import Retry
from changelane.runner.queue.fenced import open_queues
from changelane.runner.queue.ordered import OrderedQueue

INDEX = """
    CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)
"""
FILL = """
    INSERT INTO pgmq.q_jobs (vt, message, headers)
    SELECT clock_timestamp(),
        jsonb_build_object('op', 'insert', 'schema', 'public', 'table', 'things', 'key', NULL, 'old', NULL,
            'txid', '7', 'at', '2026-11-22T18:54:03+00:00', 'new', jsonb_build_object('value', number)),
        jsonb_build_object('route', 'things', 'x-pgmq-group', (number %% %s)::text)
    FROM generate_series(0, %s - 1) AS number
"""


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    conn.execute(INDEX)
    conn.execute(
        "CREATE TABLE runs (id bigserial, key text, msg_id bigint, began timestamptz, ended timestamptz)"
    )
    return bench


def fill(bench: Bench, *, keys: int, count: int) -> None:
    bench.conn.execute(FILL, [keys, count])


def send(bench: Bench, key: str, *values: str, delay: int = 0) -> list[int]:
    return bench.send(*values, delay=delay, headers={"route": "things", "x-pgmq-group": key})


RECORD = """
    import random

    def handle(change: Change, tx: psycopg.Connection) -> None:
        began = tx.execute("SELECT clock_timestamp()").fetchone()[0]
        time.sleep(random.random() * PAUSE)
        if random.random() < FAIL:
            raise ValueError("by chance")
        tx.execute("INSERT INTO runs (key, msg_id, began, ended) VALUES (%s, %s, %s, clock_timestamp())",
            [change.headers["x-pgmq-group"], change.msg_id, began])
"""


def record(*, pause: float = 0.0, fail: float = 0.0) -> str:
    return RECORD.replace("PAUSE", str(pause)).replace("FAIL", str(fail))


def check_order(bench: Bench, *, count: int) -> None:
    """Each message took effect once, those of a key in order and one after another."""
    runs = bench.rows("SELECT key, msg_id, began, ended FROM runs ORDER BY ended")
    assert len(runs) == len({run[1] for run in runs}) == count
    by_key = defaultdict(list)
    for key, *run in runs:
        by_key[key].append(run)
    for line in by_key.values():
        assert line == sorted(line)
        for (_, _, ended), (_, began, _) in pairwise(line):
            assert ended <= began


@pytest.mark.parametrize("keys", [1, 7, 400])
def test_each_key_is_handled_in_order_and_one_at_a_time(bench: Bench, keys: int) -> None:
    bench.declare(record(), mode="transactional", ordering="key")
    fill(bench, keys=keys, count=400)
    bench.drain("--processes", "2")
    check_order(bench, count=400)


def test_order_holds_whatever_fails_and_whoever_is_killed_or_joins(bench: Bench) -> None:
    bench.declare(
        record(pause=0.004, fail=0.1),
        mode="transactional",
        ordering="key",
        lease=1,
        batch=20,
        retry=Retry(attempts=50, first=0.01, max=0.05),
    )
    fill(bench, keys=12, count=900)
    for milestone in (150, 300, 450):
        with bench.worker() as killed, bench.worker() as stopped:
            bench.wait(lambda at=milestone - 75: bench.count("runs") >= at)
            killed.kill()
            stopped.send_signal(signal.SIGSTOP)
            with bench.worker() as joined:
                bench.wait(lambda at=milestone: bench.count("runs") >= at)
                bench.wait(lambda pid=joined.pid: f'"pid": {pid}' in bench.log)
                stopped.send_signal(signal.SIGCONT)
                joined.send_signal(signal.SIGTERM)
                assert joined.wait(20) == 0
    bench.drain("--processes", "2", timeout=60)
    check_order(bench, count=900)
    assert bench.dead == []


def test_a_failing_key_holds_back_only_itself(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            note(change.new["value"])
            if change.new["value"] == 1:
                raise Retry(after=3600)
        """,
        mode="transactional",
        ordering="key",
    )
    send(bench, "bad", "1", "2", "3")
    send(bench, "good", "4", "5")
    with bench.worker() as process:
        bench.wait(lambda: bench.queued == 3 and "1" in bench.notes)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert sorted(bench.notes) == ["1", "4", "5"]
    assert [note for note in bench.notes if note != "1"] == ["4", "5"]


def test_after_a_dead_letter_its_key_goes_on(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(change: Change) -> None:
            if change.new["value"] == 1:
                raise DeadLetter("not this one")
            note(change.new["value"])
        """,
        ordering="key",
    )
    send(bench, "a", "1", "2", "3")
    bench.drain()
    assert bench.notes == ["2", "3"]
    assert len(bench.dead) == 1


def test_a_batch_holds_one_message_of_each_key(bench: Bench) -> None:
    bench.declare(
        """
        def handle(changes: list[Change]) -> None:
            note([int(change.new["value"]) for change in changes])
        """,
        ordering="key",
        concurrency=1,
    )
    send(bench, "a", "1", "2", "3")
    send(bench, "b", "4")
    bench.drain()
    assert bench.notes == ["[1, 4]", "[2]", "[3]"]


def test_a_blocked_message_keeps_its_key_and_no_attempt_runs_again(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(change.new["value"])
            if change.new["value"] == 1:
                raise ValueError("no")
        """,
        ordering="key",
        on_exhausted="block",
        retry=Retry(attempts=2, first=0.05),
    )
    first, second = send(bench, "a", "1", "2")
    send(bench, "b", "3")
    with bench.worker() as process:
        bench.wait(lambda: '"blocked: ' in bench.log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert sorted(bench.notes) == ["1", "1", "3"]
    assert '"blocked": 1' in bench.log
    left = bench.rows(
        "SELECT msg_id, vt > now() + '50 years', headers->'changelane'->'error' FROM pgmq.q_jobs ORDER BY 1"
    )
    assert left == [(first, True, "ValueError: no"), (second, False, None)]


def test_a_hot_key_does_not_starve_the_others(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.headers["x-pgmq-group"] != "0":
                note(change.msg_id)
            time.sleep(0.05)
        """,
        ordering="key",
        concurrency=2,
    )
    fill(bench, keys=1, count=20_000)
    send(bench, "other", "1", "2", "3")
    with bench.worker():
        bench.wait(lambda: len(bench.notes) == 3)
    assert bench.queued > 19_000


def test_messages_without_a_key_wait_for_no_other(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(change.new["value"])
            if change.new["value"] == 1:
                raise Retry(after=3600)
        """,
        ordering="key",
    )
    bench.send("1", "2", "3")
    with bench.worker():
        bench.wait(lambda: sorted(bench.notes) == ["1", "2", "3"])


def test_a_queue_without_its_index_is_not_worked(bench: Bench) -> None:
    bench.conn.execute("DROP INDEX pgmq.q_jobs_key_idx")
    bench.declare("def handle(change: Change) -> None: ...", ordering="key")
    with bench.worker() as process:
        assert process.wait(30) == 1
    assert "queue jobs lacks the index" in bench.log


def make_queue(bench: Bench) -> OrderedQueue:
    (queue,) = open_queues(bench.conn, [("jobs", "jobs_dlq")], classes={"jobs": OrderedQueue})
    assert isinstance(queue, OrderedQueue)
    return queue


def test_a_message_waits_until_the_removal_of_the_one_before_it_is_committed(
    bench: Bench, database: str
) -> None:
    queue = make_queue(bench)
    _, second = send(bench, "a", "1", "2")
    (claimed,) = queue.claim(bench.conn, limit=1, lease=60)
    with psycopg.connect(database) as other:
        assert other.execute(queue.spell_ack([claimed])).rowcount == 1
        assert queue.claim(bench.conn, limit=10, lease=60) == []
    (claimed,) = queue.claim(bench.conn, limit=10, lease=60)
    assert (claimed.msg_id, claimed.read_ct) == (second, 1)


def test_other_keys_are_found_behind_a_backlog_without_writing_to_it(bench: Bench) -> None:
    queue = make_queue(bench)
    fill(bench, keys=3, count=3_000)
    others = send(bench, "late", "1") + send(bench, "later", "2")
    where = "SELECT count(*) FROM pgmq.q_jobs WHERE xmin::text::bigint > {}"
    ((horizon,),) = bench.rows("SELECT txid_current()")
    found = [item.msg_id for _ in range(3) for item in queue.claim(bench.conn, limit=100, lease=60)]
    assert sorted(found) == [1, 2, 3, *others]
    assert bench.rows(where.format(horizon)) == [(5,)]
    assert queue.claim(bench.conn, limit=100, lease=60) == []
    assert queue.next_at > time.monotonic()


def test_a_key_is_found_among_thousands_that_wait(bench: Bench) -> None:
    queue = make_queue(bench)
    fill(bench, keys=3_000, count=6_000)
    bench.conn.execute("UPDATE pgmq.q_jobs SET vt = now() + interval '1 hour' WHERE msg_id <= 3000")
    (first,) = send(bench, "free", "1")
    deadline = time.monotonic() + 20
    while not (found := queue.claim(bench.conn, limit=10, lease=60)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [item.msg_id for item in found] == [first]
    while queue.next_at < time.monotonic() + 3600:
        assert queue.claim(bench.conn, limit=10, lease=60) == []
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_retry_is_not_late_for_the_backlog_of_its_key(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(f"{change.new['value']} {time.monotonic()}")
            if change.attempt == 1 and change.new["value"] == 0:
                raise Retry(after=3)
        """,
        ordering="key",
    )
    fill(bench, keys=1, count=5_000)
    with bench.worker():
        bench.wait(lambda: len(bench.notes) >= 3)
    (first, began), (again, came), (second, _) = (note.split() for note in bench.notes[:3])
    assert (first, again, second) == ("0", "0", "1")
    assert 2.9 < float(came) - float(began) < 13


@pytest.mark.parametrize("walks", [False, True])
@pytest.mark.parametrize("keys", [10, 30_000])
def test_a_claim_reads_in_proportion_to_what_it_looks_at(bench: Bench, keys: int, walks: bool) -> None:
    queue = make_queue(bench)
    fill(bench, keys=keys, count=30_000)
    claims = queue._claims_walking if walks else queue._claims
    explain = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + claims[0]
    values = {
        "limit": 50,
        "look": 50,
        "lease": 60.0,
        "names": [str(name) for name in range(20)],
        "start": -(2**63),
        "steps": 50,
    }
    found = bench.conn.execute(explain, values, prepare=False).fetchone()
    assert found is not None
    plan = found[0][0]["Plan"]
    assert "Seq Scan" not in json.dumps(plan)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 60 * 50
