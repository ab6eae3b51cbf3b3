"""Functions and operators in ``public`` are never called, even if they fit our arguments better."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.dashboard import open_panel

Connection = psycopg.Connection[Any]
ROOT = Path(__file__).parents[2]
TYPES = [
    "text", "jsonb", "json", "int2", "int4", "int8", "float8", "numeric", "bool", "timestamptz", "interval",
    "name", "oid", "regclass", "xid8", '"char"', "text[]", "int8[]",
]  # fmt: skip
SPEC = """
version: 1
project: shop
queues:
  jobs: {archive: {keep: 1 day}}
routes:
  - {name: orders, table: public.orders, events: [insert, update, delete], queue: jobs}
consumers:
  jobs: {handler: "handlers:on_change", mode: transactional, retry: {attempts: 1}}
"""
HANDLER = """
def on_change(change, tx):
    # The session's own path: what the user's code calls is the user's.
    assert tx.execute("SHOW search_path").fetchone() == ('"$user", public',)
    if change.new["id"] == 2:
        raise ValueError("two")
"""
PLANT = """
DO $do$
DECLARE
    types text[] := %(types)s;
    wanted text[] := %(functions)s;
    one text; other text; called text;
    failing text := $$ RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''hijacked''; END' $$;
BEGIN
    FOREACH called IN ARRAY wanted LOOP
        FOREACH one IN ARRAY types LOOP
            EXECUTE format('CREATE FUNCTION public.%%I(%%s)', called, one) || failing;
            FOREACH other IN ARRAY types LOOP
                EXECUTE format('CREATE FUNCTION public.%%I(%%s, %%s)', called, one, other) || failing;
            END LOOP;
        END LOOP;
        IF called = ANY (%(variadic)s::text[]) THEN
            FOREACH one IN ARRAY ARRAY['text', 'jsonb', 'json'] LOOP
                EXECUTE format('CREATE FUNCTION public.%%1$I(text, %%2$s, text, %%2$s)', called, one)
                    || failing;
            END LOOP;
        END IF;
    END LOOP;
    FOREACH one IN ARRAY types LOOP
        FOREACH other IN ARRAY types LOOP
            EXECUTE format('CREATE FUNCTION public.hijack(%%s, %%s)', one, other)
                || replace(failing, 'RETURNS text', 'RETURNS bool');
            FOREACH called IN ARRAY %(operators)s::text[] LOOP
                IF NOT EXISTS (
                    SELECT FROM pg_operator
                    WHERE oprname = called AND oprleft = one::regtype AND oprright = other::regtype
                ) THEN
                    EXECUTE format('CREATE OPERATOR public.%%s (LEFTARG = %%s, ', called, one)
                        || format('RIGHTARG = %%s, FUNCTION = public.hijack)', other);
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END $do$
"""


def list_functions(conn: Connection) -> list[str]:
    """The built-in functions that our SQL files and statements in the code call."""
    texts = [
        path.read_text() for folder in ("runner", "changelane/sql") for path in (ROOT / folder).rglob("*.sql")
    ]
    texts += [
        path.read_text() for folder in ("runner", "changelane") for path in (ROOT / folder).rglob("*.py")
    ]
    words = set(re.findall(r"\b([a-z_][a-z0-9_]+)\(", "\n".join(texts)))
    rows = conn.execute(
        "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
        " AND proname = ANY (%s) AND prokind = 'f' AND pronargs BETWEEN 0 AND 12",
        [sorted(words)],
    )
    return sorted(row[0] for row in rows)


def list_operators(conn: Connection) -> list[str]:
    texts = "\n".join(path.read_text() for path in (ROOT / "runner").rglob("*.sql"))
    rows = conn.execute("SELECT DISTINCT oprname::text FROM pg_operator WHERE oprleft <> 0").fetchall()
    return sorted(name for (name,) in rows if f" {name} " in texts or f"{name}'" in texts)


@pytest.fixture
def planted(conn: Connection, run_changelane: Any, tmp_path: Path) -> Connection:
    """A project with a failed message, in a database whose schema public holds such functions."""
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    (tmp_path / "pipelines.yaml").write_text(SPEC)
    (tmp_path / "handlers.py").write_text(HANDLER)
    for command in (["inspect"], ["generate"], ["apply", "--yes"]):
        done = run_changelane(*command)
        assert done.returncode == 0, done.stderr
    conn.execute("INSERT INTO orders VALUES (1, 'new'), (2, 'new'), (3, 'new')")
    functions = list_functions(conn)
    assert {"jsonb_build_object", "format", "has_schema_privilege", "to_regclass", "set_config"} <= set(
        functions
    )
    values = {
        "types": TYPES,
        "functions": functions,
        "variadic": ["jsonb_build_object", "format", "concat_ws", "concat", "num_nulls"],
        "operators": list_operators(conn),
    }
    with conn.transaction():
        conn.execute("SET LOCAL search_path = pg_catalog")
        psycopg.ClientCursor(conn).execute(PLANT, values)
    for trap in (
        "jsonb_build_object('a'::text, '1'::jsonb)",
        "format('%s'::text, 'a'::text)",
        "1 = '1'::text",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="hijacked"):
            conn.execute(f"SELECT {trap}".encode())
    return conn


COMMANDS = [
    ["inspect"], ["generate"], ["validate", "--live"], ["plan"], ["verify"], ["status"], ["doctor"],
    ["peek", "jobs"], ["send", "jobs", '{"id": 4}'], ["pause", "jobs"], ["resume", "jobs"], ["maintain"],
    ["try", "UPDATE orders SET status = status"], ["backfill", "orders"], ["work", "--drain"],
    ["dead-letter", "list", "jobs"], ["dead-letter", "show", "jobs", "--id", "1"],
    ["dead-letter", "list", "jobs", "--where", "message->>'op' = 'insert'"],
    ["dead-letter", "redrive", "jobs", "--id", "1"], ["replay", "jobs", "--since", "1h"], ["unblock", "jobs"],
    ["purge", "jobs", "--yes"], ["init", "--force"], ["destroy", "--yes"],
]  # fmt: skip


def test_no_command_calls_them(planted: Connection, run_changelane: Any) -> None:
    wrong = []
    for command in COMMANDS:
        done = run_changelane(*command)
        if "hijacked" in done.stdout + done.stderr:
            wrong.append((command, done.stderr[-300:]))
    assert wrong == []


PAGES = [
    "/", "/drift", "/samples.json", "/queues", "/queues/jobs", "/queues/jobs?where=message->>'op'%3D'insert'",
    "/queues/jobs/messages/{jobs}", "/queues/jobs/send", "/queues/jobs/keeping", "/queues/jobs/purge",
    "/queues/jobs/drop", "/queues/new", "/dead-letters", "/dead-letters/jobs",
    "/dead-letters/jobs/{jobs_dlq}", "/routes", "/routes/orders", "/access", "/doctor", "/audit",
]  # fmt: skip


def test_no_page_calls_them(planted: Connection, database: str, tmp_path: Path, run_changelane: Any) -> None:
    run_changelane("work", "--drain")
    planted.execute("INSERT INTO orders VALUES (5, 'new')")
    ids = {
        name: planted.execute(f"SELECT msg_id FROM pgmq.q_{name}".encode()).fetchall()[0][0]
        for name in ("jobs", "jobs_dlq")
    }
    with open_panel(tmp_path, database) as panel:
        panel.wait("/queues", lambda page: "jobs" in page.words)
        for page in PAGES:
            answer = panel.get(page.format(**ids))
            # A declared queue is not dropped.
            assert answer.status == (409 if page.endswith("drop") else 200), (page, answer.words[-300:])
            assert "hijacked" not in answer.text, (page, answer.words[-300:])
        sent = panel.post("/queues/jobs/send", on="/queues/jobs/send", message='{"id": 9}')
        assert "hijacked" not in sent.text
        tried = panel.post(
            "/routes/orders/try", on="/routes/orders", sql="INSERT INTO orders VALUES (9, 'new')"
        )
        assert "hijacked" not in tried.text
        for verb in ("pause", "resume"):
            assert "hijacked" not in panel.post(f"/queues/jobs/{verb}", on="/queues/jobs").text
        assert "hijacked" not in panel.log.read_text()
