"""Times beyond Python's range, ids that restart, and reads by other consumers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg import sql
from support.command_line import RunChangelane
from support.deployment import bring, declare
from support.workers import Bench

from changelane.contract.manifest import Archive, Retry
from changelane.runner.dashboard.data.samples import QueueStats
from changelane.runner.dashboard.data.samples import peek as peek_depth
from changelane.runner.doctor.examine import examine
from changelane.runner.operate.peek import peek
from changelane.runner.operate.unblock import list_blocked
from changelane.runner.queue.fenced import open_queues
from changelane.runner.queue.identity import find_queue

CHANGE = {
    "op": "insert", "schema": "public", "table": "things", "key": {"id": 1}, "new": {"id": 1, "value": 1},
    "old": None, "txid": "7", "at": "2026-11-22T18:54:03+00:00",
}  # fmt: skip
NOTE = """
    def handle(change: Change, tx: psycopg.Connection) -> None:
        tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.attempt])
"""


def insert(bench: Bench, **columns: Any) -> int:
    """A message as anyone may write it; returns its id."""
    columns = {"vt": "now", "message": json.dumps(CHANGE), "headers": '{"route": "things"}', **columns}
    query = sql.SQL("INSERT INTO pgmq.q_jobs ({}) VALUES ({}) RETURNING msg_id").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(sql.Placeholder() * len(columns))
    )
    row = bench.conn.execute(query, list(columns.values())).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("ordering", ["none", "key"])
def test_times_beyond_pythons_are_never_due_or_long_due_and_shown(
    bench: Bench, run_changelane: RunChangelane, ordering: str
) -> None:
    bench.conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    bench.declare(NOTE, mode="transactional", ordering=ordering)
    far = ["infinity", "12026-01-01 00:00:00Z", "294276-01-01 00:00:00Z"]
    old = ["-infinity", "0044-03-15 00:00:00Z BC", "0001-01-01 00:00:00Z"]
    due = [insert(bench, vt=vt) for vt in old]
    due += [insert(bench, enqueued_at=at) for at in old + far]
    never = [insert(bench, vt=vt) for vt in far]
    messages = peek(bench.conn, find_queue(bench.conn, "jobs"), limit=100).messages
    states = {message.id: message.state for message in messages}
    assert states == {**dict.fromkeys(due, "available"), **dict.fromkeys(never, "delayed")}
    shown = run_changelane("peek", "jobs", "--state", "delayed").stdout
    assert shown.count("never") == 3
    assert run_changelane("peek", "jobs", "--format", "json").returncode == 0
    bench.drain("--metrics-port", "0")
    assert sorted(row[0] for row in bench.rows("SELECT msg_id FROM effects")) == due
    assert "never due" in bench.log
    assert bench.queued == 3
    # A release must not move a message behind all later ones.
    bench.conn.execute("UPDATE pgmq.q_jobs SET vt = '-infinity', enqueued_at = 'infinity'")
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            if not Path(f"once{change.msg_id}").exists():
                Path(f"once{change.msg_id}").touch()
                tx.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
        """,
        mode="transactional",
        ordering=ordering,
    )
    bench.drain()
    assert bench.queued == 0


def test_a_block_is_known_by_its_note_and_not_by_its_time(
    bench: Bench, run_changelane: RunChangelane
) -> None:
    bench.conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    group = json.dumps({"route": "things", "x-pgmq-group": "a"})
    bench.declare(
        "def handle(change: Change) -> None: raise ValueError('no')",
        ordering="key",
        on_exhausted="block",
        retry=Retry(attempts=1),
    )
    blocked = insert(bench, headers=group)
    delayed = insert(bench, vt="2999-01-01 00:00:00Z")
    with bench.worker() as process:
        bench.wait(lambda: "blocked" in bench.log)
        process.terminate()
        process.wait(20)
    queue = find_queue(bench.conn, "jobs")
    states = {message.id: message.state for message in peek(bench.conn, queue).messages}
    assert states == {blocked: "blocked", delayed: "delayed"}
    assert [message.id for message in list_blocked(bench.conn, "jobs")] == [blocked]
    # The release note belongs to one delivery; after another read, the message is leased.
    bench.conn.execute("UPDATE pgmq.q_jobs SET vt = now() + interval '1 h', read_ct = read_ct + 1")
    states = {message.id: message.state for message in peek(bench.conn, queue).messages}
    assert states == {blocked: "leased", delayed: "leased"}
    bench.conn.execute("UPDATE pgmq.q_jobs SET read_ct = read_ct - 1, vt = 'infinity'")
    assert run_changelane("unblock", "jobs", "--retry").returncode == 0
    assert bench.rows("SELECT vt <= now() FROM pgmq.q_jobs ORDER BY msg_id") == [(True,), (False,)]


def test_a_message_that_is_null_is_shown_and_settled(bench: Bench, run_changelane: RunChangelane) -> None:
    bench.declare(NOTE, mode="transactional")
    insert(bench, message=None)
    for form in ("text", "json"):
        done = run_changelane("peek", "jobs", "--id", "1", "--format", form)
        assert "null" in done.stdout, done.stderr
    bench.drain()
    assert len(bench.dead) == 1
    row = bench.rows("SELECT message FROM pgmq.q_jobs_dlq")
    assert row == [(None,)]
    for form in ("text", "json"):
        assert run_changelane("dead-letter", "list", "jobs", "--format", form).returncode == 0
    assert "null" in run_changelane("dead-letter", "show", "jobs", "--id", "1").stdout
    assert run_changelane("dead-letter", "redrive", "jobs").returncode == 0
    assert bench.queued == 1


def test_the_oldest_is_of_those_that_are_due_and_the_others_are_counted_apart(bench: Bench) -> None:
    hour = "now() - interval '1 h'"
    bench.conn.execute(f"""
        INSERT INTO pgmq.q_jobs (vt, enqueued_at, message, headers, read_ct) VALUES
            (now() + interval '1 h', {hour}, '1', NULL, 0),
            (now() + interval '100 y', {hour}, '1', '{{"changelane": {{"blocked": true, "seen": 1}}}}', 1),
            (now() + interval '1 min', now(), '1', NULL, 1),
            (now() + interval '1 min', {hour}, '1', '{{"changelane": {{"returned": 7, "seen": 8}}}}', 8)
    """)
    from changelane.runner.work.process.metrics import _compose

    (queue,) = open_queues(bench.conn, [("jobs", "jobs_dlq")])

    def ask() -> tuple[Any, ...]:
        consumer: Any = SimpleNamespace(queue=queue, spec=SimpleNamespace(dead_letters=None))
        row: tuple[Any, ...] | None = bench.conn.execute(_compose([consumer])).fetchone()
        assert row is not None
        return row

    assert (ask()[1], *ask()[3:6]) == (4, 2, 1, 1)
    assert ask()[2] < 600
    assert (sample_oldest(bench) or 0) < 600
    bench.conn.execute("DELETE FROM pgmq.q_jobs WHERE msg_id = 3")
    assert ask()[2] == 0
    assert sample_oldest(bench) is None
    bench.conn.execute(
        "INSERT INTO pgmq.q_jobs (vt, enqueued_at, message) VALUES (now(), now() - interval '9 s', '1')"
    )
    assert 9 <= ask()[2] < 600
    assert 9 <= (sample_oldest(bench) or 0) < 600


def sample_oldest(bench: Bench) -> float | None:
    queue = QueueStats(
        name="jobs", table="q_jobs", kind="logged", created_at=None, readable=True, archive="a_jobs",
        archive_readable=True, estimate=0, inserted=0, deleted=0, archived=0, archive_inserted=0,
    )  # fmt: skip
    return peek_depth(bench.conn, queue).oldest


def test_reads_of_other_consumers_make_no_suspects(bench: Bench) -> None:
    # No other message is delayed or charged: a suspect's attempt is noted before its handler runs.
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            query = "SELECT headers->'changelane'->'attempts' FROM pgmq.q_jobs WHERE msg_id = %s"
            with psycopg.connect(os.environ["DATABASE_URL"]) as conn:
                ((charged,),) = conn.execute(query, [change.msg_id]).fetchall()
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, charged])
            if not Path(f"once{change.msg_id}").exists():
                Path(f"once{change.msg_id}").touch()
                raise ValueError
        """,
        mode="transactional",
        retry=Retry(attempts=3, first=0.5, max=0.6),
    )
    for count in (0, 1, 2, 5, 1000):
        insert(bench, read_ct=count)
    with bench.worker("--drain") as process:
        while process.poll() is None:
            # Others read on, between the attempts.
            bench.conn.execute(
                "UPDATE pgmq.q_jobs SET read_ct = read_ct + 3 WHERE vt > now() + interval '50 ms'"
                " AND headers->'changelane'->'seen' = to_jsonb(read_ct)"
            )
        assert process.wait() == 0, bench.log
    assert bench.rows("SELECT count(*), count(value), max(value) FROM effects") == [(5, 5, 1)]
    assert bench.dead == []


@pytest.mark.parametrize("mode", ["at_least_once", "transactional"])
def test_ids_that_begin_again_fail_no_ack(bench: Bench, mode: str) -> None:
    takes = "change: Change, tx" if mode == "transactional" else "change: Change"
    bench.declare(
        f"def handle({takes}) -> None: note(change.msg_id)", mode=mode, archive=Archive(keep=3600), batch=10
    )
    for _ in range(3):
        bench.conn.execute("SELECT setval(pg_get_serial_sequence('pgmq.q_jobs', 'msg_id'), 1, false)")
        bench.send("1", "2", "3")
        bench.drain()
    assert sorted(bench.notes) == ["1"] * 3 + ["2"] * 3 + ["3"] * 3
    archived = [row[0] for row in bench.rows("SELECT msg_id FROM pgmq.a_jobs ORDER BY msg_id")]
    assert archived[:3] == [1, 2, 3]
    assert len(archived) == 9
    assert all(msg_id > 10**15 for msg_id in archived[3:])


def test_the_doctor_names_sequences_messages_that_return_and_those_never_due(
    bench: Bench, tmp_path: Path
) -> None:
    declared = declare(
        bench.conn,
        tmp_path,
        "version: 1\nproject: shop\nqueues: {jobs: {}}\nconsumers: {jobs: {handler: 'a:b'}}\n",
    )
    bring(bench.conn, declared)
    insert(bench, vt="-infinity")
    insert(bench, vt="infinity")
    note = {"changelane": {"returned": 7, "seen": 8, "error": "ReadOnlySqlTransaction: no"}}
    msg_id = insert(bench, read_ct=8, headers=json.dumps(note))
    found = {finding.code: finding for finding in examine(bench.conn, declared.manifest)}
    assert "ids-again" not in found
    assert f"message {msg_id} of queue jobs came back 7 times" in found["message-returns"].what
    assert "never-due" in found
    bench.conn.execute("SELECT setval(pg_get_serial_sequence('pgmq.q_jobs', 'msg_id'), 1)")
    found = {finding.code: finding for finding in examine(bench.conn, declared.manifest)}
    assert (
        found["ids-again"].what
        == "sequence pgmq.q_jobs_msg_id_seq gave 1 last, and pgmq.q_jobs holds message 3"
    )
    bench.conn.execute(found["ids-again"].fix.encode())
    assert "ids-again" not in {finding.code for finding in examine(bench.conn, declared.manifest)}
