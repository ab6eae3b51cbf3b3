"""Roles with one right: abuse of that right does no harm to others' messages or to a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import TupleRow
from support.api_roles import lend_roles
from support.deployment import bring, declare, find_wrong
from support.workers import Bench

from changelane.contract.access import OPERATIONS
from changelane.contract.manifest import Archive
from changelane.runner.operate.access import read_access

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  jobs:
    access:
      - {{role: {send}, allow: [send]}}
      - {{role: {read}, allow: [read]}}
      - {{role: {pop}, allow: [pop]}}
      - {{role: {archive}, allow: [archive]}}
      - {{role: {delete}, allow: [delete]}}
routes: []
"""


@pytest.fixture
def roles(conn: Connection) -> Iterator[dict[str, str]]:
    with lend_roles(conn, OPERATIONS) as roles:
        yield roles


@pytest.fixture
def bench(conn: Connection, database: str, tmp_path: Path, roles: dict[str, str]) -> Bench:
    """A queue with a role for each operation, and one message in it."""
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    declared = declare(conn, tmp_path, SPEC.format(**roles))
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    (tmp_path / "pipelines.yaml").unlink()
    bench.send("1")
    return bench


COPY = (
    "INSERT INTO pgmq.a_jobs (msg_id, vt, read_ct, enqueued_at, message, headers)"
    " SELECT msg_id, {vt}, {read_ct}, enqueued_at, message, {headers} FROM pgmq.q_jobs WHERE msg_id < 3"
)
FORBIDDEN = [
    ("read", "UPDATE pgmq.q_jobs SET read_ct = 2147483647"),
    ("read", "UPDATE pgmq.q_jobs SET read_ct = -1"),
    ("read", "UPDATE pgmq.q_jobs SET vt = 'infinity'"),
    ("read", "UPDATE pgmq.q_jobs SET vt = '-infinity'"),
    ("read", "UPDATE pgmq.q_jobs SET vt = '4000-01-01 BC'"),
    ("pop", "UPDATE pgmq.q_jobs SET vt = 'infinity'"),
    ("send", "INSERT INTO pgmq.q_jobs (vt, message) VALUES ('infinity', '1')"),
    ("send", "INSERT INTO pgmq.q_jobs (vt, message) VALUES ('4000-01-01 BC', '1')"),
    ("send", "SELECT pgmq.send('jobs', '1'::jsonb, '-infinity'::timestamptz)"),
    ("archive", COPY.format(vt="vt", read_ct="read_ct", headers='headers || \'{"route": "forged"}\'')),
    ("archive", COPY.format(vt="vt", read_ct="read_ct", headers="'[1]'")),
    ("archive", COPY.format(vt="'infinity'", read_ct="read_ct", headers="headers")),
    ("archive", COPY.format(vt="vt", read_ct="2147483647", headers="headers")),
]


@pytest.mark.parametrize(("role", "statement"), FORBIDDEN)
def test_no_role_may_write_a_message_that_others_cannot_count_or_read(
    conn: Connection, bench: Bench, roles: dict[str, str], role: str, statement: str
) -> None:
    before = bench.rows("SELECT * FROM pgmq.q_jobs")
    with conn.transaction(force_rollback=True):
        conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(roles[role])))
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            conn.execute(statement.encode())
    assert bench.rows("SELECT * FROM pgmq.q_jobs") == before


ALLOWED = [
    ("send", "SELECT pgmq.send('jobs', '1'::jsonb, 2147483647)"),
    ("send", "SELECT pgmq.send('jobs', '1'::jsonb, -2147483648)"),
    ("read", "SELECT msg_id FROM pgmq.read('jobs', 2147483647, 1)"),
    ("read", "SELECT msg_id FROM pgmq.read('jobs', -2147483648, 1)"),
    ("pop", "SELECT msg_id FROM pgmq.pop('jobs')"),
    ("archive", "SELECT pgmq.archive('jobs', 1)"),
    ("delete", "SELECT pgmq.delete('jobs', 1)"),
]


@pytest.mark.parametrize(("role", "statement"), ALLOWED)
def test_each_right_does_all_that_pgmqs_functions_do(
    conn: Connection, bench: Bench, roles: dict[str, str], role: str, statement: str
) -> None:
    # As a worker notes a failed attempt, and as somebody without headers sends.
    conn.execute("""UPDATE pgmq.q_jobs SET headers = headers || '{"changelane": {"attempts": 1}}'""")
    for headers in ("headers", "'[1]'", "NULL"):
        with conn.transaction(force_rollback=True):
            conn.execute(f"UPDATE pgmq.q_jobs SET headers = {headers}".encode())
            conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(roles[role])))
            done = conn.execute(statement.encode()).fetchall()
            assert done not in ([], [(False,)])


def test_bounds_narrow_no_operation_in_what_people_are_shown(
    conn: Connection, bench: Bench, roles: dict[str, str]
) -> None:
    (queue,) = [queue for queue in read_access(conn) if queue.queue == "jobs"]
    told = {
        role.role: {name for name, extent in role.operations.items() if extent == "all"}
        for role in queue.roles
    }
    assert {name: name in told[role] for name, role in roles.items()} == dict.fromkeys(roles, True)


@pytest.mark.parametrize("ordering", ["none", "key"])
def test_a_count_of_deliveries_at_its_end_is_buried_and_the_rest_goes_on(bench: Bench, ordering: str) -> None:
    bench.conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    bench.send("2", "3")
    bench.conn.execute("UPDATE pgmq.q_jobs SET read_ct = 2147483647 WHERE msg_id = 2")
    bench.conn.execute("UPDATE pgmq.q_jobs SET read_ct = -2147483648 WHERE msg_id = 3")
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
        """,
        mode="transactional",
        ordering=ordering,
    )
    bench.drain()
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(1,), (3,)]
    (letter,) = bench.dead
    assert "read_ct is 2147483647" in letter["dead_letter"]["error"]
    assert bench.queued == 0


@pytest.mark.parametrize("mode", ["transactional", "at_least_once"])
def test_a_copy_in_the_archive_is_in_no_workers_way_and_is_not_replayed_twice(
    bench: Bench, roles: dict[str, str], run_changelane: Any, mode: str
) -> None:
    bench.send("2", "3")
    with bench.conn.transaction():
        bench.conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(roles["archive"])))
        bench.conn.execute(COPY.format(vt="vt", read_ct="read_ct", headers="headers").encode())
    replayed = run_changelane("replay", "jobs", "--since", "1h", "--yes")
    assert replayed.returncode == 0, replayed.stderr
    assert "not sent again, because the queue still holds them: 1, 2" in replayed.stderr
    assert bench.queued == 3
    takes = "change: Change, tx: psycopg.Connection" if mode == "transactional" else "change: Change"
    bench.declare(f"def handle({takes}) -> None: ...", mode=mode, archive=Archive(keep=3600))
    bench.drain()
    assert bench.queued == 0
    assert bench.dead == []
    # The copies stay, and what was handled beside them got ids made of the time.
    archived = sorted(msg_id for (msg_id,) in bench.rows("SELECT msg_id FROM pgmq.a_jobs"))
    assert archived[:3] == [1, 2, 3]
    assert len(archived) == 5
    again = run_changelane("replay", "jobs", "--since", "1h", "--yes", "--restart")
    assert again.returncode == 0, again.stderr
    assert bench.queued == 5


def test_a_workers_role_locks_no_table_that_captured_writes_read(
    conn: Connection, tmp_path: Path, roles: dict[str, str]
) -> None:
    role = sql.Identifier(roles["read"])
    spec = SPEC.format(**roles).replace("allow: [read]", "allow: [send, read, delete]")
    conn.execute("CREATE TABLE things (id int PRIMARY KEY)")
    route = "routes:\n  - {name: things, table: public.things, events: [insert], queue: jobs}\n"
    declared = declare(conn, tmp_path, spec.replace("routes: []\n", route))
    bring(conn, declared)
    for statement in (
        "LOCK TABLE changelane.sleepers IN ROW SHARE MODE",
        "LOCK TABLE changelane.pauses IN ACCESS EXCLUSIVE MODE",
        "SELECT FROM changelane.sleepers FOR UPDATE",
        "UPDATE changelane.sleepers SET until = 'infinity'",
        "INSERT INTO changelane.sleepers VALUES ('jobs', 'infinity')",
        "DELETE FROM changelane.pauses",
        "SELECT changelane.pause('jobs')",
        "SELECT changelane.resume('jobs')",
    ):
        with conn.transaction(force_rollback=True):
            conn.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
            with pytest.raises(errors.InsufficientPrivilege):
                conn.execute(statement.encode())
    with conn.transaction():
        conn.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
        conn.execute("SELECT changelane.doze(ARRAY['jobs', 'jobs', 'none'], 1e9)")
    asleep = "SELECT queue, until > now(), until < now() + interval '2 min' FROM changelane.sleepers"
    assert conn.execute(asleep).fetchall() == [("jobs", True, True)]
    with conn.transaction():
        conn.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
        conn.execute("SELECT changelane.rouse(ARRAY['jobs'])")
    assert conn.execute(asleep).fetchall() == [("jobs", False, True)]


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT UPDATE ON changelane.sleepers TO PUBLIC",
        "GRANT DELETE ON changelane.pauses TO PUBLIC",
        "GRANT EXECUTE ON FUNCTION changelane.pause(text) TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION changelane.doze(text[], double precision) FROM PUBLIC",
        "DROP FUNCTION changelane.rouse(text[])",
    ],
)
def test_the_rights_on_our_own_tables_and_functions_are_held_against_what_apply_gives(
    conn: Connection, tmp_path: Path, roles: dict[str, str], statement: str
) -> None:
    declared = declare(conn, tmp_path, SPEC.format(**roles))
    bring(conn, declared)
    conn.execute(statement.encode())
    assert find_wrong(conn, declared) == ["drifted schema changelane"]
    bring(conn, declared)
    assert find_wrong(conn, declared) == []


def test_a_role_pauses_and_resumes_by_a_right_on_functions_alone(
    bench: Bench, conn: Connection, roles: dict[str, str], run_changelane: Any
) -> None:
    role = roles["send"]
    conn.execute(
        f"ALTER ROLE {role} LOGIN; GRANT USAGE ON SCHEMA changelane, pgmq TO {role};"
        f"GRANT SELECT ON pgmq.meta TO {role};"
        f"GRANT EXECUTE ON FUNCTION changelane.pause(text), changelane.resume(text) TO {role}".encode()
    )
    for command, left in (("pause", 1), ("pause", 1), ("resume", 0), ("resume", 0)):
        done = run_changelane(command, "jobs", env={"PGOPTIONS": f"-c role={role}"})
        assert done.returncode == 0, done.stderr
        assert bench.count("changelane.pauses") == left
