"""The outcomes of messages, by real worker processes on a real server."""

from __future__ import annotations

import json
import signal

import pytest
from support.command_line import RunChangelane
from support.workers import Bench

from changelane.contract.manifest import Retry

INSERT = """
    def handle(change: Change, tx: psycopg.Connection) -> None:
        tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
"""


def test_a_transactional_handler_writes_once_per_message(bench: Bench) -> None:
    bench.declare(INSERT, mode="transactional")
    ids = bench.send(*map(str, range(30)))
    bench.drain()
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in ids]


def test_an_async_transactional_handler_writes_once_per_message(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(change: Change, tx: psycopg.AsyncConnection) -> None:
            await tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
        """,
        mode="transactional",
    )
    ids = bench.send(*map(str, range(30)))
    bench.drain()
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in ids]


def test_a_batch_handler_gets_up_to_batch_changes_in_order(bench: Bench) -> None:
    bench.declare(
        """
        def handle(changes: list[Change]) -> None:
            note([int(change.new["value"]) for change in changes])
        """,
        batch=4,
        concurrency=1,
    )
    bench.send(*map(str, range(6)))
    bench.drain()
    assert bench.notes == ["[0, 1, 2, 3]", "[4, 5]"]


def test_a_failed_batch_counts_an_attempt_for_each_of_its_messages(bench: Bench) -> None:
    bench.declare(
        """
        def handle(changes: list[Change], tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (1, 1)")
            raise ValueError("none of these")
        """,
        mode="transactional",
        retry=Retry(attempts=2, first=0.1),
    )
    bench.send("1", "2", "3")
    bench.drain()
    assert [headers["dead_letter"]["attempts"] for headers in bench.dead] == [2, 2, 2]
    assert bench.count("effects") == 0


def test_numbers_reach_the_handler_exactly(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            value = change.new["value"]
            note(f"{type(value).__name__} {value}" if len(str(value)) < 4000 else f"long {len(str(value))}")

        import sys
        sys.set_int_max_str_digits(0)
        """,
        concurrency=1,
    )
    numbers = ["12.50", "0.1234567890123456789012345678901234567890", "9223372036854775808", "1e30"]
    bench.send(*numbers, "9" * 5000)
    bench.drain()
    assert bench.notes == [
        "Decimal 12.50",
        "Decimal 0.1234567890123456789012345678901234567890",
        "int 9223372036854775808",
        "int 1000000000000000000000000000000",
        "long 5000",
    ]


def test_a_failing_message_is_retried_and_then_dead_lettered_with_its_reason(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(change.attempt)
            raise ValueError("no such thing")
        """
    )
    (msg_id,) = bench.send("1.50", headers={"route": "things", "traceparent": "00-1-2-01"})
    bench.drain()
    assert bench.notes == ["1", "2", "3"]
    (headers,) = bench.dead
    letter = headers.pop("dead_letter")
    assert headers == {"route": "things", "traceparent": "00-1-2-01"}
    assert (letter["queue"], letter["msg_id"], letter["attempts"]) == ("jobs", msg_id, 3)
    assert letter["error"] == "ValueError: no such thing"
    assert "handlers.py" in letter["traceback"]
    assert letter["failed_at"]
    assert bench.rows("SELECT message->'new'->>'value' FROM pgmq.q_jobs_dlq") == [("1.50",)]
    assert bench.rows("SELECT max(read_ct) FROM pgmq.q_jobs") == [(None,)]


def test_an_exhausted_message_is_archived_where_the_consumer_says_so(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            raise ValueError("no")
        """,
        on_exhausted="archive",
        retry=Retry(attempts=1),
    )
    (msg_id,) = bench.send("1")
    bench.drain()
    assert bench.rows("SELECT msg_id, read_ct FROM pgmq.a_jobs") == [(msg_id, 1)]
    assert bench.dead == []


def test_a_handler_decides_with_retry_discard_and_dead_letter(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            value = change.new["value"]
            if value == 1 and change.attempt == 1:
                raise Retry(after=0.2)
            if value == 2:
                raise Discard
            if value == 3:
                raise DeadLetter("not for us")
        """,
        mode="transactional",
        retry=Retry(attempts=2, first=3600),
    )
    first, _, _ = bench.send("1", "2", "3")
    bench.drain()
    assert bench.rows("SELECT msg_id FROM effects") == [(first,)]
    assert [headers["dead_letter"]["error"] for headers in bench.dead] == ["not for us"]


def test_a_constraint_violation_in_the_handler_counts_as_a_failed_attempt(bench: Bench) -> None:
    bench.conn.execute("ALTER TABLE effects ADD CHECK (value > 0)")
    bench.declare(INSERT, mode="transactional", retry=Retry(attempts=2, first=0.1))
    bench.send("-1")
    bench.drain()
    (headers,) = bench.dead
    assert headers["dead_letter"]["error"].startswith("CheckViolation")
    assert headers["dead_letter"]["attempts"] == 2
    assert "effects_value_check" in bench.log
    assert "Failing row" not in bench.log


def test_a_deferred_constraint_that_fails_at_commit_counts_as_a_failed_attempt(bench: Bench) -> None:
    bench.conn.execute("ALTER TABLE effects ADD UNIQUE (value) DEFERRABLE INITIALLY DEFERRED")
    bench.declare(INSERT, mode="transactional", concurrency=1, retry=Retry(attempts=1))
    bench.send("1", "1")
    bench.drain()
    assert bench.count("effects") == 1
    assert [headers["dead_letter"]["attempts"] for headers in bench.dead] == [1]


@pytest.mark.parametrize(
    "statement", ["tx.execute('COMMIT')", "tx.commit()", "tx.close()", "swallow(tx)"], ids=str
)
def test_a_handler_that_meddles_with_its_transaction_fails_and_leaves_nothing(
    bench: Bench, statement: str
) -> None:
    bench.declare(
        f"""
        def swallow(tx):
            try:
                tx.execute("SELECT 1/0")
            except psycopg.Error:
                pass

        def handle(change: Change, tx: psycopg.Connection) -> None:
            {statement}
        """,
        mode="transactional",
        retry=Retry(attempts=1),
    )
    bench.send("1")
    bench.drain()
    assert len(bench.dead) == 1


def test_a_message_that_is_not_a_change_goes_to_the_dead_letters(bench: Bench) -> None:
    bench.declare(INSERT, mode="transactional")
    bench.conn.execute("SELECT pgmq.send('jobs', '[1]'), pgmq.send('jobs', '{\"op\": \"insert\"}')")
    bench.drain()
    assert {headers["dead_letter"]["error"] for headers in bench.dead} == {
        "the message is not a JSON object",
        "the message is not a change: it lacks 'schema'",
    }


def test_an_async_handler_past_its_timeout_is_cancelled_and_fails(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(change: Change) -> None:
            await asyncio.sleep(60)
        """,
        timeout=0.3,
        retry=Retry(attempts=1),
    )
    bench.send("1")
    bench.drain()
    assert "timeout of 0.3 s" in bench.dead[0]["dead_letter"]["error"]


def test_a_query_of_an_async_handler_is_cancelled_with_it_and_its_connection_goes_on(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(change: Change, tx: psycopg.AsyncConnection) -> None:
            await tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            if change.new["value"] == 1:
                await tx.execute("SELECT pg_sleep(60)")
        """,
        mode="transactional",
        timeout=0.5,
        concurrency=1,
        retry=Retry(attempts=1),
    )
    _, second = bench.send("1", "2")
    bench.drain()
    assert "timeout of 0.5 s" in bench.dead[0]["dead_letter"]["error"]
    assert bench.rows("SELECT msg_id FROM effects") == [(second,)]


def test_a_plain_handler_past_its_timeout_fails_and_its_transaction_ends(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            time.sleep(2 if change.attempt == 1 else 0)
        """,
        mode="transactional",
        timeout=0.5,
    )
    bench.send("1")
    bench.drain()
    assert bench.count("effects") == 1
    assert bench.dead == []
    assert "keeps its slot" in bench.log


def test_an_async_handler_that_blocks_its_loop_is_fenced_out_and_holds_up_no_other_queue(
    bench: Bench,
) -> None:
    bench.conn.execute("SELECT pgmq.create('others'), pgmq.create('others_dlq')")
    bench.declare(
        """
        async def block(change: Change, tx: psycopg.AsyncConnection) -> None:
            await tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            if change.attempt == 1:
                while not Path("go").exists():
                    time.sleep(0.02)

        async def pass_by(change: Change) -> None:
            note("other")
        """,
        mode="transactional",
        timeout=0.5,
    )
    manifest = bench.folder / "sql_out" / "manifest.json"
    data = json.loads(manifest.read_text())
    (consumer,) = data["consumers"]
    other = {
        **consumer,
        "queue": "others",
        "dead_letter": "others_dlq",
        "mode": "at_least_once",
        "handler": "handlers:pass_by",
    }
    data["consumers"] = [{**consumer, "handler": "handlers:block"}, other]
    manifest.write_text(json.dumps(data))
    bench.send("1")
    with bench.worker() as process:
        bench.wait(lambda: "blocks its event loop" in bench.log)
        bench.conn.execute("SELECT pgmq.send('others', message, headers) FROM pgmq.q_jobs")
        bench.wait(lambda: bench.notes == ["other"])
        assert bench.count("effects") == 0
        (bench.folder / "go").touch()
        bench.wait(lambda: bench.queued == 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert bench.count("effects") == 1
    assert bench.dead == []


def test_drain_waits_for_delayed_messages(bench: Bench) -> None:
    bench.declare(INSERT, mode="transactional")
    bench.send("1", delay=2)
    bench.send("2")
    bench.drain()
    assert bench.count("effects") == 2


def test_several_processes_share_a_queue(bench: Bench) -> None:
    bench.declare(INSERT, mode="transactional", batch=2)
    bench.send(*map(str, range(40)))
    bench.drain("--processes", "2")
    assert bench.rows("SELECT count(*), count(DISTINCT msg_id) FROM effects") == [(40, 40)]


def test_a_child_that_is_killed_is_started_again(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(os.getpid())
            if change.attempt == 1 and not Path("died").exists():
                Path("died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        """,
        lease=1,
    )
    bench.send("1")
    bench.drain("--processes", "2")
    assert len(set(bench.notes)) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_signal_ends_the_worker_in_order(
    bench: Bench, number: signal.Signals, code: int, processes: str
) -> None:
    bench.declare("def handle(change: Change) -> None: note(change.msg_id)")
    bench.send("1")
    with bench.worker("--processes", processes) as process:
        bench.wait(lambda: bench.notes and not bench.queued)
        process.send_signal(number)
        assert process.wait(30) == code
    assert "Traceback" not in bench.log


def test_a_missing_queue_and_a_wrong_name_are_said(bench: Bench, run_changelane: RunChangelane) -> None:
    bench.declare(INSERT, mode="transactional")
    wrong = run_changelane("work", "job")
    assert wrong.returncode == 1
    assert "did you mean `jobs`?" in wrong.stderr
    bench.conn.execute("SELECT pgmq.drop_queue('jobs')")
    missing = run_changelane("work", "--drain")
    assert missing.returncode == 1
    assert "queue jobs does not exist" in missing.stderr
    assert "changelane apply" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_handler_errors_are_said_before_the_first_claim(bench: Bench, run_changelane: RunChangelane) -> None:
    bench.declare("def handle(change: Change, tx: psycopg.Connection) -> None: ...\nimport nowhere")
    bench.send("1")
    result = run_changelane("work", "--drain")
    assert result.returncode == 1
    assert "consumer jobs: handler handlers:handle cannot be imported" in result.stderr
    assert "handlers.py:12: ModuleNotFoundError" in result.stderr
    assert "Traceback" not in result.stderr
    assert bench.rows("SELECT read_ct FROM pgmq.q_jobs") == [(0,)]
