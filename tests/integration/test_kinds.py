"""Kinds of queues that every server has, and how queue tables are vacuumed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.deployment import Declared, bring, declare, find_wrong

from changelane.runner.apply.plan import Plan, plan
from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.live.observe import observe
from changelane.runner.local import binaries
from changelane.runner.local import server as servers
from changelane.runner.queue.fenced import open_queues

Connection = psycopg.Connection[Any]
OLD = (Path(__file__).parent.parent / "support" / "pgmq_1_5.sql").read_bytes()

SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
  - {name: orders, table: public.orders, events: [insert], queue: events}
"""
UNLOGGED = SPEC.replace("{}", "{kind: unlogged, archive: {keep: 1 day}}")
PARTITIONED = SPEC.replace("{}", "{kind: partitioned, partition: {interval: 1 day, retain: 14 days}}")
PERSISTENCE = """
    SELECT relname::text, relpersistence::text FROM pg_class
    WHERE relname IN ('q_events', 'a_events', 'q_events_dlq', 'q_events_msg_id_seq') ORDER BY 1
"""
OPTIONS = "SELECT reloptions FROM pg_class WHERE relname = %s"
DEFAULTS = [
    "autovacuum_vacuum_cost_delay=0",
    "autovacuum_vacuum_scale_factor=0",
    "autovacuum_vacuum_threshold=1000",
]


@pytest.fixture
def conn(conn: Connection) -> Connection:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    return conn


def change(conn: Connection, folder: Path, spec: str) -> Declared:
    declared = declare(conn, folder, spec)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    return declared


def look(conn: Connection, declared: Declared) -> Plan:
    return plan(declared.manifest, observe(conn, declared.manifest))


def one(conn: Connection, query: str, *values: Any) -> Any:
    row = conn.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


def test_only_the_queue_itself_is_unlogged(conn: Connection, tmp_path: Path) -> None:
    declared = declare(conn, tmp_path, UNLOGGED)
    note = "queue events: a crash of the server empties it; its archive and its dead letters are kept"
    assert note in look(conn, declared).notes
    bring(conn, declared)
    assert conn.execute(PERSISTENCE).fetchall() == [
        ("a_events", "p"),
        ("q_events", "u"),
        ("q_events_dlq", "p"),
        ("q_events_msg_id_seq", "p"),
    ]
    assert one(conn, "SELECT is_unlogged FROM pgmq.meta WHERE queue_name = 'events'")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[str]:
    """The URL of a server that may crash."""
    try:
        yield servers.start(tmp_path / "own", settings={"fsync": "off"})
    finally:
        servers.remove(tmp_path / "own")


def test_after_a_crash_an_unlogged_queue_is_empty_and_its_ids_go_on(own_server: str, tmp_path: Path) -> None:
    with connect(own_server) as conn:
        pgmq.install(conn)
        conn.execute("CREATE TABLE orders (id int PRIMARY KEY)")
        declared = change(conn, tmp_path, UNLOGGED)
        conn.execute("INSERT INTO orders VALUES (1), (2)")
        (queue,) = open_queues(conn, [("events", "events_dlq")], keeping=["events"])
        assert len(queue.ack(conn, queue.claim(conn, limit=1, lease=60))) == 1
        with connect(own_server) as other:
            os.kill(conn.info.backend_pid, signal.SIGKILL)
            # The server ends all sessions once it notices.
            with pytest.raises(psycopg.OperationalError):
                other.execute("SELECT pg_sleep(60)")
    conn = wait_for(own_server)
    with conn:
        assert find_wrong(conn, declared) == []
        assert one(conn, "SELECT count(*) FROM orders") == 2
        assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 0
        conn.execute("INSERT INTO orders VALUES (3)")
        # If the sequence restarted, the id would equal that of the archived message.
        assert len(queue.ack(conn, queue.claim(conn, limit=1, lease=60))) == 1
        assert one(conn, "SELECT count(*) FROM pgmq.a_events") == 2


def wait_for(url: str) -> Connection:
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(url, autocommit=True)
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_restored_unlogged_queue_needs_nothing_done(
    conn: Connection, database: str, bare_database: str, tmp_path: Path
) -> None:
    declared = change(conn, tmp_path, UNLOGGED)
    program = str(binaries.find_binary("pg_dump"))
    dump = subprocess.run([program, "--dbname", database], capture_output=True, check=True).stdout
    program = str(binaries.find_binary("psql"))
    subprocess.run(
        [program, "--quiet", "--dbname", bare_database], input=dump, capture_output=True, check=True
    )
    with connect(bare_database) as restored:
        assert find_wrong(restored, declared) == []


@pytest.mark.parametrize(("before", "after"), [(SPEC, UNLOGGED), (UNLOGGED, SPEC)], ids=["to", "from"])
def test_the_printed_steps_change_a_queue_to_another_kind(
    conn: Connection, tmp_path: Path, before: str, after: str
) -> None:
    change(conn, tmp_path, before)
    conn.execute("INSERT INTO orders VALUES (1)")
    declared = declare(conn, tmp_path, after)
    ((what, fix),) = look(conn, declared).problems
    kinds = ("logged", "unlogged") if after == UNLOGGED else ("unlogged", "logged")
    assert what == f"queue events: it is {kinds[0]}, declared {kinds[1]}"
    conn.execute(fix.encode())
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 1


def test_where_pg_partman_is_missing_a_partitioned_queue_is_refused_by_every_command(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    if conn.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_partman'").fetchone():
        pytest.skip("the server offers pg_partman")
    declare(conn, tmp_path, PARTITIONED)
    what = "queue events: it is partitioned, and the server does not offer pg_partman"
    for command in (["plan"], ["apply", "--yes"], ["validate", "--live"]):
        done = run_changelane(*command)
        said = done.stdout + done.stderr
        assert what in said
        assert "apt-get install postgresql-" in said
        assert done.returncode == 1
    assert conn.execute("SELECT FROM pgmq.meta").fetchall() == []


def test_the_longest_name_leaves_room_for_those_of_its_indexes(conn: Connection, tmp_path: Path) -> None:
    name = "q" * 47
    conn.execute("SELECT pgmq.create(%s)", [name])
    conn.execute(f"DROP INDEX pgmq.archived_at_idx_{name}".encode())
    declared = (
        SPEC.replace("  events: {}", f"  {name}: {{archive: {{keep: 1 day}}, dead_letter: dead}}").replace(
            "queue: events", f"queue: {name}"
        )
        + f"consumers:\n  {name}: {{handler: 'handlers:handle', ordering: key}}\n"
    )
    change(conn, tmp_path, declared)


def test_every_queue_table_is_vacuumed_by_dead_rows_and_not_by_its_size(
    conn: Connection, tmp_path: Path
) -> None:
    change(conn, tmp_path, SPEC)
    for table in ("q_events", "q_events_dlq"):
        assert one(conn, OPTIONS, table) == DEFAULTS
    assert one(conn, OPTIONS, "a_events") is None
    change(conn, tmp_path, SPEC.replace("{}", "{autovacuum: {threshold: 50, cost_delay: 0.5ms}}"))
    assert one(conn, OPTIONS, "q_events") == [
        "autovacuum_vacuum_cost_delay=0.5",
        "autovacuum_vacuum_scale_factor=0",
        "autovacuum_vacuum_threshold=50",
    ]
    assert one(conn, OPTIONS, "q_events_dlq") == DEFAULTS


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE pgmq.q_events RESET (autovacuum_vacuum_scale_factor)",
        "ALTER TABLE pgmq.q_events SET (autovacuum_enabled = false)",
        "ALTER TABLE pgmq.q_events SET (autovacuum_vacuum_threshold = 5)",
    ],
)
def test_settings_changed_by_hand_are_drift_that_apply_fixes_while_senders_send(
    conn: Connection, database: str, tmp_path: Path, statement: str
) -> None:
    declared = change(conn, tmp_path, SPEC)
    conn.execute(statement.encode())
    conn.execute("ALTER TABLE pgmq.q_events SET (fillfactor = 70, autovacuum_analyze_threshold = 9)")
    assert find_wrong(conn, declared) == ["drifted queue events"]
    with psycopg.connect(database) as sender:
        sender.execute("INSERT INTO orders VALUES (1)")
        planned = bring(conn, declared, max_wait=0.0)
        assert [(step.action, step.lock) for step in planned.steps] == [
            ("set", "SHARE UPDATE EXCLUSIVE on pgmq.q_events")
        ]
    assert sorted(one(conn, OPTIONS, "q_events")) == [
        "autovacuum_analyze_threshold=9", *DEFAULTS, "fillfactor=70"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("DROP INDEX pgmq.q_events_vt_idx", "claims"),
        ("ALTER TABLE pgmq.q_events DROP CONSTRAINT q_events_pkey", "acknowledgements"),
        ("DROP INDEX pgmq.archived_at_idx_events", "pruning its archive"),
        (
            "DROP INDEX pgmq.q_events_vt_idx, pgmq.archived_at_idx_events",
            "claims and that for pruning its archive",
        ),
    ],
)
def test_a_lost_index_is_made_again_beside_senders(
    conn: Connection, database: str, tmp_path: Path, statement: str, detail: str
) -> None:
    declared = change(conn, tmp_path, SPEC.replace("{}", "{archive: {keep: 1 day}}"))
    conn.execute(statement.encode())
    (thing,) = look(conn, declared).differences
    assert thing.detail == f"lacks the index for {detail}"
    planned = bring(conn, declared)
    assert [(step.action, step.lock) for step in planned.steps] == [
        ("index", "SHARE UPDATE EXCLUSIVE on pgmq.q_events")
    ]
    assert find_wrong(conn, declared) == []


def test_a_queue_of_someone_else_keeps_its_settings(conn: Connection, tmp_path: Path) -> None:
    conn.execute("SELECT pgmq.create('events')")
    change(conn, tmp_path, SPEC.replace("{}", "{archive: {keep: 1 day}}"))
    assert one(conn, OPTIONS, "q_events") is None
    assert one(conn, OPTIONS, "q_events_dlq") == DEFAULTS


def test_pgmq_1_5_keeps_archives_too(bare_database: str, tmp_path: Path) -> None:
    with connect(bare_database) as conn:
        conn.execute(OLD)
        conn.execute("CREATE TABLE orders (id int PRIMARY KEY)")
        declared = change(conn, tmp_path, SPEC.replace("{}", "{archive: {keep: 1 day}}"))
        assert one(conn, "SELECT to_regclass('pgmq.a_events_age_idx')") is not None
        conn.execute("INSERT INTO orders VALUES (1)")
        (queue,) = open_queues(conn, [("events", "events_dlq")], keeping=["events"])
        assert queue.ack(conn, queue.claim(conn, limit=1, lease=60)) == {1}
        assert one(conn, "SELECT message->'new'->>'id' FROM pgmq.a_events") == "1"
        assert look(conn, declared).steps == ()
