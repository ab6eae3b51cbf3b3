"""Queues with an archive: an acknowledgement moves the message, and age prunes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.deployment import Declared, bring, declare, find_wrong
from support.workers import Bench

from changelane.contract.manifest import Archive, Retry
from changelane.runner.apply.plan import Plan, plan
from changelane.runner.live.observe import observe
from changelane.runner.queue.fenced import FencedQueue, open_queues
from changelane.runner.queue.ordered import OrderedQueue
from changelane.runner.queue.pruning import prune

Connection = psycopg.Connection[Any]

SPEC = """
version: 1
project: shop
queues:
  events: {archive: {keep: 1 day}}
routes:
  - {name: orders, table: public.orders, events: [insert], queue: events}
"""
FILL = """
    INSERT INTO pgmq.a_events (msg_id, vt, archived_at, message)
    SELECT number, now(), now() - %s::interval, '{}' FROM generate_series(%s::int, %s::int) AS number
"""
KEY_INDEX = (
    "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
)


def change(conn: Connection, folder: Path, spec: str) -> Declared:
    """Declare and apply, with a table for the routes."""
    conn.execute("CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY)")
    declared = declare(conn, folder, spec)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    return declared


def look(conn: Connection, declared: Declared) -> Plan:
    return plan(declared.manifest, observe(conn, declared.manifest))


def count_archived(conn: Connection, queue: str = "events") -> int:
    row = conn.execute(f"SELECT count(*) FROM pgmq.a_{queue}".encode()).fetchone()
    assert row is not None
    return int(row[0])


HANDLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "at least once": (
        "def handle(change: Change) -> None: note(change.msg_id)",
        {},
    ),
    "async": ("async def handle(change: Change) -> None: note(change.msg_id)", {}),
    "batch": (
        "def handle(changes: list[Change]) -> None:\n    for change in changes: note(change.msg_id)",
        {"batch": 5},
    ),
    "transactional": (
        "def handle(change: Change, tx: psycopg.Connection) -> None:\n"
        '    tx.execute("INSERT INTO notes (note) VALUES (%s)", [str(change.msg_id)])',
        {"mode": "transactional"},
    ),
    "transactional async": (
        "async def handle(change: Change, tx: psycopg.AsyncConnection) -> None:\n"
        '    await tx.execute("INSERT INTO notes (note) VALUES (%s)", [str(change.msg_id)])',
        {"mode": "transactional"},
    ),
    "transactional batch": (
        "def handle(changes: list[Change], tx: psycopg.Connection) -> None:\n    for change in changes:\n"
        '        tx.execute("INSERT INTO notes (note) VALUES (%s)", [str(change.msg_id)])',
        {"mode": "transactional", "batch": 5},
    ),
}


@pytest.mark.parametrize(
    ("way", "ordering"),
    [*((way, "none") for way in HANDLERS), *((way, "key") for way in HANDLERS if way != "async")],
)
def test_handled_messages_are_archived_unchanged_in_every_mode_and_order(
    bench: Bench, way: str, ordering: str
) -> None:
    source, consumer = HANDLERS[way]
    bench.conn.execute(KEY_INDEX)
    bench.declare(source, ordering=ordering, archive=Archive(keep=3600), **consumer)
    for key in "aba":
        bench.send("1", "2", "3", headers={"route": "things", "x-pgmq-group": key})
    before = bench.rows("SELECT msg_id, message::text, headers::text FROM pgmq.q_jobs ORDER BY msg_id")
    bench.drain()
    assert bench.queued == 0
    assert sorted(map(int, bench.notes)) == [msg_id for msg_id, _, _ in before]
    after = "SELECT msg_id, message::text, headers::text FROM pgmq.a_jobs ORDER BY msg_id"
    assert bench.rows(after) == before


def test_a_transaction_that_fails_archives_nothing_until_it_is_handled(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            count = tx.execute("SELECT count(*) FROM pgmq.a_jobs").fetchone()[0]
            note(f"{change.attempt} {count}")
            if change.attempt == 1:
                raise ValueError("not yet")
        """,
        mode="transactional",
        archive=Archive(keep=3600),
        retry=Retry(attempts=3, first=0.05),
    )
    bench.send("1")
    bench.drain()
    assert bench.notes == ["1 0", "2 0"]
    assert bench.count("pgmq.a_jobs") == bench.count("effects") == 1


def test_a_discarded_message_is_archived_and_a_dead_letter_is_not(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            raise Discard("no use") if change.new["value"] == 1 else DeadLetter("bad")
        """,
        archive=Archive(keep=3600),
    )
    discarded, _ = bench.send("1", "2")
    bench.drain()
    assert bench.rows("SELECT msg_id FROM pgmq.a_jobs") == [(discarded,)]
    assert len(bench.dead) == 1


@pytest.mark.parametrize("kind", [FencedQueue, OrderedQueue])
def test_a_stale_holder_archives_nothing(conn: Connection, kind: type[FencedQueue]) -> None:
    conn.execute("SELECT pgmq.create('jobs'), pgmq.create('jobs_dlq')")
    conn.execute(KEY_INDEX)
    (queue,) = open_queues(conn, [("jobs", "jobs_dlq")], classes={"jobs": kind}, keeping=["jobs"])
    for key in "ab":
        conn.execute("SELECT pgmq.send('jobs', '{}', jsonb_build_object('x-pgmq-group', %s::text))", [key])
    stale = queue.claim(conn, limit=2, lease=0)
    held = queue.claim(conn, limit=2, lease=60)
    assert queue.ack(conn, stale) == set()
    assert all(conn.execute(queue.spell_ack(some)).rowcount == 0 for some in (stale, stale[:1]))
    assert count_archived(conn, "jobs") == 0
    assert conn.execute(queue.spell_ack(held[:1])).rowcount == 1
    assert queue.ack(conn, held) == {held[1].msg_id}
    assert conn.execute("SELECT msg_id, read_ct FROM pgmq.a_jobs ORDER BY msg_id").fetchall() == [
        (1, 2),
        (2, 2),
    ]


def test_workers_prune_messages_older_than_declared(bench: Bench) -> None:
    bench.declare("def handle(change: Change) -> None: ...", archive=Archive(keep=3600))
    bench.conn.execute(FILL.replace("events", "jobs"), ["2 hours", 1, 2500])
    bench.conn.execute(FILL.replace("events", "jobs"), ["30 minutes", 5001, 5003])
    with bench.worker():
        bench.wait(lambda: bench.count("pgmq.a_jobs") == 3)
        bench.wait(lambda: '"archive pruned"' in bench.log)


def test_an_archive_is_pruned_in_batches_the_oldest_first_by_one_process_at_a_time(
    conn: Connection, database: str, tmp_path: Path
) -> None:
    change(conn, tmp_path, SPEC)
    conn.execute(FILL, ["3 days", 1, 3])
    conn.execute(FILL, ["2 days", 4, 5])
    conn.execute(FILL, ["1 hour", 6, 6])
    with psycopg.connect(database) as other, other.transaction():
        assert prune(other, queue="events", keep=86400, limit=2) == 2
        assert prune(conn, queue="events", keep=86400, limit=2) is None
    assert count_archived(conn) == 4
    assert [prune(conn, queue="events", keep=86400, limit=2) for _ in range(2)] == [2, 1]
    assert conn.execute("SELECT msg_id FROM pgmq.a_events").fetchall() == [(6,)]


def test_pruning_reads_the_oldest_by_the_index(conn: Connection, tmp_path: Path) -> None:
    change(conn, tmp_path, SPEC)
    conn.execute(FILL, ["2 days", 1, 3])
    conn.execute(FILL, ["1 hour", 11, 20_000])
    conn.execute("VACUUM ANALYZE pgmq.a_events")
    reads = "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname = 'a_events'"
    with conn.transaction():
        before = conn.execute(reads).fetchone()
        assert prune(conn, queue="events", keep=86400) == 3
        assert conn.execute(reads).fetchone() == before


def test_maintain_prunes_every_archive_and_says_how_much(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    change(conn, tmp_path, SPEC)
    conn.execute(FILL, ["2 days", 1, 2100])
    conn.execute(FILL, ["1 hour", 3000, 3000])
    done = run_changelane("maintain")
    assert (done.returncode, done.stdout) == (0, "Project shop\nevents: 2,100 archived messages pruned\n"), (
        done.stderr
    )
    assert count_archived(conn) == 1
    done = run_changelane("maintain", "events", "--format", "json")
    assert json.loads(done.stdout) == {
        "format_version": 1,
        "queues": [
            {
                "queue": "events",
                "kind": "logged",
                "pruned": 0,
                "made": [],
                "dropped": [],
                "moved": 0,
                "letters": 0,
            },
        ],
    }


def test_maintain_waits_for_a_worker_that_prunes_and_says_which_archive_was_not_pruned(
    conn: Connection, database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    change(conn, tmp_path, SPEC)
    conn.execute(FILL, ["2 days", 1, 3])
    with psycopg.connect(database) as other, other.transaction(force_rollback=True):
        assert prune(other, queue="events", keep=86400) == 3
        done = run_changelane("maintain", "--max-wait", "300ms")
    assert (done.returncode, done.stdout) == (75, "Project shop\n")
    assert "another process prunes the archive of queue events" in done.stderr
    assert count_archived(conn) == 3


def test_maintain_knows_its_queues(conn: Connection, tmp_path: Path, run_changelane: RunChangelane) -> None:
    change(conn, tmp_path, SPEC)
    done = run_changelane("maintain", "event")
    assert (done.returncode, "did you mean `events`?" in done.stderr) == (1, True)
    conn.execute("SELECT pgmq.drop_queue('events')")
    done = run_changelane("maintain")
    assert (done.returncode, "run `changelane apply`" in done.stderr) == (1, True)
    change(conn, tmp_path, SPEC.replace("{archive: {keep: 1 day}}", "{}"))
    done = run_changelane("maintain")
    assert (done.returncode, done.stdout) == (
        0,
        "Project shop\nNo queue has an archive or dead letters to prune, or partitions.\n",
    )


def test_an_archive_gets_the_index_that_pruning_needs_whoever_made_the_queue(
    conn: Connection, tmp_path: Path
) -> None:
    indexes = (
        "SELECT indexname FROM pg_indexes WHERE tablename = 'a_events' AND indexdef LIKE '%(archived_at)'"
    )
    conn.execute("SELECT pgmq.create('events')")
    conn.execute("DROP INDEX pgmq.archived_at_idx_events")
    change(conn, tmp_path, SPEC)
    assert conn.execute(indexes).fetchall() == [("a_events_age_idx",)]


def test_an_archive_that_is_no_longer_declared_is_left_alone_and_the_plan_says_so(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    change(conn, tmp_path, SPEC)
    conn.execute(FILL, ["9 days", 1, 3])
    without = change(conn, tmp_path, SPEC.replace("{archive: {keep: 1 day}}", "{}"))
    note = (
        "queue events: `archive` is not declared: the messages in its archive stay, and nothing prunes them"
    )
    assert note in look(conn, without).notes
    assert run_changelane("maintain").returncode == 0
    assert count_archived(conn) == 3
