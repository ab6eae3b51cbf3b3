from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.deployment import bring, declare, find_wrong
from support.manifest_by_hand import Sample

from changelane.errors import DatabaseError, LockNotObtained
from changelane.runner.apply.apply import apply
from changelane.runner.live.database import connect
from changelane.runner.local import binaries

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
  - name: all
    table: public.*
    events: [insert, update]
    queue: events
"""


def test_a_table_locked_for_ever_keeps_no_other_from_its_turn(
    conn: Connection, database: str, tmp_path: Path, run_changelane: Any
) -> None:
    for name in "abc":
        conn.execute(f"CREATE TABLE {name} (id int)".encode())
    declared = declare(conn, tmp_path, SPEC)
    with psycopg.connect(database, application_name="nightly report") as other:
        other.execute("INSERT INTO a VALUES (1)")
        stopped = run_changelane("apply", "--yes", "--max-wait", "100ms")
        assert stopped.returncode == 75
        pid = other.info.backend_pid
        assert re.search(
            rf"public\.a, held by pid {pid} \(nightly report, idle in transaction, query began \d+ s ago\)",
            stopped.stderr,
        )
        assert "13 of 15 steps are done and hold; run again to do the other 2" in stopped.stderr
        assert {line.split()[-1] for line in find_wrong(conn, declared)} == {"public.a"}
    assert run_changelane("apply", "--yes").returncode == 0
    assert find_wrong(conn, declared) == []


def test_in_a_single_transaction_a_locked_table_leaves_everything_as_it_was(
    conn: Connection, database: str, tmp_path: Path, run_changelane: Any
) -> None:
    for name in "abc":
        conn.execute(f"CREATE TABLE {name} (id int)".encode())
    declared = declare(conn, tmp_path, SPEC)
    with psycopg.connect(database, application_name="nightly report") as other:
        other.execute("INSERT INTO c VALUES (1)")
        stopped = run_changelane("apply", "--yes", "--single-transaction", "--max-wait", "100ms")
        assert stopped.returncode == 75
        assert "the lock on public.c, held by" in stopped.stderr
        assert "0 of 15 steps are done" in stopped.stderr
        assert conn.execute("SELECT FROM pg_namespace WHERE nspname = 'changelane'").fetchone() is None
    assert run_changelane("apply", "--yes", "--single-transaction").returncode == 0
    assert find_wrong(conn, declared) == []


def test_a_single_transaction_holds_the_installation_of_pgmq_too(bare_database: str) -> None:
    sample = Sample().queue("events").capture().capture("bad", body=" BEGIN nonsense; END ")
    with connect(bare_database) as conn:
        conn.execute("CREATE TABLE orders (id int, status text)")
        with pytest.raises(DatabaseError, match="syntax error") as caught:
            bring_sample(conn, sample, together=True)
        assert "0 of 7 steps are done and hold" in caught.value.fix
        assert conn.execute("SELECT to_regclass('pgmq.meta')").fetchone() == (None,)
        bring_sample(conn, Sample().queue("events").capture(), together=True)
        assert conn.execute("SELECT count(*) FROM pgmq.meta").fetchone() == (1,)


def bring_sample(conn: Connection, sample: Sample, **options: Any) -> None:
    silent = {"confirm": lambda planned: False, "report": lambda step: None, "notify": lambda message: None}
    apply(conn, sample.manifest, files=sample.contents, **{**silent, **options})


def test_a_failure_half_way_says_what_holds_and_what_the_next_apply_does(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    for name in "abc":
        conn.execute(f"CREATE TABLE {name} (id int)".encode())
    declared = declare(conn, tmp_path, SPEC)
    conn.execute(
        "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF current_query() ~ '\"b\"' THEN RAISE 'no more of this'; END IF; END $$"
    )
    conn.execute(
        "CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER') "
        "EXECUTE FUNCTION public.refuse()"
    )
    failed = run_changelane("apply", "--yes")
    assert failed.returncode == 1
    assert re.search(r"error: trigger !?all_insert_\w+ on public\.b: no more of this", failed.stderr)
    assert (
        "11 of 15 steps are done and hold; the transaction 'table public.b' left nothing; "
        "the next run does the remaining steps, beginning with trigger !all_insert_" in failed.stderr
    )
    assert len(find_wrong(conn, declared)) == 4
    conn.execute("DROP EVENT TRIGGER refuse")
    assert run_changelane("apply", "--yes").returncode == 0
    assert find_wrong(conn, declared) == []


def test_an_interrupted_apply_says_what_holds_and_exits_130(
    conn: Connection, database: str, tmp_path: Path, run_changelane: Any
) -> None:
    for name in "abc":
        conn.execute(f"CREATE TABLE {name} (id int)".encode())
    declared = declare(conn, tmp_path, SPEC)
    with psycopg.connect(database) as other:
        other.execute("INSERT INTO a VALUES (1)")
        process = subprocess.Popen(
            [sys.executable, "-m", "changelane", "--database-url", database, "apply", "--yes"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "waiting for the lock on public.a" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert "interrupted: 13 of 15 steps are done and hold; run again to do the rest" in errors
    assert run_changelane("apply", "--yes").returncode == 0
    assert find_wrong(conn, declared) == []


def test_partitions_are_locked_within_one_second_in_all(conn: Connection, database: str) -> None:
    conn.execute("CREATE TABLE orders (id int, status text) PARTITION BY LIST (id)")
    for number in range(4):
        conn.execute(f"CREATE TABLE orders_{number} PARTITION OF orders FOR VALUES IN ({number})".encode())
    sample = Sample().queue("events").capture()
    waits: list[float] = []
    with psycopg.connect(database) as first, psycopg.connect(database) as second:
        first.execute("INSERT INTO orders_0 VALUES (0)")
        second.execute("INSERT INTO orders_2 VALUES (2)")

        def write() -> None:
            with psycopg.connect(database, autocommit=True) as writer:
                while not done.is_set():
                    start = time.monotonic()
                    writer.execute("INSERT INTO orders VALUES (3)")
                    waits.append(time.monotonic() - start)
                    time.sleep(0.005)

        done = threading.Event()
        thread = threading.Thread(target=write)
        thread.start()
        try:
            with pytest.raises(LockNotObtained, match=r"the lock on public\.orders, held by pid"):
                bring_sample(conn, sample, max_wait=1.5)
            first.rollback()
            second.rollback()
            bring_sample(conn, sample)
        finally:
            done.set()
            thread.join()
    # Two locks of a second each would show as a wait of two.
    assert 0.5 < max(waits) < 1.8


def test_under_a_writing_load_no_statement_waits_long_or_fails(
    conn: Connection, database: str, tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE orders (id bigserial PRIMARY KEY, status text)")
    conn.execute("CREATE TABLE parcels (id bigserial PRIMARY KEY, status text)")
    declared = declare(conn, tmp_path, SPEC)
    # pgbench logs the time of each transaction. One file for each statement makes that the statement's time.
    scripts: list[str] = []
    for number, statement in enumerate(
        (
            "INSERT INTO orders (status) VALUES ('new');",
            "UPDATE orders SET status = 'paid' WHERE id = (SELECT max(id) FROM orders);",
            "INSERT INTO parcels (status) VALUES ('new');",
        )
    ):
        (tmp_path / f"{number}.sql").write_text(statement)
        scripts += ["--file", f"{tmp_path}/{number}.sql"]
    load = subprocess.Popen(
        [binaries.find_binary("pgbench"), "--no-vacuum", "--client=8", "--jobs=1", "--time=6",
         "--log", f"--log-prefix={tmp_path}/load", *scripts, database],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    notes: list[str] = []
    with psycopg.connect(database, application_name="long import") as other:
        other.execute("INSERT INTO orders (status) VALUES ('slow')")
        threading.Timer(2.5, other.rollback).start()
        with connect(database) as applying:
            bring(applying, declared, notify=notes.append)
    assert any("(long import" in note for note in notes)
    assert find_wrong(conn, declared) == []
    report, errors = load.communicate(timeout=60)
    assert load.returncode == 0, errors
    assert "number of failed transactions: 0 (0.000%)" in report
    assert errors.count("ERROR") == 0
    logs = tmp_path.glob("load.*")
    microseconds = [int(line.split()[2]) for log in logs for line in log.read_text().splitlines()]
    assert len(microseconds) > 100
    assert max(microseconds) < 1_500_000
