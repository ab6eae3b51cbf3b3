"""The statements over a queue: fenced, and as cheap as the batch, however deep the queue."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg
import pytest

from changelane.errors import DatabaseError
from changelane.runner.queue.fenced import FencedQueue, open_queues, pair

FILL = """
    INSERT INTO pgmq.q_jobs (vt, message, headers)
    SELECT clock_timestamp() + %s::interval, '{}', '{}' FROM generate_series(1, %s)
"""


@pytest.fixture
def queue(conn: psycopg.Connection[Any]) -> FencedQueue:
    conn.execute("SELECT pgmq.create('jobs'), pgmq.create('jobs_dlq')")
    (queue,) = open_queues(conn, [("jobs", "jobs_dlq")])
    return queue


def state(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT msg_id, read_ct, vt, headers FROM pgmq.q_jobs ORDER BY msg_id").fetchall()


def test_a_claim_takes_due_messages_once_and_in_order(
    conn: psycopg.Connection[Any], queue: FencedQueue
) -> None:
    conn.execute(FILL, ["-1 s", 5])
    conn.execute(FILL, ["1 h", 5])
    first = queue.claim(conn, limit=3, lease=60)
    second = queue.claim(conn, limit=3, lease=60)
    assert [[item.msg_id for item in claim] for claim in (first, second)] == [[1, 2, 3], [4, 5]]
    assert {item.read_ct for item in first + second} == {1}


def test_a_stale_holder_changes_nothing(conn: psycopg.Connection[Any], queue: FencedQueue) -> None:
    conn.execute(FILL, ["-1 s", 3])
    stale = queue.claim(conn, limit=3, lease=0)
    assert len(queue.claim(conn, limit=3, lease=60)) == 3
    before = state(conn)
    assert queue.ack(conn, stale) == set()
    assert all(conn.execute(queue.spell_ack(some)).rowcount == 0 for some in (stale, stale[:1]))
    assert queue.renew(conn, stale, lease=3600) == set()
    assert queue.postpone(conn, [(item, 0.0, "{}") for item in stale]) == set()
    assert not queue.move_to_dead_letters(conn, stale[0], notes={})
    assert not queue.archive(conn, stale[0])
    assert state(conn) == before
    assert conn.execute("SELECT count(*) FROM pgmq.q_jobs_dlq").fetchone() == (0,)


def test_a_renewal_skips_a_row_that_is_being_settled_and_still_calls_it_held(
    conn: psycopg.Connection[Any], queue: FencedQueue, database: str
) -> None:
    conn.execute(FILL, ["-1 s", 2])
    claimed = queue.claim(conn, limit=2, lease=60)
    with psycopg.connect(database) as other:
        assert other.execute(queue.spell_ack(claimed[:1])).rowcount == 1
        assert queue.renew(conn, claimed, lease=3600) == {1, 2}
        other.rollback()
    far = conn.execute("SELECT msg_id FROM pgmq.q_jobs WHERE vt > now() + interval '30 min'").fetchall()
    assert far == [(2,)]


@pytest.mark.parametrize("headers", [None, [1], "x", {"route": "r", "changelane": {"attempts": 1}}])
def test_notes_go_into_headers_of_any_shape(
    conn: psycopg.Connection[Any], queue: FencedQueue, headers: object
) -> None:
    value = None if headers is None else json.dumps(headers)
    conn.execute("SELECT pgmq.send('jobs', '{}'::jsonb, %s::jsonb)", [value])
    claimed = queue.claim(conn, limit=1, lease=60)
    queue.postpone(conn, [(claimed[0], 5.0, '{"attempts": 2}')])
    kept = headers if isinstance(headers, dict) else {}
    assert state(conn)[0][3] == {**kept, "changelane": {"attempts": 2}}
    claimed[0].msg_id, claimed[0].read_ct = state(conn)[0][:2]
    assert queue.move_to_dead_letters(conn, claimed[0], notes={"error": "e"})
    found = conn.execute("SELECT headers FROM pgmq.q_jobs_dlq").fetchone()
    assert found is not None
    letter = found[0].pop("dead_letter")
    assert found[0] == {key: item for key, item in kept.items() if key != "changelane"}
    assert (letter["queue"], letter["msg_id"], letter["error"]) == ("jobs", 1, "e")


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("limit", [10, 1000])
def test_a_claim_reads_in_proportion_to_its_batch(
    conn: psycopg.Connection[Any], queue: FencedQueue, limit: int, analyzed: bool
) -> None:
    conn.execute(FILL, ["1 day", 30_000])
    conn.execute(FILL, ["-1 s", 30_000])
    if analyzed:
        conn.execute("ANALYZE pgmq.q_jobs")
    explain = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + queue._claims[0]
    found = conn.execute(
        explain, {"limit": limit, "lease": 60.0, "since": "-infinity"}, prepare=False
    ).fetchone()
    assert found is not None
    plan = found[0][0]["Plan"]
    assert plan["Actual Rows"] == limit
    assert "Seq Scan" not in json.dumps(plan)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 30 * limit + 100


@pytest.mark.parametrize("held", [False, True])
def test_statements_read_in_proportion_to_their_batch_amid_dead_rows(
    conn: psycopg.Connection[Any], queue: FencedQueue, database: str, held: bool
) -> None:
    """100,000 messages wait behind 100,000 dead rows; with ``held``, no vacuum could remove these."""
    conn.execute("ALTER TABLE pgmq.q_jobs SET (autovacuum_enabled = false)")
    with psycopg.connect(database) as holder:
        if held:
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            holder.execute("SELECT 1")
        conn.execute(
            "INSERT INTO pgmq.q_jobs (vt, message) SELECT now() - interval '1 h' + n * interval '1 ms', '{}'"
            " FROM generate_series(1, 200000) AS n"
        )
        conn.execute("DELETE FROM pgmq.q_jobs WHERE msg_id <= 100000")
        claimed = queue.claim(conn, limit=100, lease=60)
        assert [delivery.msg_id for delivery in claimed] == list(range(100_001, 100_101))
        values = {"limit": 100, "lease": 60.0, "since": queue._since}
        assert measure(conn, queue._claims[0], values) < 30 * 100
        assert measure(conn, queue._renew, {**pair(claimed), "lease": 60.0}) < 30 * 100
        assert measure(conn, queue._ack, pair(claimed)) < 30 * 100


def measure(conn: psycopg.Connection[Any], statement: bytes, values: dict[str, Any]) -> int:
    """Pages that a statement reads."""
    explain = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement
    found = conn.execute(explain, values, prepare=False).fetchone()
    assert found is not None
    plan = found[0][0]["Plan"]
    assert "Seq Scan" not in json.dumps(plan)
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_a_message_committed_late_is_claimed_although_newer_ones_wait(
    conn: psycopg.Connection[Any], queue: FencedQueue
) -> None:
    conn.execute(FILL, ["-1 s", 100])
    (late,) = queue.claim(conn, limit=1, lease=60)
    queue.claim(conn, limit=10, lease=60)
    conn.execute("UPDATE pgmq.q_jobs SET vt = now() - interval '1 day' WHERE msg_id = %s", [late.msg_id])
    # While newer messages fill the claims, it waits.
    assert late.msg_id not in {delivery.msg_id for delivery in queue.claim(conn, limit=10, lease=60)}
    queue._whole_at = time.monotonic()
    assert late.msg_id in {delivery.msg_id for delivery in queue.claim(conn, limit=10, lease=60)}
    # Otherwise it is claimed at once.
    conn.execute("UPDATE pgmq.q_jobs SET vt = now() - interval '1 day' WHERE msg_id = %s", [late.msg_id])
    claimed = queue.claim(conn, limit=1000, lease=60)
    assert len({delivery.msg_id for delivery in claimed}) == len(claimed) == 71
    assert late.msg_id in {delivery.msg_id for delivery in claimed}
    assert queue.claim(conn, limit=1000, lease=60) == []


def test_queue_tables_of_older_pgmq_are_worked_too(conn: psycopg.Connection[Any], queue: FencedQueue) -> None:
    for table in ("q_jobs", "a_jobs"):
        conn.execute(f"ALTER TABLE pgmq.{table} DROP COLUMN last_read_at")
    (older,) = open_queues(conn, [("jobs", "jobs_dlq")])
    conn.execute(FILL, ["-1 s", 2])
    first, second = older.claim(conn, limit=2, lease=60)
    assert older.archive(conn, first)
    assert older.ack(conn, [second]) == {second.msg_id}
    assert conn.execute("SELECT msg_id, read_ct FROM pgmq.a_jobs").fetchall() == [(1, 1)]


def test_all_missing_queues_are_named(conn: psycopg.Connection[Any], queue: FencedQueue) -> None:
    with pytest.raises(DatabaseError, match="queues a, b do not exist") as caught:
        open_queues(conn, [("jobs", "a"), ("b", "jobs_dlq")])
    assert "changelane apply" in caught.value.fix


def test_a_database_without_pgmq_is_told_to_apply(bare_database: str) -> None:
    with (
        psycopg.connect(bare_database, autocommit=True) as conn,
        pytest.raises(DatabaseError, match="do not exist"),
    ):
        open_queues(conn, [("jobs", "jobs_dlq")])
