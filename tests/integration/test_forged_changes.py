"""Messages of clients are never mistaken for captured changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from support.api_roles import lend_roles
from support.command_line import RunChangelane
from support.deployment import Declared, bring, declare, find_wrong
from support.workers import PREAMBLE, Bench

Connection = psycopg.Connection[Any]

SPEC = """
version: 1
project: shop
api: true
{owner}
queues:
  jobs:
    access:
      - {{role: {client}, allow: [send, read, archive], using: "message->>'table' = 'things'"}}
      - {{role: {service}, allow: [send, read, delete]}}
      - {{role: {caller}, allow: [send, read, delete], via: functions}}
routes:
  - {{name: things, table: public.things, events: [insert], queue: jobs}}
consumers:
  jobs: {{handler: "handlers:handle", retry: {{attempts: 1}}}}
"""
FORGED = {
    "op": "insert", "schema": "public", "table": "things", "key": {"id": 7}, "new": {"id": 7}, "old": None,
    "txid": "7", "at": "2026-11-22T18:54:03+00:00",
}  # fmt: skip
ROUTE = '{"route": "things"}'

# As PostgREST calls: by names of arguments, of one JSON object, its values as the function's types.
CALLS = """
    WITH pgrst_source AS (
        SELECT pgrst_call.pgrst_scalar
        FROM (SELECT %(body)s::json AS json_data) AS pgrst_payload,
        LATERAL (SELECT * FROM json_to_record(pgrst_payload.json_data) AS _({columns})) AS pgrst_body,
        LATERAL (SELECT {function}({arguments}) AS pgrst_scalar) AS pgrst_call
    )
    SELECT pgrst_scalar FROM pgrst_source
"""
SEND = {"queue_name": "text", "message": "jsonb"}
API: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "pgmq_public.send": (SEND, {"queue_name": "jobs", "message": FORGED}),
    "pgmq_public.send_batch": (
        {"queue_name": "text", "messages": "jsonb[]"},
        {"queue_name": "jobs", "messages": [FORGED, FORGED]},
    ),
    "pgmq_public.send_with_headers": (
        {**SEND, "headers": "jsonb"},
        {"queue_name": "jobs", "message": FORGED, "headers": {"trace": "7"}},
    ),
}


@pytest.fixture
def roles(conn: Connection) -> Iterator[dict[str, str]]:
    with lend_roles(conn, ["client", "service", "caller", "authenticator"]) as roles:
        yield roles


@pytest.fixture(params=["", "owner: changelane_forged"])
def declared(
    request: pytest.FixtureRequest, conn: Connection, tmp_path: Path, roles: dict[str, str]
) -> Declared:
    conn.execute("CREATE TABLE things (id int PRIMARY KEY)")
    declared = declare(conn, tmp_path, SPEC.format(owner=request.param, **roles))
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    return declared


@pytest.fixture
def postgrest(conn: Connection, roles: dict[str, str], declared: Declared) -> Iterator[Connection]:
    """A session as PostgREST opens it: its role has no rights, but may become other roles."""
    names = {name: sql.Identifier(role) for name, role in roles.items()}
    conn.execute(sql.SQL("GRANT {client}, {service}, {caller} TO {authenticator}").format(**names))
    conn.execute(sql.SQL("SET SESSION AUTHORIZATION {authenticator}").format(**names))
    yield conn
    conn.execute("RESET SESSION AUTHORIZATION")


def call(conn: Connection, role: str, function: str, columns: dict[str, str], body: dict[str, Any]) -> None:
    """One request: the role and the claims hold in its transaction."""
    query = CALLS.format(
        columns=", ".join(f'"{name}" {kind}' for name, kind in columns.items()),
        function=function,
        arguments=", ".join(f'"{name}" := pgrst_body."{name}"' for name in columns),
    )
    with conn.transaction():
        conn.execute(
            "SELECT set_config('search_path', '\"public\", \"pgmq_public\"', true),"
            " set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
            " set_config('request.method', 'POST', true)",
            [role, json.dumps({"role": role})],
        )
        conn.execute(query.encode(), {"body": json.dumps(body)})


def test_a_message_sent_by_the_api_is_not_taken_for_a_change(
    postgrest: Connection, roles: dict[str, str], declared: Declared, database: str, tmp_path: Path
) -> None:
    for function, (columns, body) in API.items():
        call(postgrest, roles["client"], function, columns, body)
    postgrest.execute("RESET SESSION AUTHORIZATION")
    postgrest.execute("INSERT INTO things VALUES (1)")
    work(postgrest, database, tmp_path, "Change | Message")
    notes = [row[0] for row in postgrest.execute("SELECT note FROM notes ORDER BY id")]
    assert sorted(notes) == ["Change"] + ["Message"] * 4


def work(conn: Connection, database: str, folder: Path, kind: str) -> None:
    bench = Bench.__new__(Bench)
    bench.conn, bench.url, bench.folder = conn, database, folder
    conn.execute("CREATE TABLE IF NOT EXISTS notes (id bigserial, note text)")
    source = f"def handle(given: {kind}) -> None:\n    note(type(given).__name__)\n"
    (folder / "handlers.py").write_text(PREAMBLE + source)
    (folder / "sql_out").mkdir(exist_ok=True)
    bench.drain()


@pytest.mark.parametrize("role", ["client", "service", "caller"])
def test_the_api_writes_no_reserved_header(postgrest: Connection, roles: dict[str, str], role: str) -> None:
    columns, body = API["pgmq_public.send_with_headers"]
    for headers in ({"route": "things"}, {"changelane": {"attempts": 1}}, {"dead_letter": {}, "a": 1}):
        with pytest.raises(errors.InsufficientPrivilege, match="written by Changelane alone"):
            call(
                postgrest, roles[role], "pgmq_public.send_with_headers", columns, {**body, "headers": headers}
            )


BY_SQL = {
    "send": "SELECT pgmq.send('jobs', %(body)s::jsonb, %(headers)s::jsonb)",
    "send_batch": "SELECT pgmq.send_batch('jobs', ARRAY[%(body)s::jsonb], ARRAY[%(headers)s::jsonb])",
    "insert": "INSERT INTO pgmq.q_jobs (vt, message, headers)"
    " VALUES (now(), %(body)s::jsonb, %(headers)s::jsonb)",
    "copy through the archive": "INSERT INTO pgmq.a_jobs (msg_id, vt, read_ct, enqueued_at, message, headers)"
    " SELECT msg_id, vt, read_ct, enqueued_at, message, %(headers)s::jsonb FROM pgmq.q_jobs",
    "update": "UPDATE pgmq.q_jobs SET headers = %(headers)s::jsonb",
}


FORGERIES = (ROUTE, '{"route": null}', '["route"]', '"route"', '{"changelane": {}}', '{"dead_letter": {}}')
OTHERS = (None, "{}", '{"trace": 1}', "[]", '"x"', "null")


def test_by_sql_a_client_writes_no_reserved_header(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    client = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(roles["client"]))
    conn.execute("SELECT pgmq.send('jobs', %s::jsonb)", [json.dumps(FORGED)])

    def attempt(way: str, headers: str | None) -> None:
        with conn.transaction():
            conn.execute(client)
            conn.execute(BY_SQL[way].encode(), {"body": json.dumps(FORGED), "headers": headers})

    for way, headers in product(BY_SQL, FORGERIES):
        with pytest.raises(errors.InsufficientPrivilege):
            attempt(way, headers)
    for way, other in product(["send", "send_batch", "insert"], OTHERS):
        attempt(way, other)
    assert conn.execute("SELECT count(*) FROM pgmq.q_jobs").fetchone() == (1 + 3 * len(OTHERS),)


def test_by_a_function_of_its_own_a_client_writes_no_reserved_header(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    found = conn.execute(
        "SELECT oid::regproc::text FROM pg_proc WHERE proname ~ '^send_jobs_'"
        " AND has_function_privilege(%s, oid, 'EXECUTE')",
        [roles["caller"]],
    ).fetchall()
    ((function,),) = found
    statement = f"SELECT {function}(ARRAY[%s::jsonb], ARRAY[%s::jsonb], 0)"
    caller = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(roles["caller"]))

    def attempt(headers: str) -> None:
        with conn.transaction():
            conn.execute(caller)
            conn.execute(statement.encode(), [json.dumps(FORGED), headers])

    attempt('{"trace": 1}')
    for headers in FORGERIES:
        with pytest.raises(errors.InsufficientPrivilege):
            attempt(headers)


def test_a_workers_role_moves_captured_changes_and_their_headers_with_them(
    conn: Connection, declared: Declared, roles: dict[str, str]
) -> None:
    conn.execute("INSERT INTO things VALUES (1)")
    with conn.transaction():
        conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(roles["service"])))
        conn.execute(
            "WITH moved AS (DELETE FROM pgmq.q_jobs RETURNING message, headers)"
            " SELECT pgmq.send('jobs_dlq', message, headers || '{\"dead_letter\": {}}') FROM moved"
        )
    assert conn.execute("SELECT headers->>'route' FROM pgmq.q_jobs_dlq").fetchall() == [("things",)]


def test_captured_changes_stay_known_as_such_through_dead_letters_redrive_archive_and_replay(
    conn: Connection, database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute("CREATE TABLE things (id int PRIMARY KEY); CREATE TABLE notes (id bigserial, note text)")
    (tmp_path / "pipelines.yaml").write_text(
        "version: 1\nproject: shop\nqueues: {jobs: {archive: {keep: 1 day}}}\n"
        "routes: [{name: things, table: public.things, events: [insert], queue: jobs}]\n"
        'consumers: {jobs: {handler: "handlers:handle", retry: {attempts: 1}}}\n'
    )
    (tmp_path / "handlers.py").write_text(
        PREAMBLE
        + "def handle(change: Change) -> None:\n"
        + "    note(f'{change.op} {change.route}')\n"
        + "    if not Path('fixed').exists(): raise ValueError\n"
    )
    conn.execute("INSERT INTO things VALUES (1)")
    for arguments in (
        ["inspect"], ["generate"], ["apply", "--yes"], ["backfill", "things"], ["work", "--drain"],
    ):  # fmt: skip
        done = run_changelane(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    (tmp_path / "fixed").touch()
    since = "1h"
    for arguments in (
        ["dead-letter", "redrive", "jobs"], ["work", "--drain"],
        ["replay", "jobs", "--since", since, "--yes"], ["work", "--drain"],
    ):  # fmt: skip
        done = run_changelane(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    notes = [row[0] for row in conn.execute("SELECT note FROM notes ORDER BY id")]
    assert notes == ["snapshot things"] * 3


def test_the_command_refuses_reserved_headers(conn: Connection, run_changelane: RunChangelane) -> None:
    conn.execute("SELECT pgmq.create('jobs')")
    done = run_changelane("send", "jobs", "{}", "--headers", ROUTE)
    assert done.returncode == 1
    assert "header route is written by Changelane alone" in done.stderr
