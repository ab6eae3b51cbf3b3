"""The doctor's findings on databases and servers: each is there with its cause, and not without."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow
from support.deployment import Declared, bring, declare

from changelane.contract.manifest import Manifest
from changelane.runner.doctor import examine as examination
from changelane.runner.doctor import flow, horizon, upkeep
from changelane.runner.doctor.examine import examine
from changelane.runner.doctor.finding import Finding
from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.local import server as servers
from changelane.runner.queue.worker_notes import LOOK, STATE

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
  - {name: rows, table: public.rows, events: [insert], queue: events}
consumers:
  events: {handler: "handlers:handle", lease: 5s}
"""
UNCONSUMED = SPEC.partition("consumers:")[0]
UNFED = SPEC.replace("queue: events}", "queue: others}").replace(
    "  events: {}\n", "  events: {}\n  others: {}\n", 1
)


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    assert find(conn, declared.manifest) == {}
    return declared


def find(conn: Connection, manifest: Manifest) -> dict[str, Finding]:
    found = {finding.code: finding for finding in examine(conn, manifest)}
    for finding in found.values():
        assert finding.what
        assert finding.why
        assert finding.fix
    return found


def test_a_message_that_nobody_is_declared_to_handle(conn: Connection, tmp_path: Path) -> None:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    declared = declare(conn, tmp_path, UNCONSUMED)
    bring(conn, declared)
    conn.execute("INSERT INTO rows VALUES (1)")
    assert find(conn, declared.manifest) == {}
    conn.execute("UPDATE pgmq.q_events SET enqueued_at = now() - interval '3 hours'")
    finding = find(conn, declared.manifest)["queue-unconsumed"]
    assert finding.what == "queue events holds a message for 3 h and has no consumer"


def test_a_consumer_that_nothing_is_ever_sent_to(conn: Connection, tmp_path: Path) -> None:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    declared = declare(conn, tmp_path, UNFED)
    bring(conn, declared)
    assert "queue events has no route" in find(conn, declared.manifest)["consumer-unfed"].what
    conn.execute("SELECT pgmq.send('events', '{}')")
    assert find(conn, declared.manifest) == {}


def test_a_message_that_is_due_longer_than_a_lease(conn: Connection, declared: Declared) -> None:
    conn.execute("INSERT INTO rows VALUES (1), (2)")
    assert find(conn, declared.manifest) == {}
    conn.execute("UPDATE pgmq.q_events SET vt = now() - interval '1 minute'")
    finding = find(conn, declared.manifest)["queue-late"]
    assert "due for 60 s, longer than the lease of 5 s, with no worker at it" in finding.what
    assert finding.fix == "changelane work events"
    conn.execute("UPDATE pgmq.q_events SET vt = now() + interval '1 minute'")
    assert find(conn, declared.manifest) == {}


def test_a_queue_that_was_paused_and_forgotten(conn: Connection, declared: Declared) -> None:
    conn.execute("INSERT INTO rows VALUES (1)")
    conn.execute("INSERT INTO changelane.pauses (queue, since) VALUES ('events', now() - interval '3 hours')")
    conn.execute("UPDATE pgmq.q_events SET vt = now() - interval '1 hour'")
    found = find(conn, declared.manifest)
    assert list(found) == ["queue-paused"]
    assert found["queue-paused"].fix == "changelane resume events"


def test_messages_that_hold_back_their_keys(conn: Connection, declared: Declared) -> None:
    conn.execute("INSERT INTO rows VALUES (1)")
    conn.execute("UPDATE pgmq.q_events SET vt = now() + interval '100 years'")
    assert list(find(conn, declared.manifest)) == []
    conn.execute('UPDATE pgmq.q_events SET headers = headers || \'{"changelane": {"blocked": true}}\'')
    assert list(find(conn, declared.manifest)) == ["keys-blocked"]


def test_dead_letters_as_many_as_the_alarm_says(conn: Connection, tmp_path: Path) -> None:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    spec = SPEC.replace("events: {}", "events: {dead_letter: gone, dead_letters: {alarm: 3}}", 1)
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared)
    conn.execute("SELECT pgmq.send('gone', '{}') FROM generate_series(1, 2)")
    assert find(conn, declared.manifest) == {}
    conn.execute("SELECT pgmq.send('gone', '{}')")
    finding = find(conn, declared.manifest)["dead-letters-many"]
    assert finding.what == "queue events has 3 dead letters in gone, and its alarm is at 3"
    conn.execute("DROP TABLE pgmq.q_gone")
    assert "dead-letters-many" not in find(conn, declared.manifest)


def test_a_queue_that_grows(conn: Connection, declared: Declared, database: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(examination, "LOOK", 4.0)
    conn.execute("INSERT INTO rows SELECT generate_series(1, 2000)")
    conn.execute("UPDATE pgmq.q_events SET vt = now() + interval '1 hour'")
    conn.execute("ANALYZE pgmq.q_events")
    assert find(conn, declared.manifest) == {}
    done = threading.Event()

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as writer:
            while not done.is_set():
                writer.execute("SELECT pgmq.send_batch('events', array_fill('{}'::jsonb, ARRAY[200]), 3600)")
                time.sleep(0.05)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        # A session reports what it did once a second, or so.
        deadline = time.monotonic() + 60
        while "queue-growing" not in (found := find(conn, declared.manifest)):
            assert time.monotonic() < deadline
    finally:
        done.set()
        thread.join()
    assert "queue events grows: in 4 s" in found["queue-growing"].what


def test_dead_rows_and_bloat(conn: Connection, declared: Declared, monkeypatch: Any) -> None:
    monkeypatch.setattr(upkeep, "DEAD", 1000)
    monkeypatch.setattr(upkeep, "LARGE", 64 * 1024)
    conn.execute("ALTER TABLE pgmq.q_events SET (autovacuum_enabled = false)")
    found = find(conn, declared.manifest)
    assert found["autovacuum-off"].fix == 'ALTER TABLE "pgmq"."q_events" RESET (autovacuum_enabled)'
    conn.execute(found["autovacuum-off"].fix.encode())
    assert find(conn, declared.manifest) == {}

    conn.execute("INSERT INTO rows SELECT generate_series(1, 5000)")
    conn.execute("DELETE FROM pgmq.q_events WHERE msg_id > 10")
    # A session reports what it did once a second, or so.
    found = wait_for(conn, declared, {"dead-rows"})
    assert "live ones; vacuum came never" in found["dead-rows"].what
    conn.execute("INSERT INTO rows SELECT generate_series(5001, 5003)")
    # Rows of the end keep its pages from being given back.
    conn.execute("DELETE FROM pgmq.q_events WHERE msg_id <= 10")
    conn.execute("VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF) pgmq.q_events")
    found = wait_for(conn, declared, {"table-bloated", "indexes-bloated"})
    conn.execute(found["indexes-bloated"].fix.encode())
    conn.execute("VACUUM (FULL) pgmq.q_events")
    wait_for(conn, declared, set())


def wait_for(conn: Connection, declared: Declared, codes: set[str]) -> dict[str, Finding]:
    """The findings, once those with these codes are among them. Without codes: once there are none."""
    deadline = time.monotonic() + 30
    while True:
        conn.execute("ANALYZE pgmq.q_events")
        found = find(conn, declared.manifest)
        if codes <= set(found) and bool(codes) == bool(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def test_a_session_that_is_idle_in_its_transaction(
    conn: Connection, declared: Declared, database: str, monkeypatch: Any
) -> None:
    holder = psycopg.connect(database, application_name="forgetful")
    holder.execute("SELECT count(*) FROM rows")
    assert find(conn, declared.manifest) == {}
    monkeypatch.setattr(horizon, "IDLE", 0.0)
    finding = find(conn, declared.manifest)["idle-in-transaction"]
    assert f"pid {holder.info.backend_pid} (role {holder.info.user}, forgetful) is idle" in finding.what
    terminate = finding.fix.partition(";")[0]
    assert conn.execute(terminate.encode()).fetchone() == (True,)
    holder.close()
    deadline = time.monotonic() + 20
    while find(conn, declared.manifest):
        assert time.monotonic() < deadline


def test_a_transaction_that_lasts(
    conn: Connection, declared: Declared, database: str, monkeypatch: Any
) -> None:
    with psycopg.connect(database, autocommit=True) as holder:

        def sleep() -> None:
            with contextlib.suppress(psycopg.errors.QueryCanceled):
                holder.execute("SELECT pg_sleep(600)")

        thread = threading.Thread(target=sleep)
        thread.start()
        try:
            deadline = time.monotonic() + 20
            monkeypatch.setattr(horizon, "LONG", 0.5)
            while "transaction-long" not in (found := find(conn, declared.manifest)):
                assert time.monotonic() < deadline
            assert f"pid {holder.info.backend_pid}" in found["transaction-long"].what
            monkeypatch.setattr(horizon, "LONG", 600.0)
            assert find(conn, declared.manifest) == {}
        finally:
            holder.cancel()
            thread.join()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Connection]:
    """A server of its own, which can prepare transactions and stream."""
    settings = {"fsync": "off", "max_prepared_transactions": "2", "wal_level": "logical"}
    try:
        with connect(servers.start(tmp_path / "own", settings=settings)) as conn:
            pgmq.install(conn)
            yield conn
    finally:
        servers.remove(tmp_path / "own")


def test_prepared_transactions_and_slots(own: Connection, tmp_path: Path, monkeypatch: Any) -> None:
    own.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    declared = declare(own, tmp_path, SPEC)
    bring(own, declared)
    own.execute("BEGIN; INSERT INTO rows VALUES (1); PREPARE TRANSACTION 'it''s \"left\"'")
    own.execute("SELECT pg_create_physical_replication_slot('stale', true)")
    assert find(own, declared.manifest) == {}
    monkeypatch.setattr(horizon, "IDLE", 0.0)
    monkeypatch.setattr(horizon, "RETAINED", 1024)
    own.execute("CREATE TABLE wal AS SELECT generate_series(1, 10000) AS n")
    found = find(own, declared.manifest)
    assert set(found) == {"transaction-prepared", "slot-inactive"}
    assert "slot stale has no reader and retains" in found["slot-inactive"].what
    own.execute(found["slot-inactive"].fix.partition(", or ")[2].encode())
    rollback = found["transaction-prepared"].fix.partition(" or ")[2]
    own.execute(rollback.encode())
    assert find(own, declared.manifest) == {}


def test_a_replication_slot_that_lost_its_wal_is_a_finding(own: Connection, tmp_path: Path) -> None:
    own.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    declared = declare(own, tmp_path, SPEC)
    bring(own, declared)
    own.execute("SELECT pg_create_physical_replication_slot('left_behind', true)")
    own.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    own.execute("SELECT pg_reload_conf()")
    await_setting(own, "max_slot_wal_keep_size", "1MB")
    for _ in range(3):
        own.execute("SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
    own.execute("CHECKPOINT")
    finding = find(own, declared.manifest)["slot-lost"]
    assert "slot left_behind is lost" in finding.what
    own.execute(finding.fix.partition(",")[0].encode())
    assert find(own, declared.manifest) == {}


def test_a_default_partition_that_fills(conn: Connection, declared: Declared) -> None:
    conn.execute("CREATE TABLE pgmq.q_cut (LIKE pgmq.q_events) PARTITION BY RANGE (enqueued_at)")
    conn.execute('CREATE TABLE pgmq."q_cut_Default" PARTITION OF pgmq.q_cut DEFAULT')
    assert find(conn, declared.manifest) == {}
    conn.execute("INSERT INTO pgmq.q_cut (msg_id, read_ct, enqueued_at, vt) VALUES (1, 0, now(), now())")
    finding = find(conn, declared.manifest)["default-filled"]
    assert "the DEFAULT partition pgmq.q_cut_Default of queue cut holds messages" in finding.what


def test_a_server_without_autovacuum(own: Connection, tmp_path: Path) -> None:
    own.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    declared = declare(own, tmp_path, SPEC)
    bring(own, declared)
    for setting, code in (("autovacuum", "autovacuum-off"), ("track_counts", "statistics-off")):
        own.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        own.execute("SELECT pg_reload_conf()")
        await_setting(own, setting, "off")
        finding = find(own, declared.manifest)[code]
        for statement in finding.fix.split("; "):
            own.execute(statement.encode())
        await_setting(own, setting, "on")
        assert code not in find(own, declared.manifest)


def await_setting(conn: Connection, setting: str, value: str) -> None:
    deadline = time.monotonic() + 20
    while conn.execute("SELECT current_setting(%s)", [setting]).fetchone() != (value,):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_reads_few_pages_of_a_deep_queue(conn: Connection, declared: Declared) -> None:
    conn.execute(
        "INSERT INTO pgmq.q_events (vt, message, headers)"
        " SELECT now() + interval '1 hour', '{}', NULL FROM generate_series(1, 100000)"
    )
    conn.execute("VACUUM ANALYZE pgmq.q_events")
    query = flow._FLOW.format(
        name=sql.Literal("events"),
        queue=sql.Identifier("pgmq", "q_events"),
        table=sql.Literal("pgmq.q_events"),
        state=STATE,
        look=sql.Literal(LOOK),
    )
    rows = conn.execute(sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ") + query).fetchone()
    assert rows is not None
    plan = rows[0][0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 50


def test_a_role_with_few_rights_is_told_what_it_does_not_see(
    conn: Connection, declared: Declared, run_changelane: Any, database: str
) -> None:
    role = f"watcher_{conn.info.backend_pid}"
    conn.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA pgmq TO {role}".encode())
    conn.execute(f"GRANT SELECT ON pgmq.meta TO {role}".encode())
    try:
        found = run_changelane(
            "doctor",
            "--format",
            "json",
            env={"DATABASE_URL": database.replace("user=postgres", f"user={role}")},
        )
        assert f'GRANT pg_read_all_stats TO "{role}"' in found.stderr
        assert json.loads(found.stdout)["format_version"] == 2
    finally:
        conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
