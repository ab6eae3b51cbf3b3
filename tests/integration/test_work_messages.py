"""Messages that somebody sent, by real worker processes on a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.command_line import RunChangelane
from support.workers import Bench

from changelane.contract.manifest import Archive, Retry

INDEX = """
    CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)
"""
TYPES = """
from dataclasses import dataclass
from datetime import date
from pydantic import BaseModel
from typing_extensions import TypedDict

class Mail(TypedDict):
    to: str
    day: date

@dataclass
class Item:
    count: int

@dataclass
class Order:
    items: list[Item]

class Report(BaseModel):
    kind: str
    total: Decimal
"""


def send(bench: Bench, *bodies: str, headers: dict[str, Any] | None = None) -> list[int]:
    sent = [
        bench.conn.execute(
            "SELECT pgmq.send('jobs', %s::jsonb, %s::jsonb, 0)", [body, headers and json.dumps(headers)]
        ).fetchone()
        for body in bodies
    ]
    return [row[0] for row in sent if row]


def test_a_clients_message_reaches_its_handler_with_all_that_is_known_of_it(bench: Bench) -> None:
    bench.declare(
        """
        def handle(message: Message) -> None:
            note([message.body, message.queue, message.msg_id, message.id, message.attempt, message.headers])
            note(message.enqueued_at.isoformat())
        """,
        concurrency=1,
    )
    bench.conn.execute("SELECT pgmq.send('jobs', '{\"hello\": \"world\"}')")
    send(bench, "[1.50, null]", headers={"id": "mine"})
    at = [row[0].isoformat() for row in bench.rows("SELECT enqueued_at FROM pgmq.q_jobs ORDER BY msg_id")]
    bench.drain()
    assert bench.notes == [
        "[{'hello': 'world'}, 'jobs', 1, 'jobs:1', 1, {}]",
        at[0],
        "[[Decimal('1.50'), None], 'jobs', 2, 'mine', 1, {'id': 'mine'}]",
        at[1],
    ]
    assert bench.dead == []


@pytest.mark.parametrize(
    ("shape", "kind", "mode", "ordering"),
    [
        ("def", "Message", "transactional", "key"),
        ("def", "Message", "at_least_once", "none"),
        ("async def", "Message", "transactional", "none"),
        ("async def", "list[Message]", "at_least_once", "key"),
        ("def", "list[Message]", "transactional", "none"),
    ],
)
def test_each_kind_of_handler_takes_messages(
    bench: Bench, shape: str, kind: str, mode: str, ordering: str
) -> None:
    bench.conn.execute(INDEX)
    bench.conn.execute("ALTER TABLE effects ADD UNIQUE (msg_id)")
    wait = "await " if "async" in shape else ""
    run, tx = "run", ""
    if mode == "transactional":
        run, tx = f"{wait}tx.execute", f", tx: psycopg.{'Async' if wait else ''}Connection"
    bench.declare(
        f"""
        {shape} handle(given: {kind}{tx}) -> None:
            failed = {{}}
            for message in given if isinstance(given, list) else [given]:
                if message.body["n"] == 3 and message.attempt < 2:
                    failed[message] = ValueError("not yet")
                elif message.body["n"] == 4:
                    failed[message] = DeadLetter("never")
                else:
                    {run}("INSERT INTO effects VALUES (%s, %s)", [message.msg_id, message.body["n"]])
            if failed:
                raise Failed(failed) if isinstance(given, list) else next(iter(failed.values()))

        def run(*arguments):
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
                conn.execute(*arguments)
        """,
        mode=mode,
        ordering=ordering,
        archive=Archive(keep=3600),
    )
    for n in range(8):
        send(bench, json.dumps({"n": n}), headers={"x-pgmq-group": str(n % 2)})
    bench.drain()
    expected = {(n,) for n in range(8) if n != 4}
    assert set(bench.rows("SELECT value::int FROM effects")) == expected
    assert [letter["dead_letter"]["error"] for letter in bench.dead] == ["never"]
    assert set(bench.rows("SELECT (message->>'n')::int FROM pgmq.a_jobs")) == expected


def test_messages_of_a_key_are_handled_in_order(bench: Bench) -> None:
    bench.conn.execute(INDEX)
    bench.declare(
        """
        def handle(message: Message) -> None:
            if message.body == 2 and message.attempt < 2:
                raise Retry(after=0.1)
            note(message.body)
        """,
        ordering="key",
    )
    send(bench, "1", "2", "3", "4", headers={"x-pgmq-group": "a"})
    bench.drain()
    assert bench.notes == ["1", "2", "3", "4"]


def test_a_typed_body_is_converted_and_what_does_not_fit_is_a_failed_attempt_that_says_where(
    bench: Bench,
) -> None:
    bench.declare(
        TYPES
        + """
def handle(message: Message[Mail | Order | Report]) -> None:
    note(message.body)
""",
        retry=Retry(attempts=2, first=0.05),
        concurrency=1,
    )
    send(
        bench,
        '{"to": "ann", "day": "2026-11-22"}',
        '{"items": [{"count": 2}]}',
        '{"kind": "nightly", "total": 0.10}',
        '{"items": [{"count": 2}, {"count": "secret"}]}',
    )
    bench.drain()
    assert bench.notes == [
        "{'to': 'ann', 'day': datetime.date(2026, 11, 22)}",
        "Order(items=[Item(count=2)])",
        "kind='nightly' total=Decimal('0.10')",
    ]
    (letter,) = bench.dead
    assert letter["dead_letter"]["attempts"] == 2
    error = letter["dead_letter"]["error"]
    assert error.startswith(
        "InvalidBody: the body is not a Mail | Order | Report: body.Mail.to: Field required"
    )
    assert "secret" not in error


def test_only_the_messages_that_do_not_fit_fail_in_a_batch(bench: Bench) -> None:
    bench.declare(
        TYPES
        + """
def handle(messages: list[Message[Item]], tx: psycopg.Connection) -> None:
    for message in messages:
        tx.execute("INSERT INTO effects VALUES (%s, %s)", [message.msg_id, message.body.count])
""",
        mode="transactional",
        retry=Retry(attempts=1),
    )
    send(bench, '{"count": 1}', '{"count": []}', '{"count": 3}', '"x"')
    bench.drain()
    assert bench.rows("SELECT value FROM effects ORDER BY 1") == [(1,), (3,)]
    assert ["body.count: " in letter["dead_letter"]["error"] for letter in bench.dead] == [True, False]


def test_a_handler_of_changes_and_messages_tells_forged_from_captured(bench: Bench) -> None:
    bench.declare(
        """
        def handle(given: Change | Message) -> None:
            note([type(given).__name__, given.new if isinstance(given, Change) else given.body["new"]])
        """,
        concurrency=1,
    )
    bench.send("1")
    bench.conn.execute("SELECT pgmq.send('jobs', message) FROM pgmq.q_jobs")
    bench.drain()
    assert bench.notes == ["['Change', {'id': 1, 'value': 1}]", "['Message', {'id': 1, 'value': 1}]"]


def test_a_handler_of_changes_refuses_a_forged_one(bench: Bench) -> None:
    bench.declare("def handle(change: Change) -> None: note(1)")
    bench.send("1")
    bench.conn.execute("SELECT pgmq.send('jobs', message) FROM pgmq.q_jobs")
    bench.drain()
    assert bench.notes == ["1"]
    (letter,) = bench.dead
    assert letter["dead_letter"]["error"] == "the message is not a captured change: it lacks the header route"


def test_two_messages_of_one_id_are_told_apart_in_a_batch(bench: Bench) -> None:
    bench.declare(
        """
        def handle(messages: list[Message]) -> None:
            raise Failed({messages[0]: DeadLetter("the first")})
        """,
    )
    send(bench, "1", "2", headers={"id": "same"})
    bench.drain()
    assert [letter["dead_letter"]["error"] for letter in bench.dead] == ["the first"]


def test_a_validator_that_hangs_is_a_handler_past_its_timeout(bench: Bench) -> None:
    bench.declare(
        """
        from pydantic import BaseModel, field_validator

        class Slow(BaseModel):
            n: int

            @field_validator("n")
            @classmethod
            def wait(cls, n):
                time.sleep(3 if n else 0)
                return n

        def handle(message: Message[Slow]) -> None:
            note(message.body.n)
        """,
        timeout=0.5,
        retry=Retry(attempts=1),
    )
    send(bench, '{"n": 1}', '{"n": 0}')
    bench.drain()
    assert bench.notes == ["0"]
    assert [letter["dead_letter"]["error"] for letter in bench.dead] == [
        "the handler ran longer than its timeout of 0.5 s"
    ]


def test_a_worker_whose_handler_takes_neither_changes_nor_messages_does_not_start(bench: Bench) -> None:
    bench.declare("def handle(job: int) -> None: ...")
    send(bench, "1")
    with bench.worker("--drain") as process:
        assert process.wait(20) == 1
    assert "asks for int, which is neither a Change nor a Message" in bench.log
    assert bench.queued == 1


def test_plan_and_validate_tell_programs_too_where_a_handler_does_not_fit(
    tmp_path: Path, run_changelane: RunChangelane
) -> None:
    source = "from changelane import Change\n\ndef on_mail(change: Change): ...\n"
    (tmp_path / "handlers.py").write_text(source)
    (tmp_path / "pipelines.yaml").write_text(
        "version: 1\nproject: shop\nqueues: {mails: {}}\nconsumers: {mails: {handler: 'handlers:on_mail'}}\n"
    )
    for command in ("inspect", "generate"):
        assert run_changelane(command).returncode == 0
    done = run_changelane("validate", "--format", "json")
    (found,) = json.loads(done.stdout)["diagnostics"]
    assert (done.returncode, done.stderr) == (0, "")
    assert (found["code"], found["severity"], found["span"]["line"]) == ("CL219", "warning", 4)
    done = run_changelane("plan", "--format", "json")
    (warning,) = json.loads(done.stdout)["warnings"]
    assert (done.returncode, done.stderr) == (0, "")
    assert (warning["queue"], warning["what"], warning["fix"]) == ("mails", found["summary"], found["fix"])
    for command in ("validate", "plan"):
        assert found["summary"] in run_changelane(command).stderr
