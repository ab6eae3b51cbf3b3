"""Every role with every operation on every row: by pgmq's functions, by the API, and by plain SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import TupleRow
from support.api_roles import lend_roles
from support.deployment import Declared, bring, declare, find_wrong

Connection = psycopg.Connection[TupleRow]

OPERATIONS = ("send", "read", "pop", "archive", "delete")
ROLES = ("anon", "authenticated", "service_role", *OPERATIONS)

TENANT = "message->>'tenant' = (select current_setting('request.jwt.claims', true)::jsonb->>'tenant')"
SPEC = """
version: 1
project: shop
api: true
queues:
  jobs:
    access:
      - {{role: {service_role}, allow: [send, read, pop, archive, delete]}}
      - role: {authenticated}
        allow: [send, read, pop, archive, delete]
        using: &tenant "{tenant}"
      - {{role: {send}, allow: [send], using: *tenant}}
      - {{role: {read}, allow: [read], using: *tenant}}
      - {{role: {pop}, allow: [pop], using: *tenant}}
      - {{role: {archive}, allow: [archive], using: *tenant}}
      - {{role: {delete}, allow: [delete], using: *tenant}}
  private: {{}}
routes:
  - {{name: rows, table: public.rows, events: [insert], queue: jobs}}
"""

# What a role with one right can do by SQL. Archiving and popping delete from the table, so they can delete.
BY_SQL = {
    **{operation: {operation} for operation in OPERATIONS},
    "pop": {"pop", "delete"},
    "archive": {"archive", "delete"},
    "anon": set(),
    "authenticated": set(OPERATIONS),
    "service_role": set(OPERATIONS),
}
BY_API = {**BY_SQL, "pop": {"pop"}, "archive": {"archive"}}

PGMQ = {
    "send": "SELECT pgmq.send('{queue}', %(message)s::jsonb)",
    "read": "SELECT msg_id FROM pgmq.read('{queue}', 30, 1)",
    "pop": "SELECT msg_id FROM pgmq.pop('{queue}')",
    "archive": "SELECT pgmq.archive('{queue}', %(msg_id)s::bigint)",
    "delete": "SELECT pgmq.delete('{queue}', %(msg_id)s::bigint)",
}
API = {
    "send": "SELECT pgmq_public.send(queue_name => '{queue}', message => %(message)s::jsonb)",
    "read": "SELECT msg_id FROM pgmq_public.read(queue_name => '{queue}', sleep_seconds => 30, n => 1)",
    "pop": "SELECT msg_id FROM pgmq_public.pop(queue_name => '{queue}')",
    "archive": "SELECT pgmq_public.archive(queue_name => '{queue}', message_id => %(msg_id)s)",
    "delete": "SELECT pgmq_public.delete(queue_name => '{queue}', message_id => %(msg_id)s)",
}

# Statements on the tables that no declared role may run, even on a message of its own tenant.
NEVER = {
    "UPDATE pgmq.q_jobs SET message = '{}'": set(),
    "UPDATE pgmq.q_jobs SET headers = '{}'": {"authenticated", "service_role"},
    "UPDATE pgmq.q_jobs SET enqueued_at = now()": set(),
    "UPDATE pgmq.q_jobs SET msg_id = DEFAULT": set(),
    "TRUNCATE pgmq.q_jobs": set(),
    "ALTER TABLE pgmq.q_jobs ADD COLUMN extra int": set(),
    "DROP TABLE pgmq.q_jobs": set(),
    "ALTER TABLE pgmq.q_jobs DISABLE ROW LEVEL SECURITY": set(),
    "SELECT message FROM pgmq.a_jobs": set(),
    "UPDATE pgmq.a_jobs SET message = '{}'": set(),
    "DELETE FROM pgmq.a_jobs": set(),
    "SELECT message FROM pgmq.q_private": set(),
    "INSERT INTO pgmq.q_private (vt, message) VALUES (now(), '{}')": set(),
    "INSERT INTO pgmq.meta VALUES ('x', false, false, now())": set(),
    "SELECT pgmq.create('other')": set(),
    "SELECT pgmq.drop_queue('jobs')": set(),
    "SELECT pgmq.purge_queue('jobs')": set(),
    "CREATE FUNCTION pgmq_public.extra() RETURNS int RETURN 1": set(),
}


@pytest.fixture
def roles(conn: Connection) -> Iterator[dict[str, str]]:
    with lend_roles(conn, ROLES) as roles:
        yield roles


def apply_access(conn: Connection, folder: Path, roles: dict[str, str]) -> Declared:
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY, tenant text)")
    declared = declare(conn, folder, SPEC.format(tenant=TENANT, **roles))
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    return declared


@pytest.fixture
def declared(conn: Connection, tmp_path: Path, roles: dict[str, str]) -> Declared:
    return apply_access(conn, tmp_path, roles)


def become(conn: Connection, role: str, *, tenant: str) -> None:
    """Set role and claims as PostgREST does, until the transaction ends."""
    conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
    conn.execute(
        "SELECT set_config('request.jwt.claims', %s, true)", [json.dumps({"tenant": tenant, "role": role})]
    )


def state(conn: Connection) -> tuple[Any, ...]:
    """The rows that an operation can change, as the owner sees them."""
    conn.execute("RESET ROLE")
    return tuple(
        conn.execute(query).fetchall()
        for query in (
            "SELECT msg_id, message, read_ct, vt FROM pgmq.q_jobs ORDER BY msg_id",
            "SELECT msg_id, message FROM pgmq.a_jobs ORDER BY msg_id",
            "SELECT msg_id FROM pgmq.q_private",
        )
    )


def attempt(
    conn: Connection,
    statement: str,
    *,
    role: str,
    queue: str = "jobs",
    row: str = "mine",
    tenant: str = "mine",
) -> bool:
    """Whether it changes anything that a role of ``tenant`` does with the message of ``row``."""
    with conn.transaction(force_rollback=True):
        sending = ".send(" in statement
        msg_id = None
        if not sending:
            found = conn.execute(
                "SELECT pgmq.send(%s, %s::jsonb)", [queue, json.dumps({"tenant": row})]
            ).fetchone()
            msg_id = found and found[0]
        before = state(conn)
        become(conn, role, tenant=tenant)
        values = {"msg_id": msg_id, "message": json.dumps({"tenant": row})}
        try:
            with conn.transaction():
                conn.execute(statement.format(queue=queue).encode(), values)
        except errors.InsufficientPrivilege:
            assert state(conn) == before
            return False
        return state(conn) != before


@pytest.mark.parametrize(("functions", "allowed"), [(PGMQ, BY_SQL), (API, BY_API)], ids=["pgmq", "api"])
def test_a_role_does_what_is_declared_with_the_rows_declared_and_nothing_else(
    conn: Connection,
    declared: Declared,
    roles: dict[str, str],
    functions: dict[str, str],
    allowed: dict[str, set[str]],
) -> None:
    grid = {
        (name, operation, queue, row): attempt(conn, statement, role=role, queue=queue, row=row)
        for name, role in roles.items()
        for operation, statement in functions.items()
        for queue in ("jobs", "private")
        for row in ("mine", "theirs")
    }
    expected = {
        (name, operation, queue, row): queue == "jobs"
        and operation in allowed[name]
        and (row == "mine" or name == "service_role")
        for name, operation, queue, row in grid
    }
    assert {cell: can for cell, can in grid.items() if can != expected[cell]} == {}


def test_rights_on_one_queue_open_no_other_queue_through_the_api(
    conn: Connection, tmp_path: Path, roles: dict[str, str]
) -> None:
    """Each may call every function, for the sake of a queue where it is allowed everything."""
    conn.execute("CREATE TABLE rows (id int PRIMARY KEY, tenant text)")
    everything = "".join(
        f"      - {{role: {role}, allow: [send, read, pop, archive, delete]}}\n" for role in roles.values()
    )
    pairs = {"read_archive": ("read", "archive"), "read_delete": ("read", "delete")}
    spec = SPEC.format(tenant=TENANT, **roles).replace(
        "  private: {}\n",
        f"  private: {{}}\n  open:\n    access:\n{everything}"
        + "".join(
            f"  {queue}:\n    access: [{{role: {roles['anon']}, allow: [{', '.join(allow)}]}}]\n"
            for queue, allow in pairs.items()
        ),
    )
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared)
    grid = {
        (name, operation): attempt(conn, statement, role=role)
        for name, role in roles.items()
        for operation, statement in API.items()
    }
    assert {cell: can for cell, can in grid.items() if can != (cell[1] in BY_API[cell[0]])} == {}
    for queue in pairs:
        with conn.transaction(force_rollback=True):
            become(conn, roles["anon"], tenant="mine")
            refused = f"permission denied to pop from queue {queue}"
            with pytest.raises(errors.InsufficientPrivilege, match=refused), conn.transaction():
                conn.execute(API["pop"].format(queue=queue).encode())


def test_no_role_does_by_plain_sql_more_than_is_declared(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    wrong = []
    for statement, may in NEVER.items():
        for name, role in roles.items():
            with conn.transaction(force_rollback=True):
                conn.execute("SELECT pgmq.send('jobs', '{\"tenant\": \"mine\"}'), pgmq.send('private', '1')")
                become(conn, role, tenant="mine")
                try:
                    with conn.transaction():
                        conn.execute(statement.encode())
                    done = True
                except errors.InsufficientPrivilege:
                    done = False
            if done != (name in may):
                wrong.append((name, statement))
    assert wrong == []


def test_a_role_sees_no_row_but_those_declared(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    for tenant in ("mine", "theirs"):
        conn.execute("SELECT pgmq.send('jobs', jsonb_build_object('tenant', %s::text))", [tenant])
    seen: dict[str, set[str] | None] = {}
    for name, role in roles.items():
        with conn.transaction(force_rollback=True):
            become(conn, role, tenant="mine")
            try:
                with conn.transaction():
                    found = conn.execute("SELECT message->>'tenant' FROM pgmq.q_jobs").fetchall()
                seen[name] = {tenant for (tenant,) in found}
            except errors.InsufficientPrivilege:
                seen[name] = None
    assert seen == {
        "anon": None,
        "authenticated": {"mine"},
        "service_role": {"mine", "theirs"},
        "send": None,
        "read": {"mine"},
        "pop": {"mine"},
        "archive": {"mine"},
        "delete": None,
    }


@pytest.mark.parametrize("claims", ["", "{}", "null", "[]", '{"tenant": null}'])
def test_claims_that_name_no_tenant_open_no_row(
    conn: Connection, declared: Declared, roles: dict[str, str], claims: str
) -> None:
    conn.execute(
        "SELECT pgmq.send('jobs', '{\"tenant\": \"mine\"}'), pgmq.send('jobs', '{\"tenant\": null}')"
    )
    with conn.transaction(force_rollback=True):
        become(conn, roles["authenticated"], tenant="mine")
        conn.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
        try:
            with conn.transaction():
                assert conn.execute("SELECT * FROM pgmq_public.read('jobs', 1, 10)").fetchall() == []
        except errors.InvalidTextRepresentation:
            assert claims == ""


def test_any_role_that_may_write_the_table_is_captured_without_a_right_on_its_queue(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    for number, role in enumerate(roles.values()):
        conn.execute(sql.SQL("GRANT INSERT ON rows TO {}").format(sql.Identifier(role)))
        with conn.transaction():
            become(conn, role, tenant="nobody's")
            conn.execute("INSERT INTO rows VALUES (%s, 'x')", [number])
    assert conn.execute("SELECT count(*) FROM pgmq.q_jobs").fetchone() == (len(roles),)


def test_a_role_whose_entry_is_gone_can_do_nothing_any_more(
    conn: Connection, declared: Declared, roles: dict[str, str], tmp_path: Path
) -> None:
    role = roles["archive"]
    entry = f"      - {{role: {role}, allow: [archive], using: *tenant}}\n"
    spec = SPEC.format(tenant=TENANT, **roles)
    assert entry in spec
    assert attempt(conn, API["archive"], role=role)
    bring(conn, declare(conn, tmp_path, spec.replace(entry, "")), prune=True)
    assert not attempt(conn, PGMQ["archive"], role=role)
    held = conn.execute(
        "SELECT has_table_privilege(%(role)s, 'pgmq.q_jobs', 'SELECT'),"
        " has_any_column_privilege(%(role)s, 'pgmq.a_jobs', 'INSERT'),"
        " has_schema_privilege(%(role)s, 'pgmq_public', 'USAGE'),"
        " (SELECT count(*) FROM pg_policies WHERE %(role)s = ANY (roles))",
        {"role": role},
    )
    assert held.fetchone() == (False, False, False, 0)


@pytest.mark.parametrize("ordering", ["none", "key"])
def test_a_role_that_may_read_delete_and_send_can_run_a_worker(
    conn: Connection, database: str, tmp_path: Path, run_changelane: Any, ordering: str
) -> None:
    with lend_roles(conn, ["worker"]) as roles:
        role = roles["worker"]
        conn.execute(f"ALTER ROLE {role} LOGIN".encode())
        conn.execute("CREATE TABLE rows (id int PRIMARY KEY)")
        conn.execute("CREATE TABLE effects (id int)")
        conn.execute(f"GRANT INSERT ON effects TO {role}".encode())
        (tmp_path / "handlers.py").write_text(HANDLER)
        declared = declare(conn, tmp_path, WORKED.format(role=role, ordering=ordering))
        bring(conn, declared)
        conn.execute("INSERT INTO rows SELECT generate_series(1, 20)")
        worked = run_changelane("work", "--drain", env={"PGUSER": role, "DATABASE_URL": _as(database, role)})
        assert worked.returncode == 0, worked.stderr
        assert conn.execute("SELECT array_agg(id ORDER BY id) FROM effects").fetchone() == (
            [n for n in range(1, 21) if n != 7],
        )
        assert conn.execute("SELECT message->'new'->>'id' FROM pgmq.q_jobs_dlq").fetchall() == [("7",)]
        assert find_wrong(conn, declared) == []


def _as(url: str, role: str) -> str:
    assert "user=postgres" in url
    return url.replace("user=postgres", f"user={role}")


HANDLER = """
import psycopg

from changelane import Change


def handle(change: Change, tx: psycopg.Connection) -> None:
    if change.new["id"] == 7:
        raise ValueError("seven")
    tx.execute("INSERT INTO effects VALUES (%s)", [change.new["id"]])
"""
WORKED = """
version: 1
project: shop
queues:
  jobs:
    access:
      - {{role: {role}, allow: [send, read, delete]}}
routes:
  - {{name: rows, table: public.rows, events: [insert], queue: jobs}}
consumers:
  jobs:
    handler: handlers:handle
    mode: transactional
    ordering: {ordering}
    retry: {{attempts: 2, first: 50ms}}
"""
