"""Commands on queues: peek, send and purge, and actions on single messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.command_line import RunChangelane
from support.workers import Bench

from changelane.contract.manifest import Retry
from changelane.contract.schema import SCHEMA_SQL
from changelane.errors import ChangelaneError, DatabaseError
from changelane.runner.operate import settle_one as messages
from changelane.runner.operate.peek import LOOK, peek
from changelane.runner.operate.purge import purge
from changelane.runner.operate.send import send
from changelane.runner.queue.identity import Queue, find_queue

Connection = psycopg.Connection[Any]
OLD = (Path(__file__).parent.parent / "support" / "pgmq_1_5.sql").read_text()
WAKE = "LISTEN changelane_jobs"


@pytest.fixture
def queue(conn: Connection) -> Queue:
    conn.execute("SELECT pgmq.create('jobs')")
    return find_queue(conn, "jobs")


def fill(conn: Connection, count: int, *, vt: str = "now()") -> None:
    conn.execute(
        sql.SQL(
            "INSERT INTO pgmq.q_jobs (vt, message) "
            "SELECT {}, jsonb_build_object('n', n) FROM generate_series(1, %s) AS n"
        ).format(sql.SQL(vt)),
        [count],
    )


def list_states(conn: Connection, queue: Queue) -> dict[int, str]:
    return {message.id: message.state for message in peek(conn, queue).messages}


def test_a_peek_changes_nothing(conn: Connection, queue: Queue) -> None:
    fill(conn, 3)
    before = conn.execute("SELECT * FROM pgmq.q_jobs ORDER BY 1").fetchall()
    assert [message.id for message in peek(conn, queue).messages] == [1, 2, 3]
    assert conn.execute("SELECT * FROM pgmq.q_jobs ORDER BY 1").fetchall() == before


def test_every_state_is_told_apart(bench: Bench) -> None:
    conn = bench.conn
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 1:
                raise ValueError("no")
        """,
        retry=Retry(attempts=5, first=600, max=600),
    )
    bench.send("1")
    with bench.worker() as process:
        bench.wait(lambda: "attempts" in bench.headers)
        process.terminate()
        process.wait()
    bench.send("2", delay=600)
    bench.send("3", "4")
    queue = find_queue(conn, "jobs")
    (held,) = conn.execute("SELECT msg_id FROM pgmq.read('jobs', 600, 1)").fetchall()[0]
    conn.execute(
        "UPDATE pgmq.q_jobs SET vt = now() + interval '100 years',"
        ' headers = headers || \'{"changelane": {"blocked": true}}\' WHERE msg_id = 4'
    )
    conn.execute("SELECT pgmq.send('jobs', '{}'), pgmq.archive('jobs', 5)")
    assert list_states(conn, queue) == {1: "delayed", 2: "delayed", held: "leased", 4: "blocked"}
    retried = peek(conn, queue, state="delayed").messages[0]
    assert (retried.attempts, retried.error) == (1, "ValueError: no")
    for state, ids in (("leased", [held]), ("blocked", [4]), ("archived", [5]), ("available", [])):
        assert [message.id for message in peek(conn, queue, state=state).messages] == ids  # type: ignore[arg-type]


def test_pages_follow_one_another_in_both_directions(conn: Connection, queue: Queue) -> None:
    fill(conn, 25)
    for newest, ids in ((False, list(range(1, 26))), (True, list(range(25, 0, -1)))):
        seen: list[int] = []
        after: int | None = None
        while True:
            page = peek(conn, queue, limit=10, after=after, newest=newest)
            seen += [message.id for message in page.messages]
            if page.next is None:
                break
            after = page.next
        assert seen == ids


def test_rare_messages_of_a_deep_queue_are_found_page_by_page(conn: Connection, queue: Queue) -> None:
    fill(conn, LOOK + 500, vt="now() + interval '1 hour'")
    fill(conn, 1)
    first = peek(conn, queue, state="available")
    assert first.messages == ()
    assert first.next == LOOK
    assert [message.id for message in peek(conn, queue, state="available", after=first.next).messages] == [
        LOOK + 501
    ]


@pytest.mark.parametrize("state", [None, "available", "delayed", "leased", "blocked"])
def test_a_page_reads_few_pages_of_a_deep_queue(conn: Connection, queue: Queue, state: Any) -> None:
    if conn.info.server_version < 150000:
        pytest.skip("Postgres 14 tells what was read only later")
    fill(conn, 200_000)
    fill(conn, 100, vt="now() + interval '1 hour'")
    conn.execute("VACUUM ANALYZE pgmq.q_jobs")
    read = "SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables WHERE relname = 'q_jobs'"

    def count() -> int:
        conn.execute("SELECT pg_stat_force_next_flush()")
        row = conn.execute(read).fetchone()
        assert row is not None
        return int(row[0])

    size = conn.execute("SELECT pg_relation_size('pgmq.q_jobs') / 8192").fetchone()
    before = count()
    peek(conn, queue, state=state)
    assert size is not None
    assert count() - before < size[0] / 5


def test_messages_are_searched_by_an_expression_that_can_do_no_harm(conn: Connection, queue: Queue) -> None:
    fill(conn, 30)
    found = peek(conn, queue, where="(message->>'n')::int % 10 = 0")
    assert [message.id for message in found.messages] == [10, 20, 30]
    for hostile in (
        "true) OR (true",
        "true; DELETE FROM pgmq.q_jobs",
        "pg_sleep('x')",
        "nothing = 1",
        "\ud800",
    ):
        with pytest.raises(ChangelaneError, match="--where"):
            peek(conn, queue, where=hostile)
    assert len(peek(conn, queue, limit=100).messages) == 30


def test_a_search_that_takes_long_gives_up_and_says_so(
    conn: Connection, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(conn, 30)
    monkeypatch.setattr("changelane.runner.operate.peek.SECONDS", 0.2)
    with pytest.raises(ChangelaneError, match=r"could not be searched in 0\.2 s"):
        peek(conn, queue, where="pg_sleep(1) IS NULL")


def test_an_unknown_queue_is_named_with_one_that_is_meant(conn: Connection, queue: Queue) -> None:
    with pytest.raises(DatabaseError) as caught:
        find_queue(conn, "job")
    assert caught.value.fix == "did you mean `jobs`?"


@pytest.mark.parametrize("name", ["MixedCase", "with blank"])
def test_a_queue_made_by_others_under_any_name_is_handled(conn: Connection, name: str) -> None:
    conn.execute("SELECT pgmq.create(%s)", [name])
    queue = find_queue(conn, name)
    sent = send(conn, queue, "1")
    assert [message.id for message in peek(conn, queue).messages] == [sent]
    assert messages.archive(conn, queue, id=sent, deliveries=0)
    send(conn, queue, "2")
    assert sum(purge(conn, queue)) == 1


def test_a_message_sent_by_hand_is_exact_and_keeps_the_order_of_its_key(
    conn: Connection, queue: Queue
) -> None:
    text = (
        '{"key": {"id": 7}, "n": 12345678901234567890.123456789012345678901234567890, "s": "\\ud83d\\ude00"}'
    )
    msg_id = send(conn, queue, text, headers='{"by": "hand"}')
    row = conn.execute("SELECT msg_id, message = %s::jsonb, headers FROM pgmq.q_jobs", [text]).fetchone()
    assert row == (msg_id, True, {"by": "hand", "x-pgmq-group": '{"id": 7}'})
    send(conn, queue, text, group="seven", delay=60)
    row = conn.execute(
        "SELECT headers, vt - enqueued_at > interval '50 s' FROM pgmq.q_jobs WHERE msg_id = 2"
    ).fetchone()
    assert row == ({"x-pgmq-group": "seven"}, True)


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        ("{", "{}"),
        ("NaN", "{}"),
        ('"\\u0000"', "{}"),
        ("1e999999", "{}"),
        ("{}", "[]"),
        ("{}", "{"),
        ("\ud800", "{}"),
    ],
)
def test_text_that_is_no_json_is_not_sent(conn: Connection, queue: Queue, message: str, headers: str) -> None:
    with pytest.raises(ChangelaneError):
        send(conn, queue, message, headers=headers)
    assert peek(conn, queue).messages == ()


def test_a_message_sent_by_hand_wakes_a_sleeping_worker(bench: Bench) -> None:
    schema = SCHEMA_SQL
    bench.conn.execute(schema.encode())
    bench.conn.execute("INSERT INTO changelane.sleepers VALUES ('jobs', now() + interval '1 hour')")
    with psycopg.connect(bench.url, autocommit=True) as listener:
        listener.execute(WAKE)
        send(bench.conn, find_queue(bench.conn, "jobs"), "{}")
        assert [note.channel for note in listener.notifies(timeout=20, stop_after=1)] == ["changelane_jobs"]


def test_one_message_is_settled_only_as_it_was_seen(conn: Connection, queue: Queue) -> None:
    fill(conn, 3)
    conn.execute("SELECT pgmq.read('jobs', 600, 3)")
    for settle in (messages.archive, messages.delete, messages.release):
        assert not settle(conn, queue, id=1, deliveries=0)
    assert messages.archive(conn, queue, id=1, deliveries=1)
    assert messages.delete(conn, queue, id=2, deliveries=1)
    assert messages.release(conn, queue, id=3, deliveries=1)
    assert not messages.delete(conn, queue, id=2, deliveries=1)
    assert list_states(conn, queue) == {3: "available"}
    assert [message.id for message in peek(conn, queue, state="archived").messages] == [1]


def test_a_purge_deletes_what_is_there_when_it_begins(conn: Connection, queue: Queue) -> None:
    fill(conn, 25)
    conn.execute("SELECT pgmq.read('jobs', 600, 5), pgmq.archive('jobs', 7)")
    batches = purge(conn, queue, batch=10)
    assert next(batches) == 10
    fill(conn, 2)
    assert list(batches) == [10, 4]
    assert len(peek(conn, queue).messages) == 2
    assert len(peek(conn, queue, state="archived").messages) == 1


def test_a_queue_of_the_oldest_pgmq_is_seen_and_touched(bare_database: str) -> None:
    with psycopg.connect(bare_database, autocommit=True) as conn:
        conn.execute(OLD.encode())
        conn.execute("SELECT pgmq.create('jobs')")
        queue = find_queue(conn, "jobs")
        assert send(conn, queue, "{}") == 1
        assert send(conn, queue, "{}") == 2
        assert messages.archive(conn, queue, id=1, deliveries=0)
        assert [message.state for message in peek(conn, queue, state="archived").messages] == ["archived"]
        assert list(purge(conn, queue)) == [1]


def test_the_list_shows_the_beginning_of_a_message_that_is_no_change(
    conn: Connection, queue: Queue, run_changelane: RunChangelane
) -> None:
    for body in ('{"to": "ada"}', '"' + "x" * 100 + '"', "null"):
        conn.execute("SELECT pgmq.send('jobs', %s::jsonb)", [body])
    rows = run_changelane("peek", "jobs").stdout.splitlines()[1:]
    assert [row.split("  ")[-1] for row in rows] == ['{ "to": "ada" }', '"' + "x" * 56 + "...", "null"]


def test_the_commands_send_show_and_purge(
    conn: Connection, queue: Queue, run_changelane: RunChangelane
) -> None:
    assert run_changelane("send", "jobs", '{"op": "ping", "n": 1.10}').stdout == "1\n"
    assert (
        run_changelane("send", "jobs", "-", "--delay", "1h", input='{"text": "\\u001b[2J"}').stdout == "2\n"
    )
    table = run_changelane("peek", "jobs").stdout.splitlines()
    assert [line.split()[:2] for line in table[1:]] == [["1", "available"], ["2", "delayed"]]
    whole = run_changelane("peek", "jobs", "--id", "1").stdout
    assert '"n": 1.10' in whole
    data = json.loads(run_changelane("peek", "jobs", "--format", "json", "--limit", "1").stdout)
    assert [entry["id"] for entry in data["messages"]] == [1]
    assert data["next"] == 1
    refused = run_changelane("purge", "jobs")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert run_changelane("purge", "jobs", "--yes").stdout == "2 messages of jobs deleted.\n"
    assert run_changelane("peek", "jobs").stderr == "no messages\n"


def test_a_terminal_cannot_be_played_with(
    conn: Connection, queue: Queue, run_changelane: RunChangelane
) -> None:
    conn.execute(
        "SELECT pgmq.send('jobs', %s::jsonb)",
        ['{"key": "\\u001b[2J", "op": "\\u0007", "table": "\\u009b1m"}'],
    )
    for arguments in (["peek", "jobs"], ["peek", "jobs", "--id", "1"]):
        shown = run_changelane(*arguments).stdout
        assert not any(letter in shown for letter in "\x1b\x07\x9b")
