"""Work through PgBouncer in transaction mode, where each transaction may use another server session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.pgbouncer import run_pooler
from support.workers import Bench

from changelane.contract.schema import SCHEMA_SQL

Connection = psycopg.Connection[Any]

HANDLERS = {
    "transactional": """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            for _ in range(3):
                tx.execute("SELECT %s::int", [change.new["value"]])
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
        """,
    "batch": """
        def handle(changes: list[Change], tx: psycopg.Connection) -> None:
            for change in changes:
                tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
        """,
    "async": """
        async def handle(change: Change, tx: psycopg.AsyncConnection) -> None:
            for _ in range(3):
                await tx.execute("SELECT %s::int", [change.new["value"]])
            await tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
        """,
    "at_least_once": """
        def handle(change: Change) -> None:
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None) as conn:
                conn.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
        """,
}
POISON = """
    def handle(change: Change, tx: psycopg.Connection) -> None:
        if change.new["value"] == 7:
            raise ValueError("seven")
        tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
    """


@pytest.fixture(params=[2, 10], ids=["2-sessions", "10-sessions"])
def pooled(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with run_pooler(database, tmp_path, size=request.param) as url:
        yield url


@pytest.fixture
def bench(conn: Connection, pooled: str, tmp_path: Path) -> Bench:
    bench = Bench(conn=conn, url=pooled, folder=tmp_path)
    conn.execute(SCHEMA_SQL.encode())
    conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    return bench


@pytest.mark.parametrize("ordering", ["none", "key"])
@pytest.mark.parametrize("kind", HANDLERS)
def test_workers_do_all_exactly_once(bench: Bench, kind: str, ordering: str) -> None:
    mode = "at_least_once" if kind == "at_least_once" else "transactional"
    bench.declare(HANDLERS[kind], mode=mode, ordering=ordering, batch=10, concurrency=4, lease=5)
    ids = bench.send(*map(str, range(60)))
    bench.drain("--processes", "2", timeout=90)
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in ids]
    assert bench.queued == 0
    assert "error" not in bench.log


def test_a_worker_says_that_it_polls_and_finds_what_comes_later(bench: Bench) -> None:
    bench.declare(HANDLERS["transactional"], mode="transactional")
    with bench.worker() as process:
        told = "notifications do not arrive, as through a pooler in transaction mode: polling instead"
        bench.wait(lambda: told in bench.log)
        for value in range(3):
            bench.send(str(value))
            bench.wait(lambda: bench.queued == 0)
        process.terminate()
        assert process.wait(30) == 0
    assert bench.count("effects") == 3


def test_retries_and_dead_letters_are_as_without(bench: Bench) -> None:
    bench.declare(POISON, mode="transactional")
    bench.send(*map(str, range(20)))
    bench.drain(timeout=90)
    assert bench.count("effects") == 19
    assert [headers["dead_letter"]["error"] for headers in bench.dead] == ["ValueError: seven"]


def test_a_killed_worker_loses_and_doubles_nothing(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            time.sleep(0.05)
        """,
        mode="transactional",
        lease=1,
        concurrency=2,
    )
    ids = bench.send(*map(str, range(40)))
    with bench.worker() as process:
        bench.wait(lambda: bench.count("effects") >= 5)
        process.kill()
        process.wait()
    bench.drain(timeout=90)
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in ids]


SPEC = """
version: 1
project: shop
queues: {events: {}}
routes:
  - {name: rows, table: public.rows, events: [insert], queue: events}
"""


def test_every_command_works_on_it(
    conn: Connection, pooled: str, tmp_path: Path, run_changelane: Any
) -> None:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    (tmp_path / "pipelines.yaml").write_text(SPEC)
    through = {"DATABASE_URL": pooled}
    for command, code in (
        (["inspect"], 0),
        (["generate"], 0),
        (["verify"], 2),
        (["apply", "--yes"], 0),
        (["apply", "--yes"], 0),
        (["verify"], 0),
        (["status"], 0),
        (["pause", "events"], 0),
        (["resume", "events"], 0),
        (["send", "events", '{"a": 1}'], 0),
        (["peek", "events"], 0),
        (["dead-letter", "list", "events"], 0),
        (["backfill", "rows"], 0),
    ):
        done = run_changelane(*command, env=through)
        assert done.returncode == code, (command, done.stdout, done.stderr)
    found = run_changelane("doctor", "--format", "json", env=through)
    assert found.returncode == 2
    assert "pooler" in {finding["code"] for finding in json.loads(found.stdout)["findings"]}
    conn.execute("INSERT INTO rows VALUES (1)")
    assert conn.execute("SELECT count(*) FROM pgmq.q_events").fetchone() == (2,)
    destroyed = run_changelane("destroy", "--yes", env=through)
    assert destroyed.returncode == 0, destroyed.stderr
