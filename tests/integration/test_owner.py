"""The owner role of capture functions: its rights, their limits, and who may set it up."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from support.deployment import Declared, bring, declare, find_wrong

from changelane.errors import PreflightError
from changelane.runner.apply.destroy import destroy
from changelane.runner.apply.plan import plan
from changelane.runner.apply.preflight import check
from changelane.runner.live.observe import observe

Connection = psycopg.Connection[Any]

SPEC = """
version: 1
project: {project}
{owner}
queues:
  {queue}: {{{access}}}
routes:
  - name: orders
    table: {table}
    events: [insert, update, delete]
    queue: {queue}
    {more}
consumers:
  {queue}: {{handler: handlers:on_change}}
"""
HIJACK = """
    CREATE TYPE mallory.mood AS ENUM ('calm', 'angry');
    CREATE FUNCTION mallory.leak(mallory.mood) RETURNS json LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO app.seen SELECT current_user, pg_has_role('pg_read_server_files', 'USAGE');
        RETURN to_json('leaked'::text);
    EXCEPTION WHEN insufficient_privilege THEN
        RETURN to_json(current_user::text);
    END $$;
    CREATE CAST (mallory.mood AS json) WITH FUNCTION mallory.leak(mallory.mood);
"""


class Roles:
    """Roles of one test. Their names have a tag, because roles belong to the whole server."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.tag = uuid.uuid4().hex[:8]
        self.names: list[str] = []

    def name(self, name: str) -> str:
        full = f"{name}_{self.tag}"
        if full not in self.names:
            self.names.append(full)
        return full

    def make(self, name: str, options: str = "") -> str:
        role = sql.Identifier(self.name(name))
        self.conn.execute(sql.SQL("CREATE ROLE {} LOGIN {}").format(role, sql.SQL(options)))
        return self.name(name)

    def drop(self) -> None:
        for name in self.names:
            role = sql.Identifier(name)
            if self.conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).rowcount:
                self.conn.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
        for name in self.names:
            self.conn.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


@pytest.fixture
def roles(conn: Connection) -> Iterator[Roles]:
    roles = Roles(conn)
    yield roles
    conn.execute("RESET ROLE")
    roles.drop()


def run(conn: Connection, statement: str, **names: str) -> None:
    conn.execute(sql.SQL(statement).format(**{key: sql.Identifier(name) for key, name in names.items()}))


def write_spec(
    *, owner: str = "", project: str = "shop", queue: str = "jobs", table: str = "app.orders",
    access: str = "", more: str = "",
) -> str:  # fmt: skip
    declared = f"owner: {owner}" if owner else ""
    return SPEC.format(owner=declared, project=project, queue=queue, table=table, access=access, more=more)


@pytest.fixture
def tables(conn: Connection) -> None:
    conn.execute(
        "CREATE SCHEMA app; CREATE TABLE app.orders (id int PRIMARY KEY, status text, body text);"
        "CREATE TABLE app.seen (who name, files bool)"
    )


def read_owners(conn: Connection) -> set[str]:
    query = "SELECT DISTINCT proowner::regrole::text FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
    return {
        row[0]
        for row in conn.execute(f"{query} WHERE nspname = 'changelane' AND prorettype = 'trigger'::regtype")
    }


def count(conn: Connection, queue: str = "jobs") -> int:
    row = conn.execute(
        sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("pgmq", f"q_{queue}"))
    ).fetchone()
    assert row is not None
    return int(row[0])


def list_notes(conn: Connection, declared: Declared) -> str:
    return "\n".join(plan(declared.manifest, observe(conn, declared.manifest)).notes)


def test_captures_run_as_a_role_that_may_only_send(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path
) -> None:
    owner = roles.name("capture")
    declared = declare(
        conn, tmp_path, write_spec(owner=owner, more="when: new.status <> 'x'\n    send: pgmq")
    )
    planned = bring(conn, declared)
    assert ("add", "owner", owner) in [(step.action, step.kind, step.name) for step in planned.steps]
    assert read_owners(conn) == {owner}
    assert find_wrong(conn, declared) == []
    assert bring(conn, declared).steps == ()
    assert owner not in list_notes(conn, declared)
    conn.execute(
        "INSERT INTO app.orders SELECT g, 'new', repeat('x', 200000) FROM generate_series(1, 1001) AS g"
    )
    conn.execute("INSERT INTO app.orders VALUES (0, 'new', '')")
    conn.execute("UPDATE app.orders SET status = 'paid' WHERE id < 3")
    assert count(conn) == 1005
    run(conn, "SET ROLE {owner}", owner=owner)
    for statement in (
        "SELECT message FROM pgmq.q_jobs",
        "DELETE FROM pgmq.q_jobs",
        "UPDATE pgmq.q_jobs SET vt = now()",
        "INSERT INTO pgmq.q_jobs (msg_id, vt, message) OVERRIDING SYSTEM VALUE VALUES (2000, now(), '{}')",
        "INSERT INTO pgmq.q_jobs (vt, message, read_ct) VALUES (now(), '{}', 2147483647)",
        "SELECT * FROM app.orders",
        "SELECT pgmq.create('other')",
        "SELECT pgmq.purge_queue('jobs')",
        "CREATE FUNCTION changelane.measure(int) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE pgmq.mine ()",
        "SELECT * FROM changelane.audit",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)
    conn.execute("RESET ROLE")


@pytest.mark.parametrize("declares", [False, True], ids=["superuser", "owner"])
def test_a_cast_of_a_columns_type_runs_with_the_owners_rights(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path, declares: bool
) -> None:
    mallory, owner = roles.make("mallory"), roles.name("capture")
    run(conn, "CREATE SCHEMA mallory AUTHORIZATION {mallory}", mallory=mallory)
    conn.execute("ALTER TABLE app.orders OWNER TO CURRENT_USER")
    run(conn, "SET ROLE {mallory}", mallory=mallory)
    conn.execute(HIJACK)
    conn.execute("RESET ROLE")
    conn.execute("ALTER TABLE app.orders ADD mood mallory.mood DEFAULT 'calm'")
    declared = declare(conn, tmp_path, write_spec(owner=owner if declares else ""))
    bring(conn, declared)
    conn.execute("INSERT INTO app.orders (id) VALUES (1)")
    row = conn.execute("SELECT message->'new'->>'mood' FROM pgmq.q_jobs").fetchone()
    exploited = conn.execute("SELECT who::text, files FROM app.seen").fetchall()
    if declares:
        assert row == (owner,)
        assert exploited == []
        return
    # As which it was, and plan says so.
    assert exploited == [(conn.info.user, True)]
    assert f"capture functions run as role {conn.info.user}, a superuser" in list_notes(conn, declared)


def test_a_role_that_holds_more_than_others_is_named(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path
) -> None:
    deployer, writer, owner = roles.make("deployer"), roles.make("writer"), roles.name("capture")
    for statement in (
        "ALTER TABLE app.orders OWNER TO {writer}",
        "GRANT ALL ON SCHEMA app TO {writer}, {deployer}",
        "GRANT {writer} TO {deployer}",
        "GRANT CREATE ON DATABASE {database} TO {deployer}",
        "GRANT ALL ON SCHEMA pgmq TO {deployer}",
        "GRANT ALL ON pgmq.meta TO {deployer}",
    ):
        run(conn, statement, deployer=deployer, writer=writer, database=conn.info.dbname)
    with psycopg.connect(make_conninfo(conn.info.dsn, user=deployer), autocommit=True) as theirs:
        declared = declare(theirs, tmp_path, write_spec())
        assert f"run as role {deployer}, who holds more than" in list_notes(theirs, declared)
        assert f"({writer})" in list_notes(theirs, declared)
        with_owner = declare(theirs, tmp_path, write_spec(owner=owner))
        (problem,) = check(
            plan(with_owner.manifest, observe(theirs, with_owner.manifest)),
            observe(theirs, with_owner.manifest),
        )
        assert f"owner {owner} does not exist, and role {deployer} may not create roles" in problem.what


@pytest.mark.parametrize("right", ["CREATEROLE", "MEMBER"])
def test_a_role_without_superuser_applies_for_an_owner(
    conn: Connection, roles: Roles, tmp_path: Path, right: str
) -> None:
    deployer, owner = (
        roles.make("deployer", "CREATEROLE" if right == "CREATEROLE" else ""),
        roles.name("capture"),
    )
    if right == "MEMBER":
        run(conn, "CREATE ROLE {owner} NOLOGIN", owner=owner)
        run(conn, "GRANT {owner} TO {deployer}", owner=owner, deployer=deployer)
    for statement in (
        "CREATE SCHEMA app AUTHORIZATION {deployer}",
        "GRANT CREATE ON DATABASE {database} TO {deployer}",
        "GRANT ALL ON SCHEMA pgmq TO {deployer} WITH GRANT OPTION",
        "GRANT ALL ON pgmq.meta TO {deployer}",
    ):
        run(conn, statement, deployer=deployer, database=conn.info.dbname)
    with psycopg.connect(make_conninfo(conn.info.dsn, user=deployer), autocommit=True) as theirs:
        theirs.execute("CREATE TABLE app.orders (id int PRIMARY KEY, status text, body text)")
        declared = declare(theirs, tmp_path, write_spec(owner=owner))
        bring(theirs, declared)
        assert find_wrong(theirs, declared) == []
        # A later change replaces functions that belong to another role by then.
        changed = declare(theirs, tmp_path, write_spec(owner=owner, more="delay: 5s"))
        bring(theirs, changed)
        assert find_wrong(theirs, changed) == []
        theirs.execute("INSERT INTO app.orders VALUES (1, 'new', '')")
    assert read_owners(conn) == {owner}
    assert count(conn) == 1
    created = conn.execute("SELECT has_schema_privilege(%s, 'changelane', 'CREATE')", [owner]).fetchone()
    assert created == (False,)


def test_declared_later_and_taken_back(conn: Connection, tables: None, roles: Roles, tmp_path: Path) -> None:
    owner = roles.name("capture")
    plain = declare(conn, tmp_path, write_spec())
    bring(conn, plain)
    owned = declare(conn, tmp_path, write_spec(owner=owner))
    assert {step.mode for step in bring(conn, owned).steps} <= {"none", "ACCESS SHARE"}
    assert read_owners(conn) == {owner}
    assert find_wrong(conn, owned) == []
    plain = declare(conn, tmp_path, write_spec())
    bring(conn, plain)
    assert read_owners(conn) == {conn.info.user}
    assert find_wrong(conn, plain) == []


def test_an_altered_owner_is_drift(conn: Connection, tables: None, roles: Roles, tmp_path: Path) -> None:
    owner, other = roles.name("capture"), roles.make("other")
    declared = declare(conn, tmp_path, write_spec(owner=owner))
    bring(conn, declared)
    (name,) = [capture.name for capture in declared.manifest.captures if capture.event == "insert"]
    run(
        conn, "ALTER FUNCTION {schema}.{name}() OWNER TO {other}", schema="changelane", name=name, other=other
    )
    assert find_wrong(conn, declared) == [f"drifted function {name}"]
    bring(conn, declared)
    assert read_owners(conn) == {owner}
    assert find_wrong(conn, declared) == []


def test_rights_that_the_owner_lost_are_named_and_granted_again(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path
) -> None:
    owner = roles.name("capture")
    declared = declare(conn, tmp_path, write_spec(owner=owner))
    bring(conn, declared)
    for statement in (
        "REVOKE USAGE ON SCHEMA pgmq FROM {owner}",
        "REVOKE ALL ON {schema}.{queue} FROM {owner}",
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA pgmq FROM PUBLIC",
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA changelane FROM PUBLIC; "
        "REVOKE EXECUTE ON FUNCTION changelane.measure(record) FROM {owner}",
        "REVOKE USAGE ON SCHEMA changelane FROM {owner}",
    ):
        run(conn, statement, owner=owner, schema="pgmq", queue="q_jobs")
        assert f"drifted owner {owner}" in find_wrong(conn, declared), statement
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("INSERT INTO app.orders VALUES (1, 'new', repeat(md5('x'), 10000)), (2, 'new', '')")
        bring(conn, declared)
        assert find_wrong(conn, declared) == [], statement
        conn.execute("INSERT INTO app.orders VALUES (1, 'new', repeat(md5('x'), 10000)), (2, 'new', '')")
        conn.execute("DELETE FROM app.orders")


def test_access_to_its_queue_leaves_it_able_to_send(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path
) -> None:
    owner, reader = roles.name("capture"), roles.make("reader")
    access = f"access: [{{role: {reader}, allow: [read]}}]"
    bring(conn, declare(conn, tmp_path, write_spec(owner=owner)))
    declared = declare(conn, tmp_path, write_spec(owner=owner, access=access))
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    conn.execute("INSERT INTO app.orders VALUES (1, 'new', '')")
    conn.execute("INSERT INTO app.orders VALUES (2, 'new', ''), (3, 'new', '')")
    assert count(conn) == 3
    assert bring(conn, declared).steps == ()


def test_functions_and_types_of_expressions_are_within_its_reach(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path
) -> None:
    owner = roles.name("capture")
    conn.execute(
        "CREATE SCHEMA tools; CREATE TYPE tools.state AS ENUM ('new', 'paid');"
        "CREATE FUNCTION tools.wanted(text) RETURNS bool LANGUAGE sql AS $$ SELECT $1 = 'new' $$;"
        "REVOKE ALL ON FUNCTION tools.wanted(text) FROM PUBLIC"
    )
    more = "when: tools.wanted(new.status) and new.status::tools.state is not null"
    spec = write_spec(owner=owner, more=more).replace("[insert, update, delete]", "[insert]")
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    conn.execute("INSERT INTO app.orders VALUES (1, 'new', ''), (2, 'paid', '')")
    assert count(conn) == 1
    run(conn, "REVOKE USAGE ON SCHEMA tools FROM {owner}", owner=owner)
    assert find_wrong(conn, declared) == [f"drifted owner {owner}"]


def test_row_security_made_by_hand_is_refused_with_the_statement(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path
) -> None:
    owner = roles.name("capture")
    declared = declare(conn, tmp_path, write_spec(owner=owner))
    bring(conn, declared)
    conn.execute("ALTER TABLE pgmq.q_jobs ENABLE ROW LEVEL SECURITY")
    assert f"blocked owner {owner}" in find_wrong(conn, declared)
    with pytest.raises(PreflightError) as refusal:
        bring(conn, declared)
    (problem,) = refusal.value.problems
    assert problem.fix is not None
    conn.execute(problem.fix.encode())
    assert find_wrong(conn, declared) == []
    conn.execute("INSERT INTO app.orders VALUES (1, 'new', '')")
    assert count(conn) == 1


def test_destroy_takes_back_all_that_it_was_given(
    conn: Connection, tables: None, roles: Roles, tmp_path: Path
) -> None:
    owner, reader = roles.name("capture"), roles.make("reader")
    access = f"access: [{{role: {reader}, allow: [read]}}]"
    conn.execute("SELECT pgmq.create('jobs')")
    held = """
        SELECT classid::regclass::text, objid FROM pg_shdepend JOIN pg_roles ON pg_roles.oid = refobjid
        WHERE rolname = %s AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    declared = declare(conn, tmp_path, write_spec(owner=owner, access=access))
    bring(conn, declared)
    other = declare(conn, tmp_path, write_spec(owner=owner, project="other", queue="more"))
    bring(conn, other)
    silent: dict[str, Any] = {
        "confirm": lambda planned: None,
        "report": lambda step: None,
        "notify": lambda message: None,
    }
    destroy(conn, declared.manifest, **silent)
    assert find_wrong(conn, other) == []
    conn.execute("INSERT INTO app.orders VALUES (1, 'new', '')")
    assert count(conn, "more") == 1
    destroy(conn, other.manifest, **silent)
    assert conn.execute(held, [owner]).fetchall() == []
    assert conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [owner]).rowcount == 1


def test_init_declares_an_owner_where_it_can_be_made(
    conn: Connection, roles: Roles, tmp_path: Path, run_changelane: Any
) -> None:
    plain = roles.make("plain")
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY); GRANT SELECT ON orders TO PUBLIC")
    assert run_changelane("init").returncode == 0
    assert "\nowner: changelane_capture\n" in (tmp_path / "pipelines.yaml").read_text()
    assert run_changelane("init", "--force", env={"PGOPTIONS": f"-c role={plain}"}).returncode == 0
    assert "\n# owner: changelane_capture " in (tmp_path / "pipelines.yaml").read_text()
