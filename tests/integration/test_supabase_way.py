"""The whole way on Supabase: its roles, no superuser, pgmq as of 1.5.1, a migration, clients, a worker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from support.advice import KNOWN, advise
from support.command_line import RunChangelane
from support.supabase import Project, lend_project

from changelane.runner.live.database import connect
from changelane.runner.local import binaries

OLD = (Path(__file__).parent.parent / "support" / "pgmq_1_5.sql").read_bytes()
SPEC = """
version: 1
project: todos
api: true
queues:
  todo_events:
    access:
      - role: {authenticated}
        allow: [read, archive]
        using: message->'new'->>'owner' = (select auth.uid())::text
      - {role: {service_role}, allow: [send, read, pop, archive, delete]}
  user_events: {}
routes:
  - {name: todos, table: public.todos, events: [insert, update, delete], queue: todo_events}
  - name: users
    table: auth.users
    events: [insert]
    queue: user_events
    payload: {columns: [id], max_bytes: 8 kB}
consumers:
  user_events: {handler: handlers:on_user}
"""
HANDLERS = """
from changelane import Change

def on_user(change: Change) -> None:
    print("welcome", change.new["id"])
"""
TODOS = """
    CREATE TABLE public.todos (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner uuid NOT NULL, title text
    );
    ALTER TABLE public.todos ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON public.todos TO {authenticated} USING (owner = (select auth.uid()));
"""
ADA, BOB = "7c0d2b52-1a0c-4f7e-9d0e-0f1b8d3a5c11", "00000000-0000-4000-8000-000000000000"


@pytest.fixture(params=["1.5.1", "newest"])
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    old = request.param == "1.5.1"
    database = request.getfixturevalue("bare_database" if old else "database")
    if old:
        with connect(database) as conn:
            conn.execute(OLD)
    with lend_project(database) as project:
        yield project


def become(project: Project, role: str, *, user: str = ADA) -> psycopg.Connection[Any]:
    """A session as PostgREST makes it: of the authenticator, then the client's role and claims."""
    conn = psycopg.connect(project.url, user=project.roles["authenticator"], autocommit=True)
    conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(project.roles[role])))
    conn.execute("SELECT set_config('request.jwt.claims', %s, false)", [f'{{"sub": "{user}"}}'])
    return conn


def test_from_an_empty_project_to_a_worker(
    project: Project, run_changelane: RunChangelane, tmp_path: Path
) -> None:
    assert project.rows("SELECT rolsuper FROM pg_roles WHERE rolname = '{postgres}'") == [(False,)]
    environment = {"DATABASE_URL": project.url}

    def run(*arguments: str) -> str:
        done = run_changelane(*arguments, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    project.conn.execute(project.fill(TODOS).encode())
    (tmp_path / "pipelines.yaml").write_text(project.fill(SPEC))
    (tmp_path / "handlers.py").write_text(HANDLERS)
    run("inspect")
    run("generate")
    run("validate", "--live")
    # As a migration, which the CLI of Supabase runs as postgres.
    migration = run("plan", "--format", "sql")
    subprocess.run(
        [binaries.find_binary("psql"), "-q", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", project.url],
        input=migration, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "Database matches" in run("verify")
    assert "No changes" in run("plan")

    with become(project, "authenticated") as client:
        client.execute("INSERT INTO public.todos (owner, title) VALUES (%s, 'Buy milk')", [ADA])
        read = "SELECT msg_id, message->'new'->>'title' FROM pgmq_public.read('todo_events', 0, 10)"
        ((msg_id, title),) = client.execute(read).fetchall()
        assert title == "Buy milk"
        assert client.execute("SELECT pgmq_public.archive('todo_events', %s)", [msg_id]).fetchone() == (True,)
        with pytest.raises(errors.InsufficientPrivilege):
            client.execute("SELECT pgmq_public.send('todo_events', '{}')")
    with become(project, "authenticated", user=BOB) as client:
        assert client.execute(read).fetchall() == []
    with become(project, "service_role") as client:
        client.execute("SELECT pgmq_public.send('todo_events', '{\"hello\": \"world\"}')")
        assert client.execute("SELECT message FROM pgmq_public.pop('todo_events')").fetchall() == [
            ({"hello": "world"},)
        ]
    with become(project, "anon") as client, pytest.raises(errors.InsufficientPrivilege):
        client.execute("SELECT * FROM pgmq_public.read('todo_events', 0, 10)")

    # The service that owns auth.users writes it, as itself.
    with psycopg.connect(project.url, user=project.roles["supabase_auth_admin"], autocommit=True) as auth:
        auth.execute("INSERT INTO auth.users (id, email) VALUES (%s, 'a@b.c')", [ADA])
    assert f"welcome {ADA}" in run("work", "--drain")
    with psycopg.connect(project.url, autocommit=True) as conn:
        assert advise(conn, clients=[project.roles[name] for name in ("anon", "authenticated")]) == KNOWN
    assert "stays, and its function does nothing" in run(
        "destroy", "--yes", "--drop-queues", "--discard-messages", "todo_events"
    )
    assert "Nothing of project todos" in run("verify", "--expect", "absent")
