"""Apply beside locks, beside another apply, and beside another project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.applying import bring, depth, states
from support.manifest_by_hand import Sample

from changelane.runner.apply.executor import run
from changelane.runner.apply.plan import plan
from changelane.runner.live.observe import observe

Connection = psycopg.Connection[TupleRow]
NOTHING = "No changes. Database matches sql_out/.\n"


@pytest.fixture
def tables(conn: Connection) -> None:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    conn.execute("CREATE TABLE parcels (id int PRIMARY KEY)")


@pytest.mark.usefixtures("tables")
def test_two_projects_live_side_by_side_in_one_database(
    conn: Connection, sample: Sample, tmp_path: Path, run_changelane: Any
) -> None:
    other = Sample(project="billing").queue("bills").capture(queue="bills")
    bring(conn, sample)
    bring(conn, other, prune=True)
    assert states(conn, sample) == states(conn, other) == set()
    sample.save(tmp_path / "sql_out")
    assert run_changelane("destroy", "--yes", "--drop-queues").returncode == 0
    assert states(conn, other) == set()
    conn.execute("INSERT INTO orders VALUES (1, 'paid')")
    assert depth(conn, "bills") == 1


@pytest.mark.usefixtures("tables")
def test_a_locked_table_gives_75_and_the_next_apply_does_the_rest(
    conn: Connection, database: str, tmp_path: Path, run_changelane: Any
) -> None:
    sample = Sample().queue("events").capture(table="public.orders").capture("sent", table="public.parcels")
    sample.save(tmp_path / "sql_out")
    with psycopg.connect(database, application_name="nightly report") as other:
        other.execute("LOCK TABLE parcels IN ROW EXCLUSIVE MODE")
        stopped = run_changelane("apply", "--yes", "--max-wait", "100ms")
        assert stopped.returncode == 75
        assert f"pid {other.info.backend_pid} (nightly report" in stopped.stderr
        assert "steps are done and hold; run again to do the other 1" in stopped.stderr
        assert states(conn, sample) == {("trigger", "missing")}
        other.rollback()
    resumed = run_changelane("apply", "--yes")
    assert resumed.returncode == 0
    assert "Plan: 1 to add, 0 to change, 0 to destroy." in resumed.stdout


@pytest.mark.usefixtures("tables")
def test_a_lock_released_in_time_is_waited_for(conn: Connection, database: str, sample: Sample) -> None:
    notes: list[str] = []
    with psycopg.connect(database) as other:
        pid = other.info.backend_pid
        other.execute("LOCK TABLE orders")

        def release(message: str) -> None:
            notes.append(message)
            other.rollback()

        bring(conn, sample, notify=release)
    assert len(notes) == 1
    assert f"pid {pid}" in notes[0]
    assert states(conn, sample) == set()


@pytest.mark.usefixtures("tables")
def test_of_two_applies_at_once_one_waits_and_finds_nothing_to_do(
    conn: Connection, sample: Sample, tmp_path: Path, run_changelane: Any, database: str
) -> None:
    sample.save(tmp_path / "sql_out")
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE orders")
        first = subprocess.Popen(
            [sys.executable, "-m", "changelane", "--database-url", database, "apply", "--yes"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert first.stderr is not None
        assert any("waiting for the lock on public.orders" in line for line in first.stderr)
        second = run_changelane("apply", "--yes", "--max-wait", "100ms")
        assert second.returncode == 75
        assert "another apply or destroy of project shop is running: pid" in second.stderr
        assert "(changelane" in second.stderr
        other.rollback()
    assert first.wait(timeout=60) == 0
    assert run_changelane("apply", "--yes").stdout == NOTHING


@pytest.mark.usefixtures("tables")
def test_two_projects_applied_for_the_first_time_at_once_both_succeed(
    tmp_path: Path, database: str, conn: Connection
) -> None:
    samples = [
        Sample(project=f"p{number}").queue(f"q{number}").capture(queue=f"q{number}") for number in range(4)
    ]
    processes = []
    for sample in samples:
        sample.save(tmp_path / sample.project)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "changelane", "--out", tmp_path / sample.project, "apply", "--yes"],
                cwd=tmp_path,
                env={**os.environ, "DATABASE_URL": database},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert all(states(conn, sample) == set() for sample in samples)


@pytest.mark.usefixtures("tables")
def test_writers_never_fail_while_a_route_changes_from_rows_to_statements(
    conn: Connection, database: str
) -> None:
    rows = " BEGIN PERFORM pgmq.send('events', pg_catalog.to_jsonb(NEW.id)); RETURN NULL; END "
    per_row = Sample().queue("events").capture(body=rows)
    silent = " BEGIN IF TG_LEVEL <> 'STATEMENT' THEN RAISE 'wrong level'; END IF; RETURN NULL; END "
    per_statement = Sample().queue("events").capture(level="statement", body=silent)
    bring(conn, per_row)
    planned = plan(per_statement.manifest, observe(conn, per_statement.manifest))
    before = []

    def insert_between(step: Any) -> None:
        before.append(step)
        with psycopg.connect(database, autocommit=True) as writer:
            writer.execute("INSERT INTO orders VALUES (%s)", [len(before)])

    run(
        conn,
        planned.steps,
        files=per_statement.contents,
        max_wait=5,
        report=insert_between,
        notify=lambda message: None,
    )
    assert len(before) == 2
    assert states(conn, per_statement) == set()
