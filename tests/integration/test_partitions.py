"""Queues partitioned by time, on a server with pg_partman: `python tests/matrix.py 15-partman`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.deployment import Declared, bring, declare, find_wrong
from support.pg_partman import install_partman

from changelane.errors import PreflightError
from changelane.runner.apply.plan import Plan, plan
from changelane.runner.live.database import connect
from changelane.runner.live.observe import observe
from changelane.runner.local import binaries

Connection = psycopg.Connection[Any]

SPEC = """
version: 1
project: shop
queues:
  events:
    kind: partitioned
    partition: {interval: 1 day, retain: 2 days}
routes:
  - {name: orders, table: public.orders, events: [insert, update], queue: events}
consumers:
  events: {handler: "handlers:handle", mode: transactional}
"""
ARCHIVED = SPEC.replace("2 days}", "2 days}\n    archive: {keep: 3 days}")
ORDERED = SPEC.replace("transactional}", "transactional, ordering: key}")
HANDLERS = """
def handle(change, tx):
    tx.execute("INSERT INTO seen VALUES (%s, %s, %s)", [change.op, change.new["id"], change.new["status"]])
"""
PARTITIONS = (
    "SELECT relname::text FROM pg_class WHERE oid IN (SELECT relid FROM pg_partition_tree(%s) WHERE isleaf)"
)


@pytest.fixture
def conn(conn: Connection) -> Connection:
    install_partman(conn)
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    conn.execute("CREATE TABLE seen (op text, id int, status text)")
    return conn


def change(conn: Connection, folder: Path, spec: str) -> Declared:
    (folder / "handlers.py").write_text(HANDLERS)
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


def list_partitions(conn: Connection, table: str) -> set[str]:
    return {name for (name,) in conn.execute(PARTITIONS, [f"pgmq.{table}"])}


def test_a_declared_queue_is_cut_by_time_and_kept_as_declared(conn: Connection, tmp_path: Path) -> None:
    declared = declare(conn, tmp_path, ARCHIVED)
    planned = look(conn, declared)
    assert (
        "queue events: messages older than 2 days are dropped with their partition, read or not"
        in planned.notes
    )
    bring(conn, declared)
    assert look(conn, declared).steps == ()
    config = "SELECT parent_table, retention, infinite_time_partitions FROM partman.part_config ORDER BY 1"
    assert conn.execute(config).fetchall() == [
        ("pgmq.a_events", "3 days", True),
        ("pgmq.q_events", "2 days", True),
    ]
    assert one(conn, "SELECT relkind FROM pg_class WHERE relname = 'q_events_dlq'") == "r"


@pytest.mark.parametrize("capture", ["statement", "row"])
@pytest.mark.parametrize("send", ["pgmq", "inline"])
def test_changes_of_one_row_and_of_many_come_to_a_partition(
    conn: Connection, tmp_path: Path, capture: str, send: str
) -> None:
    change(
        conn, tmp_path, SPEC.replace("queue: events}", f"queue: events, capture: {capture}, send: {send}}}")
    )
    conn.execute("INSERT INTO orders VALUES (0, 'new')")
    conn.execute("INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 2500) AS n")
    conn.execute("UPDATE orders SET status = 'paid' WHERE id < 2")
    assert one(conn, "SELECT count(DISTINCT msg_id) FROM pgmq.q_events") == 2503
    assert one(conn, "SELECT count(*) FROM pgmq.q_events_default") == 0


@pytest.mark.parametrize("archive", ["", "archive: {keep: 3 days}"], ids=["deleted", "archived"])
@pytest.mark.parametrize("ordering", ["none", "key"])
def test_a_worker_handles_every_change_once(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane, archive: str, ordering: str
) -> None:
    spec = SPEC.replace("transactional}", f"transactional, ordering: {ordering}}}")
    change(conn, tmp_path, spec.replace("2 days}", f"2 days}}\n    {archive}"))
    conn.execute("INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 60) AS n")
    for status in ("paid", "sent"):
        conn.execute("UPDATE orders SET status = %s", [status])
    worked = run_changelane("work", "--drain")
    assert worked.returncode == 0, worked.stderr
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 0
    seen = conn.execute("SELECT status, count(*), count(DISTINCT id) FROM seen GROUP BY 1 ORDER BY 1")
    assert seen.fetchall() == [("new", 60, 60), ("paid", 60, 60), ("sent", 60, 60)]
    assert one(conn, "SELECT count(*) FROM pgmq.a_events") == (180 if archive else 0)


@pytest.mark.parametrize("spec", [SPEC, ORDERED], ids=["unordered", "ordered"])
def test_claims_and_acknowledgements_go_by_indexes(conn: Connection, tmp_path: Path, spec: str) -> None:
    from changelane.runner.queue.worked import open_worked

    declared = change(conn, tmp_path, spec)
    conn.execute("INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 20000) AS n")
    conn.execute("ANALYZE pgmq.q_events")
    (queue,) = open_worked(conn, declared.manifest.consumers)
    # How an empty partition is read does not matter.
    scans = "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relid = %s"
    filled = one(conn, "SELECT tableoid FROM pgmq.q_events LIMIT 1")
    with conn.transaction():
        before = one(conn, scans, filled)
        held = queue.claim(conn, limit=50, lease=60)
        assert len(queue.renew(conn, held, lease=60)) == len(held) == 50
        assert len(queue.ack(conn, held)) == 50
        assert one(conn, scans, filled) == before


def test_maintain_drops_old_partitions_with_what_nobody_read_and_makes_new_ones_for_an_empty_queue(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    change(conn, tmp_path, ARCHIVED)
    conn.execute("INSERT INTO pgmq.q_events (vt, enqueued_at) VALUES (now(), now() - interval '4 days')")
    conn.execute(
        "INSERT INTO pgmq.a_events (msg_id, vt, archived_at) VALUES (1, now(), now() - interval '3 days')"
    )
    conn.execute("UPDATE partman.part_config SET premake = 6")
    before = list_partitions(conn, "q_events")
    done = run_changelane("maintain", "--format", "json")
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["queues"]
    after = list_partitions(conn, "q_events")
    assert [name for name in told["made"] if name[0] == "q"] == sorted(after - before)
    assert [name for name in told["dropped"] if name[0] == "q"] == sorted(before - after)
    # Late in a day, pg_partman makes one more of each.
    made = [name[0] for name in told["made"]]
    assert made.count("q") == made.count("a")
    assert made.count("q") in (2, 3)
    assert len(told["dropped"]) == 3
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 0
    # Its archive is kept for another day, and no longer.
    assert one(conn, "SELECT count(*) FROM pgmq.a_events") == 1
    assert find_wrong(conn, declare(conn, tmp_path, ARCHIVED)) == []


def test_messages_for_which_no_partition_was_there_get_theirs(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    change(conn, tmp_path, SPEC)
    conn.execute(
        "INSERT INTO pgmq.q_events (vt, enqueued_at)"
        " SELECT now(), now() + interval '5 days' FROM generate_series(1, 3)"
    )
    assert one(conn, "SELECT count(*) FROM pgmq.q_events_default") == 3
    conn.execute("UPDATE partman.part_config SET premake = 6")
    done = run_changelane("maintain")
    assert (done.returncode, "3 messages moved out of the default partition" in done.stdout) == (0, True), (
        done.stderr
    )
    assert one(conn, "SELECT count(*) FROM pgmq.q_events_default") == 0
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 3


def test_maintain_does_not_wait_for_a_sender_longer_than_told(
    conn: Connection, database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    change(conn, tmp_path, SPEC)
    with psycopg.connect(database) as sender:
        sender.execute("INSERT INTO orders VALUES (1, 'new')")
        done = run_changelane("maintain", "--max-wait", "100ms")
        assert done.returncode == 75
        assert "the lock on pgmq.q_events was not obtained within 0.1 s, held by pid" in done.stderr
    assert run_changelane("maintain").returncode == 0


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("UPDATE partman.part_config SET retention = '9 days'", "after 9 days, declared after 2 days"),
        ("UPDATE partman.part_config SET retention = NULL", "are dropped never, declared after 2 days"),
        ("UPDATE partman.part_config SET infinite_time_partitions = false", "gets no new partitions"),
        ("ALTER TABLE pgmq.q_events_default RESET (autovacuum_vacuum_threshold)", "autovacuum are others"),
    ],
)  # fmt: skip
def test_settings_changed_by_hand_are_drift_and_are_fixed(
    conn: Connection, tmp_path: Path, statement: str, detail: str
) -> None:
    declared = change(conn, tmp_path, SPEC)
    conn.execute(statement.encode())
    assert find_wrong(conn, declared) == ["drifted queue events"]
    (thing,) = look(conn, declared).drift
    assert detail in thing.detail
    planned = bring(conn, declared)
    assert [(step.action, step.lock) for step in planned.steps] == [
        ("set", "SHARE UPDATE EXCLUSIVE on pgmq.q_events and its partitions")
    ]
    assert find_wrong(conn, declared) == []


def test_a_longer_retention_is_set_and_another_interval_takes_another_queue(
    conn: Connection, tmp_path: Path
) -> None:
    change(conn, tmp_path, SPEC)
    change(conn, tmp_path, SPEC.replace("2 days", "30 days"))
    assert (
        one(conn, "SELECT retention FROM partman.part_config WHERE parent_table = 'pgmq.q_events'")
        == "30 days"
    )
    declared = declare(conn, tmp_path, SPEC.replace("1 day", "12 hours"))
    ((what, fix),) = look(conn, declared).problems
    assert what == "queue events: its partitions span 1 day, declared 12 hours"
    assert "declare one of another name and let the routes send to it, work events off" in fix
    with pytest.raises(PreflightError):
        bring(conn, declared)


def test_order_can_be_declared_later_and_a_lost_index_is_made_again(conn: Connection, tmp_path: Path) -> None:
    change(conn, tmp_path, SPEC)
    declared = declare(conn, tmp_path, ORDERED)
    planned = bring(conn, declared)
    assert "index" in [step.action for step in planned.steps]
    conn.execute("DROP INDEX pgmq.q_events_key_idx, pgmq.q_events_vt_idx, pgmq.q_events_msg_id_idx")
    planned = bring(conn, declared)
    assert [(step.action, step.lock) for step in planned.steps] == [
        ("index", "SHARE on pgmq.q_events and its partitions")
    ]
    assert find_wrong(conn, declared) == []


def test_a_queue_does_not_become_partitioned_in_place(conn: Connection, tmp_path: Path) -> None:
    logged = SPEC.replace("kind: partitioned", "kind: logged").replace(
        "    partition: {interval: 1 day, retain: 2 days}\n", ""
    )
    change(conn, tmp_path, logged)
    ((what, fix),) = look(conn, declare(conn, tmp_path, SPEC)).problems
    assert what == "queue events: it is logged, declared partitioned"
    assert "declare one of another name" in fix


def test_destroy_leaves_neither_partition_nor_template_nor_configuration(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    change(conn, tmp_path, ARCHIVED)
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    refused = run_changelane("destroy", "--yes", "--drop-queues")
    assert (refused.returncode, "queue events holds 1 message" in refused.stderr) == (1, True)
    done = run_changelane("destroy", "--yes", "--drop-queues", "--discard-messages", "events")
    assert done.returncode == 0, done.stderr
    assert one(conn, "SELECT count(*) FROM pg_class WHERE relname ~ '(q|a)_events'") == 0
    assert one(conn, "SELECT count(*) FROM partman.part_config") == 0


def test_other_commands_do_not_show_pg_partmans_templates(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    change(conn, tmp_path, SPEC)
    assert run_changelane("inspect").returncode == 0
    assert "template" not in (tmp_path / "sql_out" / "catalog.json").read_text()
    for command in (
        ["status"],
        ["verify"],
        ["generate", "--check"],
        ["validate", "--live"],
        ["models"],
        ["doctor"],
    ):
        done = run_changelane(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    tried = run_changelane("try", "INSERT INTO orders VALUES (1, 'new')")
    assert (tried.returncode, "events" in tried.stdout) == (0, True)
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 0


def test_a_restored_database_needs_nothing_done(
    conn: Connection, database: str, bare_database: str, tmp_path: Path
) -> None:
    declared = change(conn, tmp_path, ARCHIVED)
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    program = str(binaries.find_binary("pg_dump"))
    dumped = subprocess.run([program, "--dbname", database], capture_output=True, check=True).stdout
    subprocess.run(
        [str(binaries.find_binary("psql")), "--quiet", "--dbname", bare_database, "--set", "ON_ERROR_STOP=1"],
        input=dumped, capture_output=True, check=True,
    )  # fmt: skip
    with connect(bare_database) as restored:
        assert find_wrong(restored, declared) == []
        restored.execute("INSERT INTO orders VALUES (2, 'new')")
        assert one(restored, "SELECT count(*) FROM pgmq.q_events") == 2


def test_a_role_without_rights_on_pg_partman_is_told_which_and_can_apply_with_them(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    role = f"plain_{os.getpid()}"
    declare(conn, tmp_path, SPEC)
    as_role = {"PGOPTIONS": f"-c role={role}"}
    conn.execute(f"CREATE ROLE {role}".encode())
    try:
        for grant in (
            f"GRANT CREATE ON DATABASE {conn.info.dbname} TO {role}",
            f"GRANT ALL ON SCHEMA pgmq TO {role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA pgmq TO {role}",
            f"ALTER TABLE orders OWNER TO {role}",
        ):
            conn.execute(grant.encode())
        refused = run_changelane("apply", "--yes", env=as_role)
        assert refused.returncode == 1
        assert f"queue events: it is partitioned, and role {role} may not use pg_partman" in refused.stderr
        (told,) = [line for line in refused.stderr.splitlines() if 'ON SCHEMA "partman"' in line]
        conn.execute(told.removeprefix("  fix: ").encode())
        applied = run_changelane("apply", "--yes", env=as_role)
        assert applied.returncode == 0, applied.stderr
        assert run_changelane("maintain", env=as_role).returncode == 0
    finally:
        conn.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())
