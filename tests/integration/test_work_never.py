"""`retry.never`: after these exceptions a message goes to the dead letters at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.workers import Bench

from changelane.contract.manifest import Retry

NEVER = Retry(attempts=5, first=0.05, max=0.1, never=("LookupError", "oops:Gone", "oops:Outer.Inner"))
OOPS = """
from changelane import Retry

class Gone(Exception):
    def __str__(self):
        raise SystemExit
class Outer:
    class Inner(Exception): ...
class Lower(Outer.Inner): ...
class Liar(type):
    __mro__ = property(lambda self: 1 / 0)
    def __instancecheck__(self, other): raise SystemExit
class Hidden(Gone, metaclass=Liar): ...
class Asks(LookupError, Retry): ...
"""
INDEX = """
    CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)
"""
RAISE = """
    import oops
    def fail(change):
        match change.new["value"]:
            case 1: raise KeyError("no such thing")
            case 2: raise oops.Gone()
            case 3: raise oops.Lower("lower")
            case 4: raise oops.Hidden()
            case 5 if change.attempt < 3: raise ValueError("passes")
            case 6 if change.attempt < 3: raise oops.Asks("later", after=0)
            case 7:
                try:
                    raise KeyError("within")
                except KeyError as error:
                    raise ValueError("the outer one counts") from error
"""
SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("def handle(change: Change) -> None: fail(change)", {}),
    "async": ("async def handle(change: Change) -> None: fail(change)", {}),
    "transactional": (
        "def handle(change: Change, tx: psycopg.Connection) -> None:\n"
        '    tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])\n    fail(change)',
        {"mode": "transactional"},
    ),
    "transactional async": (
        "async def handle(change: Change, tx: psycopg.AsyncConnection) -> None:\n"
        '    await tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])\n    fail(change)',
        {"mode": "transactional"},
    ),
    "batch": (
        "def handle(changes: list[Change]) -> None:\n    for change in changes: fail(change)",
        {"batch": 10},
    ),
    "transactional batch": (
        "def handle(changes: list[Change], tx: psycopg.Connection) -> None:\n"
        "    for change in changes:\n"
        '        tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])\n        fail(change)',
        {"mode": "transactional", "batch": 10},
    ),
    "failed of a batch": (
        "async def handle(changes: list[Change]) -> None:\n    errors = {}\n    for change in changes:\n"
        "        try: fail(change)\n        except Exception as error: errors[change] = error\n"
        "    if errors: raise Failed(errors)",
        {"batch": 10},
    ),
}


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    (tmp_path / "oops.py").write_text(OOPS)
    return Bench(conn=conn, url=database, folder=tmp_path)


def join(source: str) -> str:
    return RAISE + "".join(f"    {line}\n" for line in source.splitlines())


def list_dead(bench: Bench) -> list[tuple[int, int, str]]:
    return bench.rows(
        "SELECT (message->'new'->>'value')::int, (headers->'dead_letter'->>'attempts')::int,"
        " split_part(headers->'dead_letter'->>'error', ':', 1) FROM pgmq.q_jobs_dlq ORDER BY 1"
    )


@pytest.mark.parametrize("way", SOURCES)
def test_they_end_a_message_at_its_first_attempt_and_no_other_error_does(bench: Bench, way: str) -> None:
    source, consumer = SOURCES[way]
    bench.declare(join(source), retry=NEVER, **consumer)
    bench.send(*map(str, range(8)))
    bench.drain()
    assert list_dead(bench) == [
        (1, 1, "KeyError"),
        (2, 1, "Gone"),
        (3, 1, "Lower"),
        (4, 1, "Hidden"),
        (7, 5, "ValueError"),
    ]
    assert bench.queued == 0
    if "tx" in source:
        assert bench.rows("SELECT count(*) FROM effects") == [(3,)]


@pytest.mark.parametrize("on_exhausted", ["archive", "block"])
@pytest.mark.parametrize("way", ["transactional", "batch"])
def test_exhaustion_has_no_say_and_a_key_goes_on(bench: Bench, way: str, on_exhausted: str) -> None:
    source, consumer = SOURCES[way]
    bench.conn.execute(INDEX)
    bench.declare(join(source), retry=NEVER, ordering="key", on_exhausted=on_exhausted, **consumer)
    bench.send("0", "1", "0", headers={"route": "things", "x-pgmq-group": "a"})
    bench.drain()
    assert list_dead(bench) == [(1, 1, "KeyError")]
    assert (bench.queued, bench.count("pgmq.a_jobs")) == (0, 0)


def test_failures_of_the_database_are_retried_even_if_never_names_them(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
                first = conn.execute("SELECT count(*) = 0 FROM notes").fetchone()[0]
            note("called")
            if first:
                tx.execute("DO $$BEGIN RAISE SQLSTATE '40001'; END$$")
        """,
        mode="transactional",
        retry=Retry(attempts=1, never=("psycopg:Error",)),
    )
    bench.send("1")
    bench.drain()
    assert (len(bench.notes), bench.dead) == (2, [])


def test_a_worker_does_not_start_with_a_name_that_is_no_exception(bench: Bench) -> None:
    bench.declare("def handle(change: Change) -> None: ...", retry=Retry(never=("oops:Gon", "oops:Outer")))
    with bench.worker() as process:
        assert process.wait(30) == 1
    assert "retry.never: oops:Gon does not exist: oops has no Gon" in bench.log
    assert "did you mean `Gone`?" in bench.log
    assert "retry.never: oops:Outer is not an Exception class" in bench.log
