"""Names of objects within an expression mean what they mean to the table's owner, or are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.deployment import bring, declare, find_wrong

from changelane.diagnostic import Diagnostic
from changelane.errors import SpecError

Connection = psycopg.Connection[Any]

TABLE = """
CREATE EXTENSION citext SCHEMA public;
CREATE SEQUENCE tickets;
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
CREATE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)';
CREATE TABLE public."Order Lines" (id int);
CREATE TABLE t (id int PRIMARY KEY, name text, rel regclass, n oid, body text, mail citext);
"""
SPEC = """
version: 1
project: shop
queues: {{q: {{}}}}
routes:
  - name: t
    table: public.t
    events: [insert]
    queue: q
    payload:
      extra:
        x: {text}
"""
REFUSED = [
    ("'t'::regclass", "public.t"),
    ("regclass 'tickets'", "public.tickets"),
    ("CAST('\"Order Lines\"' AS regclass)", "'public.\"Order Lines\"'"),
    ("'citext'::regtype", "public.citext"),
    ("'shout'::regproc", "public.shout"),
    ("'shout(text)'::regprocedure", "public.shout(text)"),
    ("'public.shout(citext)'::regprocedure", "schema"),
    ("to_regclass('t')", "public.t"),
    ("to_regclass(new.name)", "quote_ident"),
    ("to_regtype('citext')::oid", "public.citext"),
    ("to_regproc('shout')", "public.shout"),
    ("nextval('tickets')", "public.tickets"),
    ("currval('tickets')", "public.tickets"),
    ("setval('tickets', 5)", "public.tickets"),
    ("nextval(new.name)", "quote_ident"),
    ("nextval('tickets'::text)", "public.tickets"),
    ("new.name::regclass", "quote_ident"),
    ("new.rel::text = 't'", "'public.name'::regclass"),
    ("pg_get_serial_sequence('t', 'id')", "public.t"),
    ("has_table_privilege(session_user, 't', 'select')", "public.t"),
    ("to_tsvector('plain', new.body)", "public.plain"),
    ("pg_relation_size('t')", "public.t"),
    ("pg_catalog.nextval('tickets')", "public.tickets"),
]
TAKEN = {
    "'public.t'::regclass::oid": "'public.t'::regclass::oid",
    "nextval('public.tickets')": "1",
    "to_regclass('public.' || new.name)": "'public.t'::regclass",
    "format('%I.%I', 'public', new.name)::regclass": "'public.t'::regclass",
    "'public.citext'::regtype::oid": "'public.citext'::regtype::oid",
    "'integer'::regtype": "'integer'::regtype",
    "'character varying(20)[]'::regtype": "'varchar[]'::regtype",
    "'lower(text)'::regprocedure::oid": "'lower(text)'::regprocedure::oid",
    "'pg_class'::regclass": "'pg_class'::regclass",
    "to_tsvector('english', new.body)": "to_tsvector('english', 'two cars')",
    "to_tsvector('public.plain', new.body)": "to_tsvector('simple', 'two cars')",
    "new.n::regclass::oid": "'pg_class'::regclass::oid",
    "new.rel = 'public.t'::regclass": "true",
    "pg_relation_size('public.t') >= 0": "true",
    "NULL::regclass": "null::regclass",
}


def declare_extra(conn: Connection, folder: Path, text: str) -> Any:
    return declare(conn, folder, SPEC.format(text='"' + text.replace('"', '\\"') + '"'))


def find_problems(conn: Connection, folder: Path, text: str) -> Sequence[Diagnostic]:
    try:
        declare_extra(conn, folder, text)
    except SpecError as error:
        return error.diagnostics
    pytest.fail(f"{text} was taken")


@pytest.fixture
def table(conn: Connection) -> Connection:
    conn.execute(TABLE.encode())
    return conn


def test_a_name_without_its_schema_is_refused_with_the_text_to_write(
    table: Connection, tmp_path: Path
) -> None:
    for text, told in REFUSED:
        (problem,) = find_problems(table, tmp_path, text)
        assert "pg_catalog alone" in problem.summary or "search_path" in problem.summary, text
        assert told in problem.fix, text


def test_a_name_with_its_schema_means_the_same_to_a_capture(table: Connection, tmp_path: Path) -> None:
    for text, meant in TAKEN.items():
        bring(table, declare_extra(table, tmp_path, text))
        with table.transaction():
            table.execute("TRUNCATE t; TRUNCATE pgmq.q_q; ALTER SEQUENCE tickets RESTART")
            table.execute("INSERT INTO t VALUES (1, 't', 't', 'pg_class'::regclass::oid, 'two cars')")
            same = f"message->'extra'->'x' IS NOT DISTINCT FROM coalesce(to_jsonb({meant}), 'null')"
            # As a capture function writes it.
            table.execute("SET LOCAL search_path = pg_catalog")
            found = table.execute(f"SELECT {same} FROM pgmq.q_q".encode()).fetchall()
            assert found == [(True,)], text


def test_an_owner_whose_path_puts_pg_catalog_last_writes_it(table: Connection, tmp_path: Path) -> None:
    name = psycopg.sql.Identifier(table.info.dbname)
    table.execute(psycopg.sql.SQL("ALTER DATABASE {} SET search_path = public, pg_catalog").format(name))
    (problem,) = find_problems(table, tmp_path, "to_tsvector('english', new.body)")
    assert "public.english" in problem.fix
    declare_extra(table, tmp_path, "to_tsvector('pg_catalog.english', new.body)")


@pytest.mark.parametrize(
    "text",
    ["'sales.t'::regclass::oid", "nextval('sales.tickets')", "to_regclass('sales.' || new.name)::oid",
     "to_tsvector('\"sales\".plain', new.body)", "has_table_privilege(session_user, 'Sales.t', 'select')"],
)  # fmt: skip
def test_an_owner_that_may_only_send_may_look_such_a_name_up(
    table: Connection, tmp_path: Path, text: str
) -> None:
    table.execute(
        "CREATE SCHEMA sales; CREATE TABLE sales.t (); CREATE SEQUENCE sales.tickets;"
        " CREATE TEXT SEARCH CONFIGURATION sales.plain (COPY = simple)"
    )
    role = f"{table.info.dbname}_sender"
    spec = SPEC.replace("project: shop", f"project: shop\nowner: {role}")
    declared = declare(table, tmp_path, spec.format(text='"' + text.replace('"', '\\"') + '"'))
    try:
        bring(table, declared)
        assert find_wrong(table, declared) == []
        table.execute("INSERT INTO t VALUES (1, 't')")
        table.execute(sql.SQL("REVOKE ALL ON SCHEMA sales FROM {}").format(sql.Identifier(role)))
        assert find_wrong(table, declared) != []
        bring(table, declared)
        table.execute("INSERT INTO t VALUES (2, 't')")
    finally:
        if table.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            for query in ("DROP OWNED BY {} CASCADE", "DROP ROLE {}"):
                table.execute(sql.SQL(query).format(sql.Identifier(role)))
