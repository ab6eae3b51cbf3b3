"""Schema ``changelane`` belongs to us or is refused; its rights do not depend on default privileges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from support.command_line import RunChangelane
from support.deployment import bring, declare, find_wrong
from test_owner import Roles, count, run, write_spec

from changelane.errors import PreflightError
from changelane.runner.doctor.examine import examine

Connection = psycopg.Connection[Any]
BIG = "INSERT INTO {table} SELECT 1, 'new', string_agg(md5(g::text), '') FROM generate_series(1, 9000) AS g"


@pytest.fixture
def roles(conn: Connection) -> Iterator[Roles]:
    roles = Roles(conn)
    yield roles
    conn.execute("RESET ROLE")
    roles.drop()


@pytest.fixture
def tables(conn: Connection) -> None:
    conn.execute("CREATE SCHEMA app; CREATE TABLE app.orders (id int PRIMARY KEY, status text, body text)")


def connect(conn: Connection, role: str) -> Connection:
    return psycopg.connect(make_conninfo(conn.info.dsn, user=role), autocommit=True)


def become_deployer(conn: Connection, role: str, schema: str) -> None:
    """Let the role apply a project of its own: tables in ``schema``, queues, and schema changelane."""
    for statement in (
        "CREATE SCHEMA {schema} AUTHORIZATION {role}",
        "GRANT CREATE ON DATABASE {database} TO {role}",
        "GRANT ALL ON SCHEMA pgmq TO {role} WITH GRANT OPTION",
        "GRANT ALL ON pgmq.meta TO {role}",
    ):
        run(conn, statement, role=role, schema=schema, database=conn.info.dbname)


@pytest.mark.parametrize("declares", ["", "new", "there"])
def test_a_schema_made_beforehand_is_refused(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path, declares: str
) -> None:
    mallory, owner = roles.make("mallory"), roles.name("capture")
    run(conn, "GRANT CREATE ON DATABASE {database} TO {mallory}", mallory=mallory, database=conn.info.dbname)
    if declares == "there":
        run(conn, "CREATE ROLE {owner} NOLOGIN", owner=owner)
    with connect(conn, mallory) as theirs:
        theirs.execute("CREATE SCHEMA changelane")
        theirs.execute(
            "CREATE FUNCTION changelane.measure(value record) RETURNS bigint LANGUAGE plpgsql AS $$"
            " BEGIN RAISE 'ran as %', current_user; END $$"
        )
    declared = declare(conn, tmp_path, write_spec(owner=owner if declares else ""))
    with pytest.raises(PreflightError) as refusal:
        bring(conn, declared)
    said = "\n".join(str(problem.what) for problem in refusal.value.problems)
    assert f"schema changelane belongs to {mallory}, who may not act as role" in said
    assert f"function changelane.measure(pg_catalog.record) belongs to {mallory}" in said
    (problem,) = refusal.value.problems
    assert problem.fix is not None
    conn.execute(problem.fix.partition("; or, where")[0].encode())
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    conn.execute(BIG.format(table="app.orders").encode())
    assert count(conn) == 1


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE FUNCTION changelane.measure(app.orders) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW changelane.sleepers AS SELECT ''::text AS queue, now() AS until",
        "CREATE FUNCTION changelane.own(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
        " CREATE OPERATOR changelane.=== (leftarg = int, rightarg = int, function = changelane.own)",
    ],
    ids=["function", "view", "operator"],
)
def test_verify_finds_objects_of_other_roles_in_the_schema(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path, planted: str
) -> None:
    mallory = roles.make("mallory")
    declared = declare(conn, tmp_path, write_spec())
    bring(conn, declared)
    if "VIEW" in planted:
        conn.execute("DROP TABLE changelane.sleepers")
    run(conn, "GRANT ALL ON SCHEMA changelane, app TO {mallory}", mallory=mallory)
    with connect(conn, mallory) as theirs:
        theirs.execute(planted.encode())
    run(conn, "REVOKE ALL ON SCHEMA changelane, app FROM {mallory}", mallory=mallory)
    assert find_wrong(conn, declared) == ["foreign schema changelane"]
    with pytest.raises(PreflightError):
        bring(conn, declared)


@pytest.mark.parametrize("declares", [False, True], ids=["plain", "owner"])
def test_two_projects_of_two_roles_under_hardened_default_privileges(
    conn: Connection, roles: Roles, tmp_path: Path, declares: bool
) -> None:
    first, second, owner = roles.make("first"), roles.make("second"), roles.name("capture")
    conn.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA pgmq FROM PUBLIC")
    for role in (first, second):
        become_deployer(conn, role, f"app_{role}")
        run(
            conn,
            "ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
            role=role,
        )
        run(conn, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgmq TO {role} WITH GRANT OPTION", role=role)
    if declares:
        run(conn, "CREATE ROLE {owner} NOLOGIN", owner=owner)
        run(conn, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgmq TO {owner}", owner=owner)
        run(conn, "GRANT {owner} TO {first}, {second}", owner=owner, first=first, second=second)
    else:
        # The first one's measure runs as the second, who says so.
        run(conn, "GRANT {second} TO {first}", first=first, second=second)
    for role, project in ((first, "one"), (second, "two")):
        with connect(conn, role) as theirs:
            theirs.execute(f"CREATE TABLE app_{role}.orders (id int, status text, body text)".encode())
            spec = write_spec(
                owner=owner if declares else "", project=project, queue=project, table=f"app_{role}.orders"
            )
            declared = declare(theirs, tmp_path, spec)
            if role == second:
                run(
                    conn,
                    "GRANT USAGE, CREATE ON SCHEMA changelane TO {second} WITH GRANT OPTION",
                    second=second,
                )
            bring(theirs, declared)
            assert find_wrong(theirs, declared) == []
            theirs.execute(BIG.format(table=f"app_{role}.orders").encode())
            assert count(theirs, project) == 1


@pytest.mark.parametrize("declares", [False, True], ids=["plain", "owner"])
def test_row_security_that_holds_the_queues_owner(
    conn: Connection, roles: Roles, tmp_path: Path, declares: bool
) -> None:
    deployer = roles.make("deployer", "CREATEROLE" if declares else "")
    owner = roles.name("capture")
    become_deployer(conn, deployer, "app")
    with connect(conn, deployer) as theirs:
        theirs.execute("CREATE TABLE app.orders (id int PRIMARY KEY, status text, body text)")
        declared = declare(theirs, tmp_path, write_spec(owner=owner if declares else ""))
        bring(theirs, declared)
        theirs.execute(
            "ALTER TABLE pgmq.q_jobs ENABLE ROW LEVEL SECURITY;"
            " ALTER TABLE pgmq.q_jobs FORCE ROW LEVEL SECURITY"
        )
        wrong = find_wrong(theirs, declared)
        assert [text.partition(" ")[0] for text in wrong] == ["blocked"] * (1 if declares else 6)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            theirs.execute("INSERT INTO app.orders VALUES (1, 'new', '')")
        (finding,) = [found for found in examine(theirs, declared.manifest) if found.code == "sender-unable"]
        theirs.execute(finding.fix.encode())
        assert find_wrong(theirs, declared) == []
        theirs.execute("INSERT INTO app.orders VALUES (1, 'new', '')")


def test_a_schema_that_was_destroyed_but_for_its_audit_log_is_said_to_be_just_that(
    conn: Connection, tables: None, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    spec = (
        "version: 1\nproject: shop\nqueues: {jobs: {}}\n"
        "routes: [{name: orders, table: app.orders, events: [insert], queue: jobs}]\n"
    )
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared)
    conn.execute(
        "INSERT INTO changelane.audit (who, remote, action, arguments, outcome)"
        " VALUES ('ann', '', 'purge', '{}', 'done')"
    )
    assert run_changelane("destroy", "--yes", "--drop-queues").returncode == 0
    told = run_changelane("status").stdout
    assert "no more than its audit log is kept" in told
    assert "drifted" not in told
    assert run_changelane("verify", "--expect", "absent").returncode == 0
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    assert conn.execute("SELECT count(*) FROM changelane.audit").fetchone() == (1,)
