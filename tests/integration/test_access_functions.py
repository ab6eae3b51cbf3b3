"""Access by functions: a role does its operations, and has no right to lock, write or forge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from support.api_roles import lend_roles
from support.deployment import Declared, bring, declare, find_wrong

from changelane.errors import PreflightError
from changelane.runner.apply.destroy import destroy

Connection = psycopg.Connection[TupleRow]

ALL = ("send", "read", "pop", "archive", "delete")
ROLES = ("tenant", "worker", "stranger", *ALL)
TENANT = "message->>'tenant' = (select current_setting('request.jwt.claims', true)::jsonb->>'tenant')"
SPEC = """
version: 1
project: {project}
api: true
queues:
  jobs:
    access:
      - {{role: {worker}, allow: [send, read, delete]}}
      - role: {tenant}
        via: functions
        allow: [send, read, pop, archive, delete]
        using: &tenant "{using}"
      - {{role: {send}, via: functions, allow: [send], using: *tenant}}
      - {{role: {read}, via: functions, allow: [read], using: *tenant}}
      - {{role: {pop}, via: functions, allow: [pop], using: *tenant}}
      - {{role: {archive}, via: functions, allow: [archive], using: *tenant}}
      - {{role: {delete}, via: functions, allow: [delete], using: *tenant}}
  jobs_more: {{access: [{{role: {worker}, allow: [read]}}]}}
  private: {{}}
routes: []
"""
CALLS = {
    "send": "SELECT pgmq_public.send('{queue}', %(message)s::jsonb)",
    "send_batch": "SELECT pgmq_public.send_batch('{queue}', ARRAY[%(message)s]::jsonb[])",
    "send_with_headers": "SELECT pgmq_public.send_with_headers('{queue}', %(message)s::jsonb, '{{}}'::jsonb)",
    "read": "SELECT msg_id FROM pgmq_public.read('{queue}', 30, 1)",
    "read_with_poll": "SELECT msg_id FROM pgmq_public.read_with_poll('{queue}', 30, 1, 1)",
    "set_visibility": "SELECT pgmq_public.set_visibility('{queue}', %(msg_id)s, 0, 30)",
    "pop": "SELECT msg_id FROM pgmq_public.pop('{queue}')",
    "archive": "SELECT pgmq_public.archive('{queue}', %(msg_id)s)",
    "archive_batch": "SELECT pgmq_public.archive_batch('{queue}', ARRAY[%(msg_id)s]::bigint[])",
    "delete": "SELECT pgmq_public.delete('{queue}', %(msg_id)s)",
    "delete_batch": "SELECT pgmq_public.delete_batch('{queue}', ARRAY[%(msg_id)s]::bigint[])",
}
OPENED = {
    "send": {"send", "send_batch", "send_with_headers"},
    "read": {"read", "read_with_poll", "set_visibility"},
    "pop": {"pop"},
    "archive": {"archive", "archive_batch"},
    "delete": {"delete", "delete_batch"},
    "tenant": set(CALLS),
    "stranger": set(),
}
FORBIDDEN = (
    "LOCK TABLE pgmq.q_jobs IN ACCESS SHARE MODE",
    "LOCK TABLE pgmq.a_jobs IN ACCESS SHARE MODE",
    "SELECT FROM pgmq.q_jobs FOR UPDATE",
    "SELECT message FROM pgmq.q_jobs",
    "SELECT message FROM pgmq.a_jobs",
    "UPDATE pgmq.q_jobs SET read_ct = 2147483647",
    "UPDATE pgmq.q_jobs SET vt = 'infinity'",
    "UPDATE pgmq.q_jobs SET headers = '{}'",
    "DELETE FROM pgmq.q_jobs",
    "INSERT INTO pgmq.q_jobs (vt, message) VALUES (now(), '{}')",
    "INSERT INTO pgmq.a_jobs (msg_id, vt, read_ct, enqueued_at, message) VALUES (9, now(), 1, now(), '{}')",
    "SELECT pgmq.send('jobs', '{}'::jsonb)",
    "SELECT pgmq.read('jobs', 1, 1)",
    "SELECT pgmq.purge_queue('jobs')",
    "CREATE FUNCTION changelane_access.read_jobs_0000000() RETURNS int LANGUAGE sql AS 'SELECT 1'",
)
SILENT: dict[str, Any] = {
    "confirm": lambda planned: None,
    "report": lambda step: None,
    "notify": lambda message: None,
}


@pytest.fixture
def roles(conn: Connection) -> Iterator[dict[str, str]]:
    with lend_roles(conn, ROLES) as roles:
        yield roles


@pytest.fixture
def project(conn: Connection, roles: dict[str, str]) -> Iterator[str]:
    """A project name for each test, because the roles that functions run as belong to the whole server."""
    project = "p" + roles["tenant"].rpartition("_")[2]
    yield project
    conn.execute("RESET ROLE")
    for (role,) in conn.execute(
        "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [f"changelane_{project}_"]
    ).fetchall():
        conn.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(sql.Identifier(role)))


@pytest.fixture
def declared(conn: Connection, tmp_path: Path, roles: dict[str, str], project: str) -> Declared:
    declared = declare(conn, tmp_path, SPEC.format(project=project, using=TENANT, **roles))
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    assert bring(conn, declared).steps == ()
    return declared


def become(conn: Connection, role: str, *, tenant: str = "mine") -> None:
    conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
    conn.execute("SELECT set_config('request.jwt.claims', %s, true)", [json.dumps({"tenant": tenant})])


def state(conn: Connection) -> tuple[Any, ...]:
    """The rows that an operation can change, as the owner sees them."""
    conn.execute("RESET ROLE")
    return tuple(
        conn.execute(query).fetchall()
        for query in (
            "SELECT msg_id, message, read_ct, vt FROM pgmq.q_jobs ORDER BY msg_id",
            "SELECT msg_id, message, headers FROM pgmq.a_jobs ORDER BY msg_id",
            "SELECT msg_id, vt FROM pgmq.q_jobs_more",
            "SELECT msg_id, vt FROM pgmq.q_private",
        )
    )


def attempt(conn: Connection, statement: str, *, role: str, queue: str, row: str) -> bool:
    """Whether it changes anything that a role of tenant `mine` does with a message of tenant `row`."""
    with conn.transaction(force_rollback=True):
        message = json.dumps({"tenant": row})
        (msg_id,) = conn.execute("SELECT pgmq.send(%s, %s::jsonb)", [queue, message]).fetchone() or (0,)
        before = state(conn)
        become(conn, role)
        values = {"msg_id": msg_id, "message": message}
        try:
            with conn.transaction():
                conn.execute(statement.format(queue=queue).encode(), values)
        except errors.InsufficientPrivilege:
            assert state(conn) == before
            return False
        return state(conn) != before


def test_a_role_does_what_is_declared_with_the_messages_declared_and_nothing_else(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    grid = {
        (name, call, queue, row): attempt(conn, statement, role=roles[name], queue=queue, row=row)
        for name in OPENED
        for call, statement in CALLS.items()
        for queue in ("jobs", "jobs_more", "private")
        for row in ("mine", "theirs")
    }
    expected = {
        (name, call, queue, row): (queue, row) == ("jobs", "mine") and call in OPENED[name]
        for name, call, queue, row in grid
    }
    assert {cell: can for cell, can in grid.items() if can != expected[cell]} == {}


def test_a_role_by_functions_holds_nothing_to_lock_write_or_forge_with(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    conn.execute("""SELECT pgmq.send('jobs', '{"tenant": "mine"}'::jsonb)""")
    acting = {access.role for access in declared.manifest.access if access.caller}
    assert len(acting) == 6
    for name in OPENED:
        for statement in FORBIDDEN:
            with conn.transaction(force_rollback=True):
                become(conn, roles[name])
                with pytest.raises(errors.InsufficientPrivilege):
                    conn.execute(statement.encode())
        # Whether a session of that role could SET ROLE.
        able = "SELECT bool_or(pg_has_role(%s, acting, 'MEMBER')) FROM unnest(%s::text[]) AS acting"
        assert conn.execute(able, [roles[name], list(acting)]).fetchone() == (False,)
    held = conn.execute(
        "SELECT count(*) FROM information_schema.column_privileges WHERE grantee = ANY (%s)",
        [[roles[name] for name in OPENED]],
    ).fetchone()
    assert held == (0,)


def test_another_tenants_message_is_neither_seen_nor_counted(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    conn.execute(
        "SELECT pgmq.send('jobs', jsonb_build_object('tenant', tenant))"
        " FROM unnest('{mine,theirs,theirs}'::text[]) AS tenant"
    )
    for tenant, seen in (("mine", 1), ("theirs", 2), ("none", 0)):
        with conn.transaction(force_rollback=True):
            become(conn, roles["tenant"], tenant=tenant)
            counted = conn.execute("SELECT queue_length FROM pgmq_public.metrics('jobs')").fetchone()
            found = conn.execute("SELECT message FROM pgmq_public.read('jobs', 0, 9)").fetchall()
            assert (counted, len(found)) == ((seen,), seen)
            assert {message["tenant"] for (message,) in found} <= {tenant}


def test_expressions_run_with_the_rights_of_the_functions_role_alone(
    conn: Connection, tmp_path: Path, roles: dict[str, str], project: str
) -> None:
    conn.execute("""
        CREATE SCHEMA app;
        CREATE TABLE app.seen (who text, can boolean);
        GRANT ALL ON app.seen TO PUBLIC;
        CREATE FUNCTION app.mine(message jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO app.seen SELECT current_user, pg_has_role('pg_read_server_files', 'USAGE');
            RETURN true;
        END $$;
        REVOKE ALL ON FUNCTION app.mine FROM PUBLIC;
    """)
    declared = declare(conn, tmp_path, SPEC.format(project=project, using="app.mine(message)", **roles))
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    with conn.transaction():
        become(conn, roles["tenant"])
        assert len(conn.execute("SELECT pgmq_public.send('jobs', '1'::jsonb)").fetchall()) == 1
    acting = {access.role for access in declared.manifest.access if access.caller == roles["tenant"]}
    assert set(conn.execute("SELECT * FROM app.seen").fetchall()) == {(role, False) for role in acting}


CHANGES = (
    "DROP FUNCTION changelane_access.{function}(integer, integer)",
    "GRANT EXECUTE ON FUNCTION changelane_access.{function}(integer, integer) TO PUBLIC",
    "REVOKE EXECUTE ON FUNCTION changelane_access.{function}(integer, integer) FROM {tenant}",
    "ALTER FUNCTION changelane_access.{function}(integer, integer) SECURITY INVOKER",
    "ALTER FUNCTION changelane_access.{function}(integer, integer) RESET ALL",
    "ALTER FUNCTION changelane_access.{function}(integer, integer) OWNER TO CURRENT_USER",
    "COMMENT ON FUNCTION changelane_access.{function}(integer, integer) IS NULL",
    "GRANT {acting} TO {stranger}",
    "ALTER ROLE {acting} LOGIN",
    "GRANT DELETE ON {archived} TO {acting}",
)


def test_changes_by_hand_are_drift_that_apply_fixes(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    (access,) = [access for access in declared.manifest.access if access.caller == roles["tenant"]]
    (function,) = [name for name in access.functions if name.startswith("read_")]
    names = {
        "function": sql.Identifier(function),
        "acting": sql.Identifier(access.role),
        "archived": sql.Identifier("pgmq", "a_jobs"),
        "tenant": sql.Identifier(roles["tenant"]),
        "stranger": sql.Identifier(roles["stranger"]),
    }
    drifted = [f"drifted access jobs for {access.caller}"]
    for change in CHANGES:
        conn.execute(sql.SQL(change).format(**names))
        assert find_wrong(conn, declared) == drifted, change
        bring(conn, declared)
        assert find_wrong(conn, declared) == [], change
    for change in (
        "REVOKE USAGE ON SCHEMA changelane_access FROM PUBLIC",
        "GRANT CREATE ON SCHEMA changelane_access TO {stranger}",
    ):
        conn.execute(sql.SQL(change).format(**names))
        assert drifted[0] in find_wrong(conn, declared), change
        bring(conn, declared)
        assert find_wrong(conn, declared) == [], change
    conn.execute(sql.SQL("GRANT SELECT ON pgmq.q_jobs TO {tenant}").format(**names))
    bring(conn, declared)
    assert find_wrong(conn, declared) == drifted
    bring(conn, declared, prune=True)
    assert find_wrong(conn, declared) == []


def test_objects_of_other_roles_in_the_schema_of_callers_are_refused(
    conn: Connection, tmp_path: Path, roles: dict[str, str], project: str
) -> None:
    stranger = sql.Identifier(roles["stranger"])
    conn.execute(sql.SQL("CREATE SCHEMA changelane_access AUTHORIZATION {}").format(stranger))
    declared = declare(conn, tmp_path, SPEC.format(project=project, using=TENANT, **roles))
    assert "foreign access jobs for " + roles["tenant"] in find_wrong(conn, declared)
    with pytest.raises(PreflightError):
        bring(conn, declared)
    conn.execute("ALTER SCHEMA changelane_access OWNER TO CURRENT_USER")
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    conn.execute(
        "CREATE FUNCTION changelane_access.read_jobs_0000000(integer, integer) RETURNS integer"
        " LANGUAGE sql AS 'SELECT 1'"
    )
    forged = "changelane:1 project=other access=jobs spec=000000000000 live=000000000000 pg=18"
    for comment in ("", forged):
        conn.execute(sql.SQL(
            "COMMENT ON FUNCTION changelane_access.read_jobs_0000000(integer, integer) IS {}"
        ).format(comment))  # fmt: skip
        assert "foreign access jobs for " + roles["tenant"] in find_wrong(conn, declared)
        with pytest.raises(PreflightError):
            bring(conn, declared)


def test_declared_later_taken_back_and_destroyed(
    conn: Connection, declared: Declared, tmp_path: Path, roles: dict[str, str], project: str
) -> None:
    spec = SPEC.format(project=project, using=TENANT, **roles)
    statement = "SELECT pgmq.delete('jobs', %(msg_id)s)"
    tables = declare(conn, tmp_path, spec.replace("via: functions", "via: tables"))
    bring(conn, tables)
    assert find_wrong(conn, tables) == []
    assert conn.execute("SELECT to_regnamespace('changelane_access')").fetchone() == (None,)
    assert attempt(conn, statement, role=roles["delete"], queue="jobs", row="mine")
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    assert not attempt(conn, statement, role=roles["delete"], queue="jobs", row="mine")
    destroy(conn, declared.manifest, **SILENT)
    assert conn.execute("SELECT to_regnamespace('changelane_access')").fetchone() == (None,)
    for role in {access.role for access in declared.manifest.access if access.caller}:
        # Nothing in the database depends on it any more.
        conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.mark.parametrize("right", ["CREATEROLE", "MEMBER"])
def test_a_role_without_superuser_applies_changes_and_destroys(
    conn: Connection, tmp_path: Path, roles: dict[str, str], project: str, right: str
) -> None:
    deployer = sql.Identifier(roles["stranger"])
    spec = SPEC.format(project=project, using=TENANT, **roles)
    options = sql.SQL("LOGIN CREATEROLE" if right == "CREATEROLE" else "LOGIN")
    conn.execute(sql.SQL("ALTER ROLE {} {}").format(deployer, options))
    for statement in (
        "GRANT CREATE ON DATABASE {database} TO {deployer}",
        "GRANT ALL ON SCHEMA pgmq TO {deployer} WITH GRANT OPTION",
        "GRANT ALL ON pgmq.meta TO {deployer}",
    ):
        conn.execute(sql.SQL(statement).format(database=sql.Identifier(conn.info.dbname), deployer=deployer))
    url = make_conninfo(conn.info.dsn, user=roles["stranger"])
    with psycopg.connect(url, autocommit=True) as theirs:
        declared = declare(theirs, tmp_path, spec)
        if right == "MEMBER":
            with pytest.raises(PreflightError):
                bring(theirs, declared)
            for role in {access.role for access in declared.manifest.access if access.caller}:
                made = sql.SQL("CREATE ROLE {0} NOLOGIN; GRANT {0} TO {1}")
                conn.execute(made.format(sql.Identifier(role), deployer))
        bring(theirs, declared)
        assert find_wrong(theirs, declared) == []
        changed = declare(theirs, tmp_path, spec.replace("allow: [send, read, pop,", "allow: [send, read,"))
        bring(theirs, changed)
        assert find_wrong(theirs, changed) == []
        assert find_wrong(conn, changed) == []
        assert attempt(conn, CALLS["archive"], role=roles["tenant"], queue="jobs", row="mine")
        assert not attempt(conn, CALLS["pop"], role=roles["tenant"], queue="jobs", row="mine")
        destroy(theirs, changed.manifest, drop_queues=True, **SILENT)
    assert conn.execute("SELECT to_regnamespace('changelane_access')").fetchone() == (None,)


def test_an_api_calls_nothing_that_a_stranger_put_where_it_looks(
    conn: Connection, tmp_path: Path, roles: dict[str, str], project: str
) -> None:
    """Whoever may create a schema in the database would run code with the rights of the API's callers."""
    spec = SPEC.format(project=project, using=TENANT, **roles).replace("via: functions", "via: tables")
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared)
    stranger = sql.Identifier(roles["stranger"])
    conn.execute(sql.SQL("CREATE SCHEMA changelane_access AUTHORIZATION {}").format(stranger))
    conn.execute("GRANT USAGE ON SCHEMA changelane_access TO PUBLIC")
    conn.execute("""
        CREATE FUNCTION changelane_access.read_jobs_0000000(integer, integer)
        RETURNS SETOF pgmq.message_record
        LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$;
    """)
    conn.execute("""SELECT pgmq.send('jobs', '{"tenant": "mine"}'::jsonb)""")
    with conn.transaction(force_rollback=True):
        become(conn, roles["tenant"])
        assert len(conn.execute("SELECT msg_id FROM pgmq_public.read('jobs', 0, 9)").fetchall()) == 1
    conn.execute("ALTER SCHEMA changelane_access OWNER TO CURRENT_USER")
    with conn.transaction(force_rollback=True):
        become(conn, roles["tenant"])
        with pytest.raises(errors.RaiseException, match=f"run as {roles['tenant']}"):
            conn.execute("SELECT msg_id FROM pgmq_public.read('jobs', 0, 9)")
