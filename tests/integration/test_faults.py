"""Applies that are interrupted at every step, on a real server."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.deployment import Declared, bring, declare, find_wrong

from changelane.errors import ChangelaneError, DatabaseError
from changelane.runner.apply.step import Step
from changelane.runner.live.database import connect

Connection = psycopg.Connection[TupleRow]

ROUTES = 20
GATE = 4242
SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
""" + "".join(
    f"  - {{name: r{number}, table: public.t{number}, events: [insert], queue: events}}\n"
    for number in range(ROUTES)
)


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    for number in range(ROUTES):
        conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY)".encode())
    return declare(conn, tmp_path, SPEC)


@contextmanager
def gate(conn: Connection, database: str) -> Iterator[Callable[[int], None]]:
    """Makes the session wait after its n-th command that changes the catalog; yields a function to set n."""
    conn.execute("CREATE SEQUENCE public.commands; CREATE TABLE public.gate AS SELECT 0 AS command")
    conn.execute(
        "CREATE FUNCTION public.stop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
        "IF nextval('public.commands') = (SELECT command FROM public.gate) THEN "
        f"PERFORM pg_advisory_xact_lock({GATE}); END IF; END $$".encode()
    )
    conn.execute("CREATE EVENT TRIGGER stop ON ddl_command_end EXECUTE FUNCTION public.stop()")

    def set_gate(command: int) -> None:
        conn.execute("UPDATE public.gate SET command = %s", [command])
        conn.execute("SELECT setval('public.commands', 1, false)")

    yield set_gate
    conn.execute("DROP EVENT TRIGGER stop")


def find_stopped(conn: Connection) -> int | None:
    """The pid of the backend that waits at the gate."""
    row = conn.execute(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [GATE],
    ).fetchone()
    return int(row[0]) if row else None


def run_in_thread(database: str, declared: Declared) -> tuple[Callable[[], bool], Callable[[int], None]]:
    """Start an apply; returns a function that tells whether it has ended, and one that ends its backend."""

    def run() -> None:
        with suppress(ChangelaneError, psycopg.Error), connect(database) as conn:
            bring(conn, declared)

    thread = threading.Thread(target=run)
    thread.start()

    def terminate(pid: int) -> None:
        with connect(database) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [pid])
        thread.join()

    return lambda: not thread.is_alive(), terminate


def run_in_process(database: str, declared: Declared) -> tuple[Callable[[], bool], Callable[[int], None]]:
    """The same in a process of its own, ended by SIGKILL."""

    def run() -> None:
        with connect(database) as conn:
            bring(conn, declared)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()

    def kill(pid: int) -> None:
        process.kill()
        process.join()

    return lambda: not process.is_alive(), kill


@pytest.mark.parametrize("start", [run_in_thread, run_in_process])
def test_an_apply_killed_at_any_command_leaves_nothing_half_made_and_the_next_completes(
    conn: Connection, database: str, declared: Declared, start: Any
) -> None:
    wrong = len(find_wrong(conn, declared))
    kills = command = sent = 0
    with gate(conn, database) as set_gate, connect(database) as keeper:
        while True:
            command += 1
            set_gate(command)
            keeper.execute("SELECT pg_advisory_lock(%s)", [GATE])
            ended, kill = start(database, declared)
            while (pid := find_stopped(conn)) is None and not ended():
                time.sleep(0.002)
            if pid is None:
                break
            kill(pid)
            kills += 1
            keeper.execute("SELECT pg_advisory_unlock(%s)", [GATE])
            while conn.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).rowcount:
                time.sleep(0.002)
            left = find_wrong(conn, declared)
            assert {line.split()[0] for line in left} == {"missing"}
            if len(left) < wrong:
                # A transaction held, so this was the first command of the next one.
                wrong, command = len(left), 1
                conn.execute("INSERT INTO t0 SELECT coalesce(max(id), 0) + 1 FROM t0")
                sent += 1 if wrong < ROUTES else 0
        keeper.execute("SELECT pg_advisory_unlock(%s)", [GATE])
    assert kills > 100
    assert find_wrong(conn, declared) == []
    assert conn.execute("SELECT count(*) FROM pgmq.q_events").fetchone() == (sent,)
    assert sent == ROUTES - 1


def kill_own_process(conn: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end_own_backend(conn: Connection) -> None:
    with connect(conn.info.dsn) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])


@pytest.mark.parametrize("die", [end_own_backend, kill_own_process])
def test_an_apply_killed_between_any_two_transactions_is_completed_by_the_next_ones(
    conn: Connection, database: str, declared: Declared, die: Callable[[Connection], None]
) -> None:
    def run() -> None:
        with suppress(ChangelaneError, psycopg.Error), connect(database) as applying:
            last = ""

            def report(step: Step) -> None:
                nonlocal last
                if last and step.transaction != last:
                    die(applying)
                last = step.transaction

            bring(applying, declared, report=report)

    before = len(find_wrong(conn, declared))
    rounds = 0
    while before:
        process = multiprocessing.get_context("fork").Process(target=run)
        process.start()
        process.join()
        after = len(find_wrong(conn, declared))
        assert after < before
        before = after
        rounds += 1
    assert rounds > ROUTES // 2
    for number in range(ROUTES):
        conn.execute(f"INSERT INTO t{number} VALUES (1)".encode())
    assert conn.execute("SELECT count(*) FROM pgmq.q_events").fetchone() == (ROUTES,)


@pytest.mark.parametrize("sqlstate", ["53100", "53200", "XX000", "57014"])
def test_an_error_of_the_server_midway_is_one_line_and_the_next_apply_completes(
    conn: Connection, tmp_path: Path, declared: Declared, run_changelane: Any, sqlstate: str
) -> None:
    # What the server raises when its disk is full (53100), its memory used up (53200), or it is broken.
    conn.execute(
        "CREATE FUNCTION public.fail() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF current_query() ~ 'r17_insert' THEN RAISE 'could not extend file' USING "
        f"ERRCODE = '{sqlstate}'; END IF; END $$".encode()
    )
    conn.execute(
        "CREATE EVENT TRIGGER fail ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER') "
        "EXECUTE FUNCTION public.fail()"
    )
    failed = run_changelane("apply", "--yes")
    assert failed.returncode == 1
    assert "on public.t17: could not extend file" in failed.stderr
    assert "steps are done and hold; the transaction 'table public.t17' left nothing" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert {line.split()[0] for line in find_wrong(conn, declared)} == {"missing"}
    conn.execute("DROP EVENT TRIGGER fail")
    assert run_changelane("apply", "--yes").returncode == 0
    assert find_wrong(conn, declared) == []


def test_a_permission_lost_midway_stops_at_its_table_and_the_next_apply_completes(
    conn: Connection, database: str, declared: Declared
) -> None:
    role = f"deploy_{os.getpid()}"
    conn.execute(f"CREATE ROLE {role}; CREATE SCHEMA changelane AUTHORIZATION {role}".encode())
    conn.execute(
        f"GRANT ALL ON SCHEMA pgmq TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA pgmq TO {role}".encode()
    )
    for number in range(ROUTES):
        conn.execute(f"ALTER TABLE t{number} OWNER TO {role}".encode())

    def report(step: Step) -> None:
        if step.kind == "queue":
            conn.execute("ALTER TABLE t7 OWNER TO CURRENT_USER")

    try:
        with connect(database) as applying:
            applying.execute(f"SET ROLE {role}".encode())
            with pytest.raises(DatabaseError, match=r"must be owner|permission denied") as caught:
                bring(applying, declared, report=report)
            assert "run as a role that may, or grant yours what it lacks" in caught.value.fix
            left = find_wrong(applying, declared)
            assert any(line.endswith("public.t7") for line in left)
            assert not any(line.endswith("public.t0") for line in left)
            conn.execute(f"ALTER TABLE t7 OWNER TO {role}".encode())
            bring(applying, declared)
        assert find_wrong(conn, declared) == []
    finally:
        conn.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())
