"""`fair` and `limit` from the spec to the handler: applied, worked by several processes, and killed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.workers import Bench

from changelane.contract.groups import list_claim_indexes
from changelane.contract.manifest import Fair, Limit, Retry
from changelane.contract.schema import SCHEMA_SQL

VALUE = (("new", "value"),)

RECORD = """
    def handle(change: Change, tx: psycopg.Connection) -> None:
        began = tx.execute("SELECT clock_timestamp()").fetchone()[0]
        time.sleep(0.02)
        if change.msg_id % 10 == 0 and change.attempt == 1:
            raise ValueError("by chance")
        tx.execute("INSERT INTO runs VALUES (%s, %s, %s, clock_timestamp())",
            [int(change.new["value"]), change.msg_id, began])
"""

OVERLAPS = """
    SELECT max(running) FROM (
        SELECT (SELECT count(*) FROM runs AS other
            WHERE other.began <= run.began AND other.ended > run.began AND (%s OR other.grp = run.grp)
        ) AS running
        FROM runs AS run
    ) AS counted
"""


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    with conn.transaction():
        conn.execute(SCHEMA_SQL.encode())
    for index in list_claim_indexes(VALUE, ("group", "queue")):
        conn.execute(f"CREATE INDEX q_jobs{index.suffix} ON pgmq.q_jobs {index.definition}")
    conn.execute("CREATE TABLE runs (grp bigint, msg_id bigint, began timestamptz, ended timestamptz)")
    return bench


def overlap(bench: Bench, *, whole: bool) -> int:
    row = bench.conn.execute(OVERLAPS, [whole]).fetchone()
    assert row
    return int(row[0])


def test_limits_hold_over_processes_that_die_stall_and_join(bench: Bench) -> None:
    bench.declare(
        RECORD,
        mode="transactional",
        concurrency=6,
        lease=1.0,
        retry=Retry(attempts=50, first=0.01, max=0.05),
        fair=Fair(by=VALUE, concurrency=2),
        limit=Limit(concurrency=7),
    )
    bench.send(*(str(number % 6) for number in range(600)))
    for milestone in (100, 200):
        with bench.worker() as killed, bench.worker() as stopped:
            bench.wait(lambda at=milestone - 50: bench.count("runs") >= at)
            killed.kill()
            stopped.send_signal(signal.SIGSTOP)
            with bench.worker() as joined:
                bench.wait(lambda at=milestone + 50: bench.count("runs") >= at)
                bench.wait(lambda pid=joined.pid: f'"pid": {pid}' in bench.log)
                stopped.send_signal(signal.SIGCONT)
                joined.send_signal(signal.SIGTERM)
                assert joined.wait(30) == 0
    bench.drain("--processes", "3", timeout=120)
    assert bench.count("runs") == 600 == len(bench.rows("SELECT DISTINCT msg_id FROM runs"))
    # What a stalled process did is rolled back, or took longer than its lease.
    bench.conn.execute("DELETE FROM runs WHERE ended - began > interval '0.5 s'")
    assert 1 < overlap(bench, whole=False) <= 2
    assert 2 < overlap(bench, whole=True) <= 7
    assert bench.dead == []


@pytest.mark.parametrize("batch", [False, True], ids=["singles", "batches"])
def test_a_backlog_delays_no_other_group(bench: Bench, batch: bool) -> None:
    """Counted in messages, not in time: between two of B come few of A."""
    source = """
        def handle(change: Change) -> None:
            note(change.new["value"])
    """
    batches = """
        def handle(changes: list[Change]) -> None:
            note(",".join(str(change.new["value"]) for change in changes))
    """
    bench.declare(batches if batch else source, concurrency=2, batch=4, fair=Fair(by=VALUE))
    bench.send(*["1"] * 120)
    bench.send(*["2"] * 5)
    bench.drain()
    order = ",".join(bench.notes).split(",")
    assert len(order) == 125
    # Two handlers that run, one message ahead for each, and A's share of each claim.
    assert order.index("2") <= 10
    assert max(place for place, value in enumerate(order) if value == "2") < 40


SPEC = """
version: 1
project: shop
queues: {{jobs: {{archive: {{keep: 1 day}}}}}}
routes:
  - {{name: orders, table: public.orders, events: [insert, delete], queue: jobs}}
consumers:
  jobs: {{handler: "handlers:handle", {bounds}}}
"""


def test_apply_creates_and_replaces_the_indexes(
    conn: psycopg.Connection[Any], run_changelane: RunChangelane, tmp_path: Path
) -> None:
    conn.execute('CREATE TABLE orders (id int PRIMARY KEY, tenant text, "a\'b.c%d {e} USING" int)')

    def apply(bounds: str) -> None:
        (tmp_path / "pipelines.yaml").write_text(SPEC.format(bounds=bounds))
        for arguments in (["inspect"], ["generate"], ["apply", "--yes"], ["verify"], ["plan", "--exit-code"]):
            done = run_changelane(*arguments)
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)

    def list_indexes() -> set[str]:
        query = "SELECT indexname FROM pg_indexes WHERE tablename = 'q_jobs'"
        return {name.removeprefix("q_jobs") for (name,) in conn.execute(query)}

    apply("batch: 5")
    before = list_indexes()
    # A queue that exists, and another column.
    apply("fair: {by: new.tenant, concurrency: 2}, limit: {concurrency: 9, rate: 5/s}")
    assert list_indexes() - before == {"_group_idx", "_held_idx", "_lease_idx"}
    apply("fair: {by: ['new.\"a''b.c%d {e} USING\"', key], concurrency: 2, rate: 7/m}")
    conn.execute("DROP INDEX pgmq.q_jobs_held_idx")
    assert run_changelane("verify").returncode == 2
    assert run_changelane("apply", "--yes").returncode == 0
    assert run_changelane("verify").returncode == 0

    # A queue that is created, and the worker over it.
    assert run_changelane("destroy", "--yes", "--drop-queues").returncode == 0
    apply("fair: {by: key, concurrency: 2}, limit: {rate: 500/s}")
    (tmp_path / "handlers.py").write_text("def handle(change): pass\n")
    conn.execute(
        "INSERT INTO orders SELECT number, 'a' FROM generate_series(1, 30) AS number; DELETE FROM orders"
    )
    done = run_changelane("work", "--drain")
    assert done.returncode == 0, done.stderr
    assert conn.execute("SELECT count(*) FROM pgmq.a_jobs").fetchone() == (60,)
    assert conn.execute("SELECT tokens < 250 FROM changelane.buckets").fetchone() == (True,)

    conn.execute("DROP INDEX pgmq.q_jobs_group_idx")
    done = run_changelane("work", "--drain")
    assert "queue jobs lacks an index for `fair` or `limit`" in done.stderr
    assert "changelane apply" in done.stderr


def test_generate_refuses_a_column_that_no_message_has(
    conn: psycopg.Connection[Any], run_changelane: RunChangelane, tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, tenant text)")
    (tmp_path / "pipelines.yaml").write_text(SPEC.format(bounds="fair: {by: [key, new.tenent]}"))
    assert run_changelane("inspect").returncode == 0
    done = run_changelane("generate", "--format", "json")
    assert done.returncode == 1
    (problem,) = json.loads(done.stdout)["diagnostics"]
    assert (problem["code"], problem["span"]["line"], problem["span"]["column"]) == ("CL302", 8, 55)
    assert "public.orders has no column tenent" in problem["summary"]
    assert "tenant" in problem["fix"]
