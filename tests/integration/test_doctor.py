from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from support.deployment import Declared, bring, declare

from changelane.errors import LockNotObtained
from changelane.runner.doctor.examine import examine
from changelane.runner.doctor.finding import Finding
from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.live.lock_wait import hold_project
from changelane.runner.local import server as servers

Connection = psycopg.Connection[TupleRow]

HELD = (
    "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
  - name: paid
    table: public.orders
    events: [insert]
    payload: {columns: [id, status]}
    queue: events
"""
ALWAYS = SPEC.replace("    queue: events\n", "    queue: events\n    fire: always\n    capture: row\n")


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    assert examine(conn, declared.manifest) == []
    return declared


def find(conn: Connection, declared: Declared) -> Finding:
    """The only finding, which says everything that it should."""
    (finding,) = examine(conn, declared.manifest)
    assert finding.what
    assert finding.why
    assert finding.fix
    return finding


def test_nothing_found_exits_0_and_a_finding_2(
    conn: Connection, declared: Declared, run_changelane: Any
) -> None:
    healthy = run_changelane("doctor")
    assert (healthy.returncode, healthy.stdout) == (0, "Nothing found.\n")
    conn.execute("ALTER TABLE orders DISABLE TRIGGER USER")
    found = run_changelane("doctor")
    assert found.returncode == 2
    assert "it is disabled [trigger-disabled]\n  why: changes that route paid declares" in found.stdout
    assert "  fix: changelane apply\n" in found.stdout
    (record,) = json.loads(run_changelane("doctor", "--format", "json").stdout)["findings"]
    assert sorted(record) == ["code", "fix", "what", "why"]
    assert run_changelane("apply", "--yes").returncode == 0
    assert examine(conn, declared.manifest) == []


def test_a_column_that_went_away_is_found_with_its_route(conn: Connection, declared: Declared) -> None:
    conn.execute("ALTER TABLE orders DROP COLUMN status")
    finding = find(conn, declared)
    assert finding.code == "route-blocked"
    assert "no column status, which route paid names" in finding.what


def test_a_queue_that_is_gone_fails_writes_and_is_found(conn: Connection, declared: Declared) -> None:
    conn.execute("SELECT pgmq.drop_queue('events')")
    with pytest.raises(psycopg.errors.UndefinedTable):
        conn.execute("INSERT INTO orders VALUES (1, 'new')")
    finding = find(conn, declared)
    assert finding.code == "queue-gone"
    assert finding.why == "every write to public.orders that it captures fails"
    bring(conn, declared)
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    assert examine(conn, declared.manifest) == []


def test_an_owner_that_may_not_send_is_found_and_the_grants_fix_it(
    conn: Connection, declared: Declared
) -> None:
    role = f"sender_{os.getpid()}"
    conn.execute(f"CREATE ROLE {role}; GRANT ALL ON SCHEMA changelane TO {role}".encode())
    try:
        name = declared.manifest.captures[0].name
        conn.execute(f"ALTER FUNCTION changelane.{name}() OWNER TO {role}".encode())
        conn.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA pgmq FROM PUBLIC")
        for _ in range(4):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute("INSERT INTO orders VALUES (1, 'new')")
            finding = find(conn, declared)
            assert finding.code == "sender-unable"
            conn.execute(finding.fix.encode())
            if not examine(conn, declared.manifest):
                break
        conn.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgmq TO PUBLIC")
        conn.execute("INSERT INTO orders VALUES (1, 'new')")
    finally:
        conn.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())


def test_sessions_that_do_not_fire_ordinary_triggers_are_found(
    conn: Connection, declared: Declared, database: str, tmp_path: Path
) -> None:
    role = f"loader_{os.getpid()}"
    conn.execute(f"CREATE ROLE {role} LOGIN SUPERUSER".encode())
    try:
        # Only for this database: other tests would find a setting for the whole cluster.
        where = f"IN DATABASE {conn.info.dbname}"
        conn.execute(f"ALTER ROLE {role} {where} SET session_replication_role = replica".encode())
        finding = find(conn, declared)
        assert finding.code == "replication-role"
        assert f"replica for sessions of role {role}" in finding.what
        assert finding.why == "their writes do not fire the triggers of: paid"
        always = declare(conn, tmp_path, ALWAYS)
        bring(conn, always)
        assert examine(conn, always.manifest) == []
        with psycopg.connect(database, user=role) as loader:
            loader.execute("INSERT INTO orders VALUES (1, 'new')")
        assert conn.execute("SELECT count(*) FROM pgmq.q_events").fetchone() == (1,)
    finally:
        conn.execute(f"DROP ROLE {role}".encode())


def test_an_old_pgmq_and_a_missing_one_are_told_apart(
    conn: Connection, declared: Declared, bare_database: str
) -> None:
    conn.execute("ALTER TYPE pgmq.message_record RENAME TO other")
    for (signature,) in conn.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'pgmq'::regnamespace "
        "AND proname IN ('send', 'send_batch') AND 'headers' = ANY (proargnames)"
    ).fetchall():
        conn.execute(f"ALTER FUNCTION {signature} RENAME TO gone".encode())
    finding = find(conn, declared)
    assert finding.code == "pgmq-old"
    assert "takes 1.5.1 or newer" in finding.why
    with connect(bare_database) as bare:
        assert examine(bare, declared.manifest)[0].code == "pgmq-missing"


@pytest.fixture
def logical(tmp_path: Path) -> Iterator[str]:
    """The URL of a server whose changes can be replicated."""
    try:
        yield servers.start(tmp_path / "logical", settings={"wal_level": "logical", "fsync": "off"})
    finally:
        servers.remove(tmp_path / "logical")


def test_a_subscription_that_a_route_does_not_see_is_found_and_the_fix_captures_it(
    logical: str, tmp_path: Path
) -> None:
    with connect(logical) as publisher:
        publisher.execute("CREATE DATABASE reader")
        publisher.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
        publisher.execute("CREATE PUBLICATION all_orders FOR TABLE orders")
        publisher.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
        with connect(logical.replace("/postgres?", "/reader?")) as conn:
            pgmq.install(conn)
            conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
            declared = declare(conn, tmp_path, SPEC)
            bring(conn, declared)
            host = conninfo_to_dict(logical)["host"]
            conn.execute(
                f"CREATE SUBSCRIPTION incoming CONNECTION 'host={host} user=postgres dbname=postgres' "
                "PUBLICATION all_orders WITH (create_slot = false, slot_name = s, copy_data = off)".encode()
            )
            finding = find(conn, declared)
            assert finding.code == "subscription-skips"
            assert "subscription incoming applies changes to public.orders, which route paid" in finding.what
            assert "declare fire: always and capture: row in route paid" in finding.fix
            publisher.execute("INSERT INTO orders VALUES (1, 'unseen')")
            await_rows(conn, 1)
            assert conn.execute("SELECT count(*) FROM pgmq.q_events").fetchone() == (0,)

            fixed = declare(conn, tmp_path, ALWAYS)
            bring(conn, fixed)
            assert examine(conn, fixed.manifest) == []
            publisher.execute("INSERT INTO orders VALUES (2, 'seen')")
            await_rows(conn, 2)
            assert conn.execute("SELECT message->'new'->>'status' FROM pgmq.q_events").fetchall() == [
                ("seen",)
            ]
            conn.execute("ALTER SUBSCRIPTION incoming DISABLE")
            conn.execute("ALTER SUBSCRIPTION incoming SET (slot_name = NONE)")
            conn.execute("DROP SUBSCRIPTION incoming")


def await_rows(conn: Connection, count: int) -> None:
    deadline = time.monotonic() + 30
    while conn.execute("SELECT count(*) FROM orders").fetchone() != (count,):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def pooled(database: str, tmp_path: Path) -> Iterator[str]:
    """The database's URL through a proxy that, like a pooler, reports another process number to clients."""
    parameters = conninfo_to_dict(database)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{tmp_path}/.s.PGSQL.{parameters['port']}")
    listener.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(f"{parameters['host']}/.s.PGSQL.{parameters['port']}")
            threading.Thread(target=pump, args=(client, upstream), daemon=True).start()
            threading.Thread(target=answer, args=(upstream, client), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield str(psycopg.conninfo.make_conninfo(database, host=str(tmp_path)))
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def pump(source: socket.socket, target: socket.socket) -> None:
    # Either end may be closed under it by the other direction.
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    target.close()


def answer(server: socket.socket, client: socket.socket) -> None:
    """Copies the server's messages, with another pid in BackendKeyData, until it is ready; then bytes."""
    stream = server.makefile("rb")
    kind = b""
    while kind != b"Z":
        kind, length = stream.read(1), stream.read(4)
        body = stream.read(struct.unpack("!i", length)[0] - 4)
        client.sendall(kind + length + (struct.pack("!i", 1) + body[4:] if kind == b"K" else body))
    with stream:
        while data := stream.read1(65536):
            client.sendall(data)
    client.close()


@pytest.mark.usefixtures("declared")
def test_a_pooler_is_found_by_the_process_number_that_it_makes_up(pooled: str, run_changelane: Any) -> None:
    found = run_changelane("doctor", env={"DATABASE_URL": pooled})
    assert found.returncode == 2, found.stderr
    assert "a pooler is between here and the server [pooler]" in found.stdout
    assert "session mode" in found.stdout


def test_behind_a_pooler_applies_see_each_other_and_leave_no_lock_behind(
    conn: Connection, declared: Declared, pooled: str, database: str
) -> None:
    notes: list[str] = []
    with connect(pooled) as first, connect(database) as second:
        for holder, other in ((first, second), (second, first)):
            with hold_project(holder, project="shop", max_wait=0, notify=notes.append):
                assert holder.info.transaction_status == TransactionStatus.IDLE
                with (
                    pytest.raises(LockNotObtained),
                    hold_project(other, project="shop", max_wait=0, notify=notes.append),
                ):
                    pass
    assert len(notes) == 2
    deadline = time.monotonic() + 20
    while conn.execute(HELD).fetchall():
        # The keeper's session may still be ending.
        assert time.monotonic() < deadline
        time.sleep(0.02)
    conn.execute("ALTER TABLE orders DISABLE TRIGGER USER")
    with connect(pooled) as applying:
        bring(applying, declared)
    assert examine(conn, declared.manifest) == []
