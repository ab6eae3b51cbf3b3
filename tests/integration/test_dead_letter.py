"""Dead letters by the command line, on a real server."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.workers import Bench

from changelane.cli import main
from changelane.errors import ChangelaneError
from changelane.runner.operate.dead_letter import DeadLetterQueue, choose, discard, redrive
from changelane.runner.operate.where import LONGEST, evaluate

DEAD_LETTERS = DeadLetterQueue("jobs_dlq", "jobs")


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    bench.declare("def handle(change: Change) -> None: ...", handler="handlers:handle")
    return bench


@pytest.fixture
def ask(bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run ``changelane dead-letter ...`` in this process; returns exit code, stdout and stderr."""
    monkeypatch.chdir(bench.folder)
    monkeypatch.setenv("DATABASE_URL", bench.url)

    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["dead-letter", *arguments])
        return stop.value.code, *capsys.readouterr()

    return run


def bury(bench: Bench, number: int = 3, **headers: Any) -> None:
    """Dead letters with ids from 1, as the worker writes them; their keys and former ids are 11, 12, ..."""
    for index in range(1, number + 1):
        note = {
            "queue": "jobs",
            "msg_id": index + 10,
            "attempts": 8,
            "error": f"ValueError: no {index}\nDETAIL: a row",
            "traceback": "Traceback ...\n  handlers.py",
        }
        message = f'{{"op": "insert", "key": {{"id": {index + 10}}}, "new": {{"total": 1.50}}}}'
        head = {"route": "things", "traceparent": "00-1-2-01", "dead_letter": note, **headers}
        bench.conn.execute("SELECT pgmq.send('jobs_dlq', %s::jsonb, %s::jsonb)", [message, json.dumps(head)])


def test_list_says_in_a_line_what_each_died_of(bench: Bench, ask: Any) -> None:
    bury(bench)
    code, out, err = ask("list", "jobs", "--limit", "2")
    head, *lines = out.splitlines()
    assert code == 0
    assert head.split() == ["ID", "FAILED", "AT", "ATTEMPTS", "KEY", "ERROR"]
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert lines[0].endswith('8         {"id": 11}  ValueError: no 1')
    assert "--limit shows more" in err


def test_show_gives_all_of_it_exactly(bench: Bench, ask: Any) -> None:
    bury(bench)
    code, out, _ = ask("show", "jobs_dlq", "--id", "2")
    assert code == 0
    assert "dead letter 2: message 12 of jobs" in out
    assert '"total": 1.50' in out
    assert '"traceparent": "00-1-2-01"' in out
    assert "traceback (its end):\nTraceback ...\n  handlers.py" in out
    assert "DETAIL: a row" in out


def test_json_has_it_all_and_exact(bench: Bench, ask: Any) -> None:
    bury(bench, 1)
    for verb in ("list", "show"):
        _, out, _ = ask(verb, "jobs", "--format", "json")
        (letter,) = json.loads(out)["dead_letters"]
        assert "1.50" in out
        assert (letter["id"], letter["queue"], letter["msg_id"], letter["attempts"]) == (1, "jobs", 11, 8)
        assert letter["key"] == {"id": 11}
        assert letter["headers"] == {"route": "things", "traceparent": "00-1-2-01"}


@pytest.mark.parametrize(
    "headers", [None, "[1]", '"x"', '{"dead_letter": 3}', '{"dead_letter": {"msg_id": []}}']
)
def test_dead_letters_that_no_worker_wrote_are_listed_shown_and_sent_back_too(
    bench: Bench, ask: Any, headers: str | None
) -> None:
    bench.conn.execute("SELECT pgmq.send('jobs_dlq', '[\"\\u001b[2J\"]'::jsonb, %s::jsonb)", [headers])
    assert ask("list", "jobs")[0] == 0
    code, out, _ = ask("show", "jobs")
    assert code == 0
    assert "dead letter 1: unknown origin" in out
    assert "\x1b" not in out
    assert ask("redrive", "jobs")[:2] == (0, "1 dead letter of jobs_dlq sent back to jobs.\n")
    assert bench.rows("SELECT message->>0 FROM pgmq.q_jobs") == [("\x1b[2J",)]


def test_redriven_messages_start_afresh_and_in_order(bench: Bench, ask: Any) -> None:
    bury(bench, changelane={"attempts": 7, "released": 1})
    code, out, _ = ask("redrive", "jobs", "--id", "3", "--id", "1", "--format", "json")
    assert code == 0
    assert json.loads(out)["redriven"] == [{"id": 1, "new_id": 1}, {"id": 3, "new_id": 2}]
    assert bench.rows("SELECT read_ct, message->'key'->>'id', headers FROM pgmq.q_jobs ORDER BY msg_id") == [
        (0, "11", {"route": "things", "traceparent": "00-1-2-01"}),
        (0, "13", {"route": "things", "traceparent": "00-1-2-01"}),
    ]
    assert bench.rows("SELECT msg_id FROM pgmq.q_jobs_dlq") == [(2,)]


def test_a_redriven_message_is_handled(bench: Bench, ask: Any) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(f"{change.attempt} {change.new['value']}")
            if not Path("fixed").exists():
                raise ValueError("not yet")
        """
    )
    bench.send("1.50")
    bench.drain()
    (bench.folder / "fixed").touch()
    assert ask("redrive", "jobs")[0] == 0
    bench.drain()
    assert bench.notes == ["1 1.50", "2 1.50", "3 1.50", "1 1.50"]
    assert (bench.queued, bench.dead) == (0, [])


def test_where_chooses_by_an_expression(bench: Bench, ask: Any) -> None:
    bury(bench)
    where = "headers->'dead_letter'->>'error' LIKE '%no 2%' AND enqueued_at <= now()  -- the second"
    assert ask("redrive", "jobs", "--where", where)[1] == "1 dead letter of jobs_dlq sent back to jobs.\n"
    assert ask("discard", "jobs", "--where", 'message @> \'{"key": {"id": 11}}\'', "--yes")[0] == 0
    assert bench.rows("SELECT msg_id FROM pgmq.q_jobs_dlq") == [(3,)]


@pytest.mark.parametrize(
    "where",
    [
        "true) OR (true",
        "true) UNION SELECT 1 WHERE (true",
        "true) -- ",
        "true); DELETE FROM pgmq.q_jobs_dlq; SELECT (true",
        "true; DELETE FROM pgmq.q_jobs_dlq",
        "true] OR ARRAY[true",
        "true /*",
        "'",
        '"',
        "$x$",
        "SELECT true",
        "true, true",
        "true ORDER BY 1",
        "",
        " -- nothing",
        "count(*) > 0",
        "vt < now()",
        "msg_id",
        "1/0 = 1",
        "nextval('pgmq.q_jobs_dlq_msg_id_seq') > 0",
        "(SELECT count(*) FROM pgmq.read('jobs_dlq', 0, 9)) > 0",
        "pgmq.purge_queue('jobs_dlq') > 0",
        "\ud800",
    ],
)
def test_where_takes_one_expression_that_only_reads(bench: Bench, ask: Any, where: str) -> None:
    bury(bench)
    before = bench.rows("SELECT msg_id, read_ct, vt FROM pgmq.q_jobs_dlq ORDER BY msg_id")
    code, _, err = ask("discard", "jobs", "--yes", "--where", where)
    assert code == 1, err
    assert "--where" in err
    assert bench.rows("SELECT msg_id, read_ct, vt FROM pgmq.q_jobs_dlq ORDER BY msg_id") == before


@pytest.mark.parametrize(
    "where",
    [
        "(SELECT true)",
        "message->>'op' = 'in' || 'sert' /* a ) here */",
        "'%s {} ) ]' <> \"message\"::text",
        "ARRAY[1, 2] && ARRAY[(2)]",
        "$x$ ) $x$ <> ''",
    ],
)
def test_where_takes_any_one_expression(bench: Bench, where: str) -> None:
    bury(bench)
    assert choose(bench.conn, DEAD_LETTERS, where=where) == [1, 2, 3]


def test_discard_asks_first(bench: Bench, ask: Any) -> None:
    bury(bench)
    code, _, err = ask("discard", "jobs")
    assert code == 1
    assert "add --yes" in err
    assert bench.count("pgmq.q_jobs_dlq") == 3
    done = ask("discard", "jobs", "--limit", "2", "--yes")[1]
    assert done == "Project bench\n2 dead letters of jobs_dlq discarded.\n"
    assert bench.rows("SELECT msg_id FROM pgmq.q_jobs_dlq") == [(3,)]


def test_an_id_that_is_not_there_changes_nothing(bench: Bench, ask: Any) -> None:
    bury(bench)
    code, _, err = ask("redrive", "jobs", "--id", "1", "--id", "7")
    assert code == 1
    assert "holds no dead letter 7; nothing was changed" in err
    assert bench.count("pgmq.q_jobs_dlq") == 3


def test_two_redrives_at_once_send_each_message_once(bench: Bench, database: str) -> None:
    bury(bench, 60)
    start = threading.Barrier(4)

    def run() -> None:
        with psycopg.connect(database, autocommit=True) as conn:
            ids = choose(conn, DEAD_LETTERS)
            start.wait()
            redrive(conn, DEAD_LETTERS, ids)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = bench.rows("SELECT (message->'key'->>'id')::int FROM pgmq.q_jobs ORDER BY 1")
    assert keys == [(index + 10,) for index in range(1, 61)]
    assert bench.dead == []


def test_a_redrive_to_a_queue_that_is_gone_keeps_the_dead_letters(bench: Bench, ask: Any) -> None:
    bury(bench)
    bench.conn.execute("SELECT pgmq.drop_queue('jobs')")
    code, _, err = ask("redrive", "jobs")
    assert code == 1
    assert "q_jobs" in err
    assert bench.count("pgmq.q_jobs_dlq") == 3


def test_a_redrive_takes_a_letter_that_another_reads(bench: Bench) -> None:
    bury(bench, 1)
    bench.conn.execute("SELECT pgmq.read('jobs_dlq', 3600, 1)")
    assert redrive(bench.conn, DEAD_LETTERS, [1]) == {1: 1}
    assert discard(bench.conn, DEAD_LETTERS, [1]) == []


def test_a_wrong_queue_and_an_empty_one_are_said(bench: Bench, ask: Any) -> None:
    code, _, err = ask("list", "job")
    assert code == 1
    assert "queue job has no dead letters" in err
    assert "did you mean `jobs`?" in err
    assert ask("list", "jobs") == (0, "", "no dead letters\n")
    with pytest.raises(ChangelaneError):
        choose(bench.conn, DEAD_LETTERS, where="nonsense")


def test_it_works_as_a_process(bench: Bench, run_changelane: RunChangelane) -> None:
    bury(bench)
    done = run_changelane("dead-letter", "discard", "jobs")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_client_that_was_killed_leaves_no_search_behind_for_long(conn: psycopg.Connection[Any]) -> None:
    conn.execute("SELECT pgmq.create('jobs_dlq')")
    limit = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"
    with evaluate(conn, "true", table=DEAD_LETTERS.table):
        assert conn.execute(limit).fetchone() == (str(LONGEST * 1000),)
    conn.execute("SET statement_timeout = '5s'")
    with evaluate(conn, "true", table=DEAD_LETTERS.table):
        assert conn.execute(limit).fetchone() == ("5000",)
