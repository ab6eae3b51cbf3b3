"""The claims of a queue with `fair` and `limit`: whose turn it is, what they read, what the limits allow."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from changelane.contract.groups import list_claim_indexes
from changelane.contract.manifest import Consumer, Fair, Limit
from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.live import database as databases
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.fair import FairQueue
from changelane.runner.queue.worked import open_worked
from changelane.runner.queue.worker_rights import list_worker_grants

TENANT = (("new", "tenant"),)

Connection = psycopg.Connection[Any]


@pytest.fixture
def queue(conn: Connection) -> Connection:
    conn.execute("SELECT pgmq.create('jobs'), pgmq.create('jobs_dlq')")
    with conn.transaction():
        conn.execute(SCHEMA_SQL.encode())
    return conn


def open_fair(
    conn: Connection, *, by: Sequence[Sequence[str]] = TENANT, limit: Limit | None = None, **bounds: Any
) -> FairQueue:
    fair = Fair(by=tuple(map(tuple, by)), **bounds) if by else None
    consumer = Consumer(queue="jobs", handler="x:y", dead_letter="jobs_dlq", fair=fair, limit=limit)
    for index in list_claim_indexes(by, consumer.counts):
        conn.execute(f"CREATE INDEX IF NOT EXISTS q_jobs{index.suffix} ON pgmq.q_jobs {index.definition}")
    (opened,) = open_worked(conn, [consumer])
    assert isinstance(opened, FairQueue)
    return opened


def send(conn: Connection, tenant: object, count: int = 1) -> None:
    conn.execute(
        "INSERT INTO pgmq.q_jobs (vt, message) SELECT clock_timestamp(), %s FROM generate_series(1, %s)",
        [Jsonb({"new": {"tenant": tenant}}), count],
    )


def claim(queue: FairQueue, conn: Connection, limit: int, *, lease: float = 60) -> list[Delivery]:
    return queue.claim(conn, limit=limit, lease=lease)


def count_tenants(claimed: Sequence[Delivery]) -> Counter[str]:
    """How many of each tenant, by its JSON."""
    return Counter(json.dumps(json.loads(one.text or "")["new"]["tenant"]) for one in claimed)


def drain(queue: FairQueue, conn: Connection, limit: int) -> list[list[Delivery]]:
    """Claims, each acknowledged at once, until nothing is left to claim."""
    claims = []
    while claimed := claim(queue, conn, limit):
        claims.append(claimed)
        queue.ack(conn, claimed)
    return claims


def test_groups_share_each_claim(queue: Connection) -> None:
    send(queue, "a", 300)
    send(queue, "b", 3)
    fair = open_fair(queue)
    first = count_tenants(claim(fair, queue, 10))
    assert first == {'"a"': 5, '"b"': 3}
    assert fair.next_at <= time.monotonic()
    # Nobody else waits.
    assert count_tenants(claim(fair, queue, 10)) == {'"a"': 10}


def test_a_claim_goes_on_after_the_group_served_last(queue: Connection) -> None:
    for tenant in range(25):
        send(queue, tenant, 2)
    fair = open_fair(queue)
    claims = [count_tenants(claim(fair, queue, 5)) for _ in range(10)]
    assert all(max(counts.values()) == 1 for counts in claims)
    # Each tenant once in the first round, and once in the second.
    assert [len(sum(claims[part : part + 5], Counter())) for part in (0, 5)] == [25, 25]
    assert claim(fair, queue, 5) == []


@pytest.mark.parametrize(
    ("groups", "depth", "skewed"),
    [(10, 1_000, False), (10, 200_000, False), (100_000, 200_000, False), (10, 200_000, True)],
)
def test_the_pages_that_a_claim_reads_depend_on_neither_depth_nor_groups(
    queue: Connection, groups: int, depth: int, skewed: bool
) -> None:
    """``skewed``: the first message of each of the other groups comes after the backlog of one."""
    queue.execute(
        "INSERT INTO pgmq.q_jobs (vt, message) SELECT clock_timestamp() - interval '1 s' + "
        "number * interval '1 us', jsonb_build_object('new', jsonb_build_object('tenant', "
        "CASE WHEN %s AND number <= %s - 300 THEN 0 ELSE number %% %s END)) "
        "FROM generate_series(1, %s) AS number",
        [skewed, depth, groups, depth],
    )
    fair = open_fair(queue, concurrency=30, limit=Limit(concurrency=500))
    for analyzed in (False, True):
        if analyzed:
            queue.execute("ANALYZE pgmq.q_jobs")
        pages = []
        for _ in range(5):
            before = read_pages(queue)
            assert len(claim(fair, queue, 20)) == 20
            pages.append(read_pages(queue) - before)
        # A leaf and its parents for each group, and the row and the index entries of each message.
        assert sorted(pages)[2] < 20 * 60, (analyzed, pages)


def read_pages(conn: Connection) -> int:
    """Pages of the queue's table and indexes that this server's sessions asked for."""
    conn.execute("SELECT pg_stat_force_next_flush()" if conn.info.server_version >= 150000 else "SELECT 1")
    conn.execute("SELECT pg_stat_clear_snapshot()")
    row = conn.execute(
        "SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit FROM pg_statio_all_tables "
        "WHERE relid = 'pgmq.q_jobs'::regclass"
    ).fetchone()
    assert row
    return int(row[0])


VALUES: list[object] = [
    None, True, False, 0, 1, 1.5, -1, 10**40, "", "1", "null", "a'b\\c\"d%s{}", "ü😀", [], [None], {},
    {"a": []}, "x" * 20_000, {"key": ["deep", {"er": None}]},
]  # fmt: skip


def test_any_json_value_is_a_group(queue: Connection) -> None:
    for value in VALUES:
        send(queue, value, 4)
    fair = open_fair(queue, concurrency=2)
    claimed = []
    while some := claim(fair, queue, 7):
        claimed += some
    assert count_tenants(claimed) == {json.dumps(value): 2 for value in VALUES}
    fair.ack(queue, claimed)
    assert len(claim(fair, queue, 100)) == 2 * len(VALUES)


def test_messages_without_the_column_are_one_group(queue: Connection) -> None:
    bodies: list[object] = [
        {"new": {"tenant": None}}, {"new": {}}, {"new": None, "old": None}, {"new": 7}, {}, [], 7, None,
        "new",
    ]  # fmt: skip
    for body in bodies:
        queue.execute("INSERT INTO pgmq.q_jobs (vt, message) VALUES (clock_timestamp(), %s)", [Jsonb(body)])
    queue.execute("INSERT INTO pgmq.q_jobs (vt, message) VALUES (clock_timestamp(), NULL)")
    send(queue, "a", 5)
    fair = open_fair(queue, concurrency=1)
    assert len(claim(fair, queue, 10)) == 2
    assert claim(fair, queue, 10) == []


def test_a_deletion_belongs_to_the_group_of_the_row(queue: Connection) -> None:
    send(queue, "a")
    body = {"new": None, "old": {"tenant": "a"}}
    queue.execute("INSERT INTO pgmq.q_jobs (vt, message) VALUES (clock_timestamp(), %s)", [Jsonb(body)])
    assert len(claim(open_fair(queue, concurrency=1), queue, 10)) == 1


def test_groups_by_several_columns_and_by_key(queue: Connection) -> None:
    for a, b in [(1, 2), (2, 1), (1, None), (None, 1), (1, 2)]:
        body = {"new": {"a": a, "b": b}, "key": {"id": a}}
        queue.execute("INSERT INTO pgmq.q_jobs (vt, message) VALUES (clock_timestamp(), %s)", [Jsonb(body)])
    both = open_fair(queue, by=[("new", "a"), ("new", "b")], concurrency=1)
    claimed = claim(both, queue, 10)
    assert len(claimed) == 4
    both.postpone(queue, [(one, 0.0, "{}") for one in claimed])
    queue.execute("DROP INDEX pgmq.q_jobs_group_idx, pgmq.q_jobs_held_idx")
    queue.execute("UPDATE pgmq.q_jobs SET read_ct = 0, vt = clock_timestamp() - interval '1 s'")
    assert len(claim(open_fair(queue, by=[("key",)], concurrency=1), queue, 10)) == 3


def test_a_group_has_no_more_leases_than_its_concurrency(queue: Connection) -> None:
    for tenant in (1, 2, 3):
        send(queue, tenant, 10)
    fair, other = open_fair(queue, concurrency=4), open_fair(queue, concurrency=4)
    claimed = claim(fair, queue, 7) + claim(other, queue, 100)
    while more := claim(fair, queue, 100):
        claimed += more
    assert count_tenants(claimed) == dict.fromkeys("123", 4)
    assert 0 < fair.next_at - time.monotonic() <= 0.5
    # A message that is given back, retried or handled frees its place.
    a, b, c = ([one for one in claimed if count_tenants([one])[tenant]] for tenant in "123")
    other.ack(queue, a[:1])
    other.postpone(queue, [(b[0], 0.0, b[0].notes(failed=0, released=1, error=""))])
    other.postpone(queue, [(c[0], 3600.0, c[0].notes(failed=1, released=0, error="x"))])
    assert count_tenants(claim(fair, queue, 100)) == dict.fromkeys("123", 1)
    assert claim(other, queue, 100) == []


def test_the_place_of_a_dead_worker_is_free_when_its_lease_ends(queue: Connection) -> None:
    send(queue, "a", 5)
    fair = open_fair(queue, concurrency=2, limit=Limit(concurrency=2))
    held = claim(fair, queue, 5, lease=0.3)
    assert len(held) == 2
    assert claim(fair, queue, 5) == []
    time.sleep(0.4)
    assert len(claim(fair, queue, 5)) == 2
    assert claim(fair, queue, 5) == []


def test_a_sender_cannot_hide_that_a_message_is_leased(queue: Connection) -> None:
    hostile: list[Any] = [
        {"changelane": {"seen": 10**6}},
        {"changelane": {"seen": None, "claims": 3}},
        [],
        7,
        "seen",
    ]
    for headers in hostile:
        queue.execute(
            "INSERT INTO pgmq.q_jobs (vt, message, headers) VALUES (clock_timestamp(), '{}', %s)",
            [Jsonb(headers)],
        )
    fair = open_fair(queue, concurrency=1, limit=Limit(concurrency=100))
    for _ in range(5):
        claimed = claim(fair, queue, 10)
        assert len(claimed) == 1
        assert claim(fair, queue, 10) == []
        fair.ack(queue, claimed)


def test_claims_at_the_same_time_keep_the_limits(queue: Connection, database: str) -> None:
    """Twelve sessions claim and acknowledge by turns; whatever each sees, no limit is passed."""
    for tenant in range(6):
        send(queue, tenant, 120)
    open_fair(queue, concurrency=3, limit=Limit(concurrency=8))
    over: list[Counter[str]] = []
    counted = threading.Lock()
    running: Counter[str] = Counter()
    handled: Counter[str] = Counter()

    def work(seed: int) -> None:
        choose = random.Random(seed)
        with databases.connect(database) as conn:
            fair = open_fair(conn, concurrency=3, limit=Limit(concurrency=8))
            until = time.monotonic() + 60
            while sum(handled.values()) < 720 and time.monotonic() < until:
                claimed = claim(fair, conn, choose.randint(1, 10))
                tenants = count_tenants(claimed)
                with counted:
                    running.update(tenants)
                    if max(running.values(), default=0) > 3 or running.total() > 8:
                        over.append(running.copy())
                time.sleep(choose.random() * 0.003)
                with counted:
                    running.subtract(tenants)
                    handled.update(tenants)
                fair.ack(conn, claimed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert over == []
    assert handled == {str(tenant): 120 for tenant in range(6)}


@pytest.mark.parametrize("by", [TENANT, ()], ids=["of groups", "of the queue"])
def test_rates_hold_over_all_sessions(queue: Connection, database: str, by: Sequence[Sequence[str]]) -> None:
    send(queue, "a", 400)
    send(queue, "b", 400)
    bounds: dict[str, Any] = {"rate": 40.0} if by else {"limit": Limit(rate=80.0)}
    taken: list[float] = []

    def work() -> None:
        with databases.connect(database) as conn:
            fair = open_fair(conn, by=by, **bounds)
            until = began + 3
            while (now := time.monotonic()) < until:
                time.sleep(max(0.0, min(fair.next_at, until) - now))
                claimed = claim(fair, conn, 50)
                taken.extend([time.monotonic()] * len(claimed))
                fair.ack(conn, claimed)

    open_fair(queue, by=by, **bounds)
    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    span = time.monotonic() - began
    # Half a second's worth is saved up at the beginning.
    assert len(taken) <= 80 * (span + 0.5) + 1
    assert len(taken) >= 80 * 3 * 0.9
    first = taken[0]
    assert sum(at < first + 0.01 for at in taken) <= 41


def test_a_worker_needs_no_more_than_its_grants(queue: Connection) -> None:
    send(queue, "a", 3)
    open_fair(queue, concurrency=2, rate=40.0, limit=Limit(rate=80.0))
    fair = Fair(by=TENANT, concurrency=2, rate=40.0)
    consumer = Consumer(
        queue="jobs", handler="x:y", dead_letter="jobs_dlq", fair=fair, limit=Limit(rate=80.0)
    )
    role = f"worker_{random.randrange(10**9)}"
    with queue.transaction(force_rollback=True):
        queue.execute(f"CREATE ROLE {role}")
        for grant in list_worker_grants(queue, [consumer], role=role):
            queue.execute(grant.encode())
        queue.execute(f"SET LOCAL ROLE {role}")
        (opened,) = open_worked(queue, [consumer])
        claimed = opened.claim(queue, limit=10, lease=60)
        assert len(claimed) == 2
        assert opened.ack(queue, claimed) == {one.msg_id for one in claimed}
        assert queue.execute("SELECT count(*) FROM changelane.buckets").fetchone() == (2,)
