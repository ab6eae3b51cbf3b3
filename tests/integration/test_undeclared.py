"""Undeclared rights: plan and doctor report each, and --prune revokes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.api_roles import lend_roles
from support.command_line import RunChangelane
from support.deployment import Declared, bring, declare, find_wrong

from changelane.contract.manifest import read_step
from changelane.runner.apply.destroy import destroy
from changelane.runner.compare.statement import withdraw
from changelane.runner.compare.undeclared_rights import find_undeclared
from changelane.runner.live.observe import observe

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  jobs:
    access:
      - {{role: {reader}, allow: [read, archive]}}
  open: {{}}
routes:
  - {{name: rows, table: public.rows, events: [insert], queues: [jobs, open]}}
"""


@pytest.fixture
def roles(conn: Connection) -> Iterator[dict[str, str]]:
    with lend_roles(conn, ["reader", "anon", "other"]) as roles:
        yield roles


@pytest.fixture
def declared(conn: Connection, tmp_path: Path, roles: dict[str, str]) -> Declared:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    declared = declare(conn, tmp_path, SPEC.format(**roles))
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    return declared


def diagnose(run_changelane: Any) -> dict[str, list[str]]:
    """The doctor's findings, by code."""
    found: dict[str, list[str]] = {}
    for finding in json.loads(run_changelane("doctor", "--format", "json").stdout)["findings"]:
        found.setdefault(finding["code"], []).append(finding["what"])
    return found


UNDECLARED = {
    "GRANT ALL ON pgmq.q_jobs TO {anon}": "TRUNCATE",
    "GRANT SELECT (message) ON pgmq.q_jobs TO {anon}": "SELECT (message)",
    "GRANT TRIGGER ON pgmq.q_jobs TO {anon}": "TRIGGER",
    "GRANT INSERT ON pgmq.a_jobs TO {anon}": "INSERT on the archive",
    "GRANT UPDATE ON SEQUENCE pgmq.q_jobs_msg_id_seq TO {anon}": "UPDATE on sequence pgmq.q_jobs_msg_id_seq",
    "GRANT SELECT ON pgmq.q_jobs TO pg_read_all_data": "SELECT",
    "GRANT DELETE ON pgmq.q_jobs TO pg_monitor": "DELETE",
    "GRANT SELECT ON pgmq.q_jobs TO {anon} WITH GRANT OPTION; SET ROLE {anon};"
    " GRANT SELECT ON pgmq.q_jobs TO {other}; RESET ROLE": "SELECT",
}


@pytest.mark.parametrize("statement", UNDECLARED)
def test_rights_of_a_role_that_nobody_declared_are_drift_that_prune_takes_back(
    conn: Connection, declared: Declared, roles: dict[str, str], run_changelane: Any, statement: str
) -> None:
    before = conn.execute(ACLS).fetchall()
    conn.execute(f"GRANT USAGE ON SCHEMA pgmq TO {roles['anon']}, {roles['other']}".encode())
    conn.execute(statement.format(**roles).encode())
    verified = run_changelane("verify")
    assert verified.returncode == 2
    assert UNDECLARED[statement] in verified.stdout
    assert "drifted" in verified.stdout
    assert diagnose(run_changelane)["rights-undeclared"]
    kept = run_changelane("apply", "--yes")
    assert kept.returncode == 0, kept.stderr
    assert "or run with --prune to revoke it" in kept.stdout
    assert run_changelane("verify").returncode == 2
    pruned = run_changelane("apply", "--prune", "--yes")
    assert pruned.returncode == 0, pruned.stderr
    assert run_changelane("verify").returncode == 0
    assert "rights-undeclared" not in diagnose(run_changelane)
    assert conn.execute(ACLS).fetchall() == before


ACLS = """
SELECT relname, attname, attacl,
    ARRAY(SELECT entry::text FROM unnest(relacl) AS entry WHERE entry::text !~ 'pg_monitor' ORDER BY 1)
FROM pg_class
LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attacl IS NOT NULL
WHERE relnamespace = 'pgmq'::regnamespace AND relname ~ 'jobs' AND relkind IN ('r', 'S')
ORDER BY relname, attname
"""


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT UPDATE ON SEQUENCE pgmq.q_jobs_msg_id_seq TO {reader}",
        "GRANT ALL ON SEQUENCE pgmq.q_jobs_msg_id_seq TO PUBLIC",
        "GRANT SELECT (message) ON pgmq.a_jobs TO PUBLIC",
        "GRANT SELECT ON pgmq.q_jobs TO {reader} WITH GRANT OPTION",
        "GRANT SELECT ON pgmq.q_jobs TO {reader} WITH GRANT OPTION; SET ROLE {reader};"
        " GRANT SELECT ON pgmq.q_jobs TO PUBLIC; RESET ROLE",
    ],
)
def test_apply_revokes_undeclared_rights_of_declared_roles_and_public(
    conn: Connection, declared: Declared, roles: dict[str, str], run_changelane: Any, statement: str
) -> None:
    before = conn.execute(ACLS).fetchall()
    conn.execute(statement.format(**roles).encode())
    assert find_wrong(conn, declared) == [f"drifted access jobs for {roles['reader']}"]
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    assert conn.execute(ACLS).fetchall() == before


def test_partitions_are_checked_as_row_security_does_not_cover_them(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    (access,) = declared.manifest.access
    conn.execute(
        "DROP TABLE pgmq.q_jobs CASCADE;"
        " CREATE TABLE pgmq.q_jobs (msg_id bigint GENERATED ALWAYS AS IDENTITY,"
        " read_ct int, enqueued_at timestamptz, vt timestamptz, message jsonb, headers jsonb)"
        " PARTITION BY RANGE (enqueued_at);"
        ' CREATE TABLE pgmq."q_jobs_p%1\'" PARTITION OF pgmq.q_jobs DEFAULT'
    )
    for role in ("anon", "reader"):
        conn.execute(f'GRANT SELECT ON pgmq."q_jobs_p%1\'" TO {roles[role]}'.encode())
    observed = observe(conn, declared.manifest)
    (found,) = find_undeclared(declared.manifest, observed)
    assert found.detail == 'it may SELECT on table pgmq."q_jobs_p%1\'", and nothing declares it'
    assert found.withdrawal is not None
    conn.execute(withdraw(found.withdrawal).encode())
    with conn.transaction():
        conn.execute(read_step(access.step, declared.files).encode())
    held = conn.execute("SELECT relacl::text FROM pg_class WHERE relname LIKE 'q\\_jobs\\_p%'").fetchone()
    assert held is not None
    assert not any(role in held[0] for role in roles.values())


def test_a_queue_begins_with_the_rights_that_are_declared_whatever_the_defaults_are(
    conn: Connection, tmp_path: Path, roles: dict[str, str], run_changelane: Any
) -> None:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY)")
    conn.execute(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA pgmq GRANT ALL ON TABLES TO {roles['anon']}, PUBLIC;"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA pgmq GRANT ALL ON SEQUENCES TO {roles['anon']}".encode()
    )
    bring(conn, declare(conn, tmp_path, SPEC.format(**roles)))
    assert run_changelane("verify").returncode == 0
    found = diagnose(run_changelane)
    assert any(f"opened to role {roles['anon']}" in what for what in found["default-privileges"])
    assert any("opened to PUBLIC" in what for what in found["default-privileges"])


def test_the_doctor_names_who_can_use_a_queue_to_which_no_access_is_declared(
    conn: Connection, declared: Declared, roles: dict[str, str], run_changelane: Any
) -> None:
    assert "queue-open" not in diagnose(run_changelane)
    conn.execute(f"GRANT USAGE ON SCHEMA pgmq TO {roles['anon']}, {roles['other']}".encode())
    conn.execute(f"GRANT SELECT (message) ON pgmq.q_open TO {roles['anon']}".encode())
    conn.execute(f"GRANT {roles['anon']} TO {roles['other']}".encode())
    (said,) = diagnose(run_changelane)["queue-open"]
    assert said == f"role {roles['anon']}, role {roles['other']} can read queue open"
    conn.execute(f"GRANT DELETE ON pgmq.a_open TO {roles['other']}".encode())
    conn.execute("GRANT SELECT ON pgmq.q_open_dlq TO PUBLIC")
    assert sorted(diagnose(run_changelane)["queue-open"]) == [
        "PUBLIC can read queue open_dlq",
        f"role {roles['anon']} can read queue open",
        f"role {roles['other']} can read and write queue open",
    ]
    # Row security without a policy hides every row, except from roles that bypass it.
    conn.execute(
        "ALTER TABLE pgmq.q_open ENABLE ROW LEVEL SECURITY; REVOKE ALL ON pgmq.q_open_dlq FROM PUBLIC"
    )
    conn.execute("ALTER TABLE pgmq.a_open ENABLE ROW LEVEL SECURITY")
    assert "queue-open" not in diagnose(run_changelane)
    conn.execute(f"GRANT TRUNCATE ON pgmq.q_open TO {roles['anon']}".encode())
    assert "can write queue open" in diagnose(run_changelane)["queue-open"][0]


def test_the_doctor_names_rights_over_all_queues_at_once(
    conn: Connection, declared: Declared, roles: dict[str, str], run_changelane: Any
) -> None:
    assert "pgmq-open" not in diagnose(run_changelane)
    conn.execute(f"GRANT CREATE ON SCHEMA pgmq TO {roles['anon']}".encode())
    conn.execute(f"GRANT DELETE ON pgmq.meta TO {roles['anon']}".encode())
    conn.execute("ALTER FUNCTION pgmq.purge_queue(text) SECURITY DEFINER")
    assert sorted(diagnose(run_changelane)["pgmq-open"]) == [
        "PUBLIC may EXECUTE on function pgmq.purge_queue(text), which runs as its owner",
        f"role {roles['anon']} may CREATE on schema pgmq",
        f"role {roles['anon']} may DELETE on table pgmq.meta",
    ]


HELD = {
    "GRANT ALL ON pgmq.q_jobs TO {reader}": "INSERT",
    "GRANT TRUNCATE ON pgmq.a_jobs TO {reader}": "TRUNCATE on the archive",
    "GRANT UPDATE (message) ON pgmq.q_jobs TO {reader}": "UPDATE (message)",
    "GRANT SELECT ON pgmq.q_jobs TO {reader} WITH GRANT OPTION": "SELECT",
    "GRANT USAGE ON SEQUENCE pgmq.q_jobs_msg_id_seq TO {reader}": "USAGE on sequence pgmq.q_jobs_msg_id_seq",
    "GRANT SELECT ON pgmq.q_jobs TO PUBLIC": "SELECT",
}


@pytest.mark.parametrize("statement", HELD)
def test_a_plan_lists_each_right_that_a_role_had_before_and_loses(
    conn: Connection, tmp_path: Path, roles: dict[str, str], statement: str
) -> None:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY); SELECT pgmq.create('jobs')")
    conn.execute(statement.format(**roles).encode())
    declared = declare(conn, tmp_path, SPEC.format(**roles))
    (note,) = [note for note in bring(conn, declared).notes if "revokes" in note]
    assert f"access jobs for {roles['reader']}: `apply` revokes undeclared rights from" in note
    assert HELD[statement] in note
    assert find_wrong(conn, declared) == []
    assert [note for note in bring(conn, declared).notes if "revokes" in note] == []


def list_rights(conn: Connection) -> set[tuple[Any, ...]]:
    """Every right on the queue's tables, columns and sequences, and whether row security is on."""
    return set(
        conn.execute(
            """
            SELECT class.relname::text, place.name, acl.grantee::regrole::text, acl.privilege_type,
                acl.is_grantable, class.relrowsecurity
            FROM pg_class AS class
            CROSS JOIN LATERAL (
                SELECT '' AS name,
                    coalesce(relacl, acldefault(replace(relkind::text, 'S', 's')::"char", relowner)) AS acl
                UNION ALL SELECT attname, attacl FROM pg_attribute WHERE attrelid = class.oid
            ) AS place, aclexplode(place.acl) AS acl
            WHERE class.relnamespace = 'pgmq'::regnamespace AND class.relname ~ '^[qa]_jobs(_msg_id_seq)?$'
            UNION ALL
            SELECT nspname, '', acl.grantee::regrole::text, acl.privilege_type, acl.is_grantable, false
            FROM pg_namespace, aclexplode(nspacl) AS acl WHERE nspname = 'pgmq'
            """
        ).fetchall()
    )


def test_destroy_restores_the_rights_that_access_found(
    conn: Connection, tmp_path: Path, roles: dict[str, str], run_changelane: RunChangelane
) -> None:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY); SELECT pgmq.create('jobs')")
    conn.execute(
        "GRANT USAGE ON SCHEMA pgmq TO {reader}; REVOKE ALL ON pgmq.a_jobs FROM PUBLIC".format(**roles)
    )
    for statement in HELD:
        conn.execute(statement.format(**roles).encode())
    before = list_rights(conn)
    declared = declare(conn, tmp_path, SPEC.format(**roles))
    (note, *_) = [note for note in bring(conn, declared).notes if "revokes" in note]
    assert note.endswith("`destroy` gives them back")
    assert list_rights(conn) != before
    # What a person grants beside it later is drift, and not what was found.
    conn.execute(f"GRANT DELETE ON pgmq.q_jobs TO {roles['reader']}".encode())
    bring(conn, declared)
    done = run_changelane("destroy", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"{roles['reader']} may" in done.stdout
    assert "row security of" in done.stdout
    assert list_rights(conn) == before


def test_destroy_leaves_what_another_project_declares(
    conn: Connection, tmp_path: Path, roles: dict[str, str]
) -> None:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY); SELECT pgmq.create('jobs')")
    conn.execute(f"GRANT SELECT ON pgmq.q_jobs TO {roles['reader']}, {roles['anon']}".encode())
    shop = declare(conn, tmp_path, SPEC.format(**roles))
    bring(conn, shop)
    other = declare(
        conn,
        tmp_path,
        "version: 1\nproject: other\n"
        f"queues: {{jobs: {{access: [{{role: {roles['anon']}, allow: [send]}}]}}}}\n",
    )
    bring(conn, other)
    run_destroy(conn, shop)
    held = {(role, privilege) for _, _, role, privilege, _, _ in list_rights(conn)}
    assert (roles["reader"], "SELECT") in held
    assert (roles["anon"], "INSERT") in held
    assert conn.execute("SELECT relrowsecurity FROM pg_class WHERE relname = 'q_jobs'").fetchone() == (True,)
    run_destroy(conn, other)
    assert conn.execute("SELECT count(*) FROM pg_policy").fetchone() == (0,)
    held = {(role, privilege) for _, _, role, privilege, _, _ in list_rights(conn)}
    assert (roles["anon"], "SELECT") in held
    assert (roles["anon"], "INSERT") not in held


def run_destroy(conn: Connection, declared: Declared) -> None:
    destroy(
        conn,
        declared.manifest,
        confirm=lambda plan: None,
        report=lambda step: None,
        notify=lambda text: None,
    )
