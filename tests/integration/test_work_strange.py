"""Messages that Changelane did not make, and handlers as nobody should write them: the worker goes on, and
nothing is lost.
"""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from support.workers import Bench

from changelane.contract.manifest import Retry

CHANGE = {
    "op": "insert",
    "schema": "public",
    "table": "things",
    "key": None,
    "new": {"value": 1},
    "old": None,
    "txid": "7",
    "at": "2026-11-22T18:54:03+00:00",
}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DAMAGE: list[dict[str, Any]] = [
    {},
    {"at": "0001-01-01T00:00:00"},
    {"at": "9999-12-31T23:59:59-14:00"},
    {"at": "infinity"},
    {"at": 5},
    {"op": ["insert"]},
    {"schema": None, "table": {}},
    {"new": "text"},
    {"old": 3, "key": [1]},
    {"extra": 7, "txid": {}},
]
MESSAGES = [
    None,
    "null",
    "7",
    '"x"',
    "[]",
    "{}",
    "1" + "0" * 20_000,
    "[" * 3000 + "]" * 3000,
    '{"a": ' * 3000 + "1" + "}" * 3000,
    json.dumps({"pad": "x" * 1_000_000}),
    *(json.dumps({**CHANGE, **part}) for part in DAMAGE),
]
HEADERS = [
    None,
    "null",
    "5",
    '"x"',
    "[1]",
    '["x-pgmq-group"]',
    "{}",
    '{"route": [1]}',
    '{"x-pgmq-group": null}',
    '{"x-pgmq-group": {"a": 1}}',
    '{"x-pgmq-group": 5}',
    '{"x-pgmq-group": ""}',
    json.dumps({"x-pgmq-group": "k" * 100_000}),
    '{"changelane": 5}',
    '{"changelane": {"attempts": -5, "released": true}}',
    '{"changelane": {"attempts": 0.5, "released": 1' + "0" * 5000 + "}}",
    '{"traceparent": 5}',
    json.dumps({"traceparent": TRACE, "tracestate": 5}),
    "[" * 3000 + "]" * 3000,
]
SINGLE = """
    from opentelemetry import trace

    def handle(change: Change, tx: psycopg.Connection) -> None:
        tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new and change.new["value"]])
"""
BATCH = """
    from opentelemetry import trace

    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        for change in changes:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
"""


@pytest.mark.parametrize("source", [SINGLE, BATCH])
@pytest.mark.parametrize("ordering", ["none", "key"])
def test_every_message_is_handled_or_becomes_a_dead_letter(bench: Bench, ordering: str, source: str) -> None:
    bench.conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    bench.declare(source, mode="transactional", ordering=ordering, retry=Retry(attempts=1))
    sent: list[tuple[str | None, ...]] = list(product(MESSAGES, ['{"route": "things", "x-pgmq-group": "a"}']))
    sent += list(product([json.dumps(CHANGE), "7"], [*HEADERS, *map(name_route, HEADERS)]))
    with bench.conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO pgmq.q_jobs (vt, message, headers) VALUES (now(), %s::jsonb, %s::jsonb)", sent
        )
    bench.drain("--metrics-port", "0", timeout=60)
    effects = bench.count("effects")
    assert effects + len(bench.dead) == len(sent)
    # A message is a change if it names its route.
    assert effects == 3 + sum(map(is_object, HEADERS))


@pytest.mark.parametrize("kind", ["Message", "list[Message]", "Change | Message"])
@pytest.mark.parametrize("ordering", ["none", "key"])
def test_a_handler_of_messages_gets_every_message(bench: Bench, ordering: str, kind: str) -> None:
    bench.conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    bench.declare(
        f"""
        def handle(given: {kind}, tx: psycopg.Connection) -> None:
            for item in given if isinstance(given, list) else [given]:
                tx.execute("INSERT INTO effects VALUES (%s, 1)", [item.msg_id])
        """,
        mode="transactional",
        ordering=ordering,
        retry=Retry(attempts=1),
    )
    sent: list[tuple[str | None, ...]] = list(product(MESSAGES, ['{"route": "things", "x-pgmq-group": "a"}']))
    sent += list(product([json.dumps(CHANGE), "7"], [*HEADERS, *map(name_route, HEADERS)]))
    with bench.conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO pgmq.q_jobs (vt, message, headers) VALUES (now(), %s::jsonb, %s::jsonb)", sent
        )
    bench.drain(timeout=60)
    deep = [pair for pair in sent if any(text and text[:200].count(text[0]) > 20 for text in pair)]
    assert {letter["dead_letter"]["error"] for letter in bench.dead} == {"the message is nested too deep"}
    assert bench.count("effects") == len(sent) - len(bench.dead)
    assert len(bench.dead) == len(deep)


def is_object(headers: str | None) -> bool:
    return (headers or "").startswith("{")


def name_route(headers: str | None) -> str | None:
    if headers is None or not is_object(headers):
        return headers
    rest = headers[1:].replace('"route": [1]', '"r": 1')
    return '{"route": "things"' + (rest if rest == "}" else f", {rest}")


ODD = {
    "a coroutine that nobody ran": (
        "async def inner(change): note(change.msg_id)\ndef handle(change): return inner(change)",
        "did nothing but return a coroutine",
    ),
    "a generator that nobody ran": (
        "def inner(change): yield note(change.msg_id)\ndef handle(change): return inner(change)",
        "did nothing but return a generator",
    ),
    "an error without a text": (
        "class Odd(Exception):\n    def __str__(self): raise RuntimeError\ndef handle(change): raise Odd",
        "Odd: (its text raises RuntimeError)",
    ),
    "a retry at no time": (
        "def handle(change): raise Retry(after=float('nan'))",
        "not a time within ten years",
    ),
    "a retry in ages": ("def handle(change): raise Retry(after=1e15)", "not a time within ten years"),
    "a retry at a text": ("def handle(change): raise Retry(after='soon')", "TypeError"),
    "a failure that is none": (
        "def handle(changes: list[Change]): raise Failed({changes[0]: None})",
        "TypeError",
    ),
    "an end of the process": ("def handle(change): raise SystemExit(3)", "SystemExit: 3"),
    "an interrupt": ("def handle(change): raise KeyboardInterrupt", "KeyboardInterrupt"),
    "a cancellation": ("async def handle(change): raise asyncio.CancelledError", "CancelledError"),
    "a coroutine out of a coroutine": (
        "async def inner(change): note(change.msg_id)\nasync def handle(change): return inner(change)",
        "did nothing but return a coroutine",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_no_message_is_lost_by_what_a_handler_returns_or_raises(bench: Bench, name: str) -> None:
    source, error = ODD[name]
    # Indented as what declare() expects.
    bench.declare(source, retry=Retry(attempts=1))
    bench.send("1", "2")
    bench.drain()
    assert bench.notes == []
    assert [error in letter["dead_letter"]["error"] for letter in bench.dead] == [True, True]


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_pipeline_left_open_fails_and_the_next_message_is_handled(bench: Bench, kind: str) -> None:
    wait = "await " if kind == "async def" else ""
    enter = "__aenter__" if wait else "__enter__"
    bench.declare(
        f"""
        kept = []

        {kind} handle(change: Change, tx) -> None:
            {wait}tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            if change.new["value"] == 1:
                kept.append(tx.pipeline())
                {wait}kept[0].{enter}()
        """,
        mode="transactional",
        concurrency=1,
        retry=Retry(attempts=1),
    )
    _, second = bench.send("1", "2")
    bench.drain()
    assert bench.rows("SELECT msg_id FROM effects") == [(second,)]
    assert "left a pipeline open" in bench.dead[0]["dead_letter"]["error"]


@pytest.mark.parametrize("end", ["asyncio.current_task().cancel()", "asyncio.get_running_loop().stop()"])
def test_a_handler_that_ends_its_task_or_its_loop_ends_no_other(bench: Bench, end: str) -> None:
    bench.declare(
        f"""
        async def handle(change: Change) -> None:
            note(change.new["value"])
            if change.new["value"] == 1:
                {end}
        """,
        concurrency=1,
    )
    bench.send("1", "2", "3")
    bench.drain()
    assert bench.notes == ["1", "2", "3"]
