"""SQL that people write into the dashboard reaches only the tables, even on a superuser's connection."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow
from support.dashboard import Answer, Panel, open_panel
from support.deployment import bring, declare

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
  - {name: orders, table: public.orders, events: [insert, update], queue: events}
  - {name: notes, table: public.notes, events: [insert], queue: events}
consumers:
  events: {handler: "handlers:handle"}
"""
LETTER = """
    SELECT pgmq.send('events_dlq', jsonb_build_object('n', 1), jsonb_build_object('dead_letter',
        jsonb_build_object('queue', 'events', 'msg_id', 7, 'attempts', 3, 'error', 'E', 'at', now())))
"""


@pytest.fixture
def owner(conn: Connection) -> Iterator[str]:
    """An ordinary role that owns ``notes`` and ``journal``; a trigger of its own writes the second."""
    name = f"{conn.info.dbname}_owner"
    conn.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    yield name
    for query in ("REASSIGN OWNED BY {} TO CURRENT_USER", "DROP OWNED BY {}", "DROP ROLE {}"):
        conn.execute(sql.SQL(query).format(sql.Identifier(name)))


@pytest.fixture
def panel(conn: Connection, owner: str, database: str, tmp_path: Path) -> Iterator[Panel]:
    conn.execute("CREATE TABLE orders (id serial PRIMARY KEY, status text)")
    conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text); CREATE TABLE journal (body text)")
    conn.execute("CREATE TABLE secrets AS SELECT 'hunter2'::text AS secret")
    conn.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    conn.execute("""
        CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.journal VALUES (new.body); RETURN new; END$$;
        CREATE TRIGGER note_it BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION note_it()
    """)
    for table in ("notes", "journal"):
        conn.execute(
            sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(table), sql.Identifier(owner))
        )
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    conn.execute(LETTER)
    with open_panel(tmp_path, database) as panel:
        panel.wait("/queues", lambda page: "events_dlq" in page.words)
        yield panel


def one(conn: Connection, query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def attempt(panel: Panel, text: str) -> Answer:
    return panel.post("/routes/orders/try", on="/routes/orders", sql=text)


def choose(panel: Panel, where: str) -> Answer:
    return panel.post("/dead-letters/events/redrive", on="/dead-letters/events", where=where)


def do(body: str) -> str:
    return f"DO $do$ BEGIN {body} END $do$"


def test_statements_are_tried_with_the_rights_on_the_captured_tables(panel: Panel, conn: Connection) -> None:
    page = attempt(panel, "INSERT INTO orders (status) VALUES ('a'), ('b'); UPDATE orders SET status = 'c'")
    assert "INSERT 2, UPDATE 2: would have sent 4 messages" in page.words
    page = attempt(panel, "INSERT INTO notes VALUES (1, 'by a trigger of the owner')")
    assert "would have sent 1 message" in page.words
    page = attempt(panel, "INSERT INTO orders (status) VALUES ('x')\n; UPDATE orders SET nothing = 1")
    assert page.status == 409
    assert 'column "nothing" of relation "orders" does not exist (line 2, column' in page.words
    assert one(conn, "SELECT count(*) FROM orders") == 0
    assert one(conn, "SELECT count(*) FROM journal") == 0
    assert one(conn, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'changelane_confined%'") == 0
    texts = [row[0] for row in conn.execute("SELECT arguments ->> 'sql' FROM changelane.audit ORDER BY id")]
    assert texts[1] == "INSERT INTO notes VALUES (1, 'by a trigger of the owner')"


STATEMENTS = [
    do("EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {file}'''"),
    do("EXECUTE 'RESET ROLE'; EXECUTE 'COPY (SELECT 1) TO ''{file}'''"),
    do("EXECUTE 'RESET SESSION AUTHORIZATION'; EXECUTE 'COPY (SELECT 1) TO ''{file}'''"),
    do("PERFORM set_config('role', 'none', true); EXECUTE 'COPY (SELECT 1) TO ''{file}'''"),
    do("EXECUTE 'SET SESSION AUTHORIZATION postgres'; EXECUTE 'COPY (SELECT 1) TO ''{file}'''"),
    do("EXECUTE 'CREATE OR REPLACE FUNCTION pg_temp.changelane_statements(statements text[]) "
       "RETURNS bigint[] LANGUAGE plpgsql AS $x$BEGIN COPY (SELECT 1) TO ''{file}''; RETURN ''{}''; END$x$'"),
    "ALTER FUNCTION pg_temp.changelane_statements(text[]) SECURITY INVOKER; SELECT 1",
    # On older servers, deferred triggers run as the role of the session when they fire.
    "CREATE TEMP TABLE t (i int); CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS "
    "$x$BEGIN COPY (SELECT 1) TO '{file}'; RETURN NULL; END$x$; CREATE CONSTRAINT TRIGGER c "
    "AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.f(); "
    "INSERT INTO t VALUES (1)",
    "SELECT lo_export(lo_from_bytea(0, 'x'), '{file}')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'",
    "SELECT pg_drop_replication_slot('changelane_test')",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "CREATE ROLE changelane_intruder SUPERUSER",
]  # fmt: skip


def test_a_statement_reaches_nothing_beside_the_tables(
    panel: Panel, conn: Connection, database: str, tmp_path: Path
) -> None:
    # A place that the server can write to: its own folder.
    file = Path(one(conn, "SHOW data_directory")) / f"by_{tmp_path.name}"[:60]
    with psycopg.connect(database, application_name="victim", autocommit=True) as victim:
        for text in STATEMENTS:
            attempt(panel, text.replace("{file}", str(file)))
            assert victim.execute("SELECT 1").fetchone() == (1,), text
            assert not file.exists(), text
    assert one(conn, "SELECT count(*) FROM pg_roles WHERE rolname ~ 'changelane_(confined|intruder)'") == 0


QUERIES = [
    "SELECT string_agg(rolname || coalesce(rolpassword, 'no password'), '') FROM pg_authid",
    "SELECT pg_read_file('postmaster.opts')",
    "SELECT secret FROM secrets",
    "SELECT string_agg(setting, ' ') FROM pg_settings WHERE name = 'data_directory'",
]  # fmt: skip


def test_no_error_reveals_more_than_the_tables_show(panel: Panel, conn: Connection) -> None:
    for query in QUERIES:
        known = one(conn, query)
        answers = [
            attempt(panel, do(f"RAISE EXCEPTION '%', ({query})")),
            attempt(panel, f"INSERT INTO orders (status) {query}"),
            choose(panel, f"({query})::int > 0"),
            choose(panel, f"(xpath('.', query_to_xml($q${query}$q$, true, true, '')))[1]::text::int > 0"),
        ]
        for answer in answers:
            assert str(known).strip() not in answer.words, query


EXPRESSIONS = [
    "set_config('role', 'none', true) IS NOT NULL",
    "pg_terminate_backend((SELECT pid FROM pg_stat_activity WHERE application_name = 'victim' LIMIT 1))",
    "pg_read_file('PG_VERSION') <> ''",
    "pg_ls_dir('.') IS NOT NULL",
    "evil() = 1",
    "public.evil() = 1",
    "true); COPY (SELECT 1) TO '/nowhere'; RETURN (true",
]


def test_an_expression_reaches_nothing_at_all(panel: Panel, conn: Connection, database: str) -> None:
    conn.execute("""
        CREATE FUNCTION evil() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $$BEGIN PERFORM 1 FROM pg_authid; RETURN 1; END$$
    """)
    with psycopg.connect(database, application_name="victim", autocommit=True) as victim:
        for where in EXPRESSIONS:
            answer = choose(panel, where)
            assert answer.status == 409, answer.words
            assert "Nothing was changed" in answer.words
            assert victim.execute("SELECT 1").fetchone() == (1,), where
        # Older servers let a read-only transaction make a large object; this one is rolled back.
        choose(panel, "lo_from_bytea(0, 'x') > 0")
    assert one(conn, "SELECT count(*) FROM pg_largeobject_metadata") == 0
    assert one(conn, "SELECT count(*) FROM pgmq.q_events_dlq") == 1


def test_an_expression_over_the_message_still_finds_it_and_is_on_record(
    panel: Panel, conn: Connection
) -> None:
    where = "(message->>'n')::int = 1 AND headers->'dead_letter'->>'error' = 'E' AND msg_id = 1"
    asked = choose(panel, where)
    assert "Send back 1 dead letter of events?" in asked.words
    assert "Send back 0 dead letters" in choose(panel, "enqueued_at > now() OR message ? '100%'").words
    panel.confirm(asked)
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 1
    rows = conn.execute("SELECT action, arguments->>'where' FROM changelane.audit ORDER BY id").fetchall()
    assert rows[0] == ("dead-letter preview", where)
    assert rows[-1] == ("dead-letter redrive", where)


def test_no_statement_outlasts_its_time_and_pages_answer_meanwhile(panel: Panel, conn: Connection) -> None:
    patient = [
        "SET LOCAL statement_timeout = 0; SELECT pg_sleep(300)",
        do("LOOP BEGIN PERFORM pg_sleep(300); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP;"),
    ]
    answers: list[Answer] = []
    csrf = attempt(panel, "SELECT 1").csrf

    def wait(text: str) -> None:
        answers.append(panel.send("/routes/orders/try", {"csrf": csrf, "sql": text}))

    for text in patient:
        answers.clear()
        threads = [threading.Thread(target=wait, args=[text]) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(answers) < len(threads):
            panel.open("/queues/events")
            time.sleep(0.2)
        for thread in threads:
            thread.join()
        ended = [answer for answer in answers if re.search("took longer|statement timeout", answer.words)]
        busy = [answer for answer in answers if "connections for this are busy" in answer.words]
        assert ended
        assert len(ended) + len(busy) == 4
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'pg_sleep.300' AND pid <> pg_backend_pid()"
        )
        assert one(conn, query) == 0


def test_a_strong_role_that_cannot_make_a_weaker_one_is_refused_and_told_another_way(
    panel: Panel, conn: Connection, database: str, tmp_path: Path
) -> None:
    name = f"{conn.info.dbname}_strong"
    role = sql.Identifier(name)
    conn.execute(sql.SQL("CREATE ROLE {} LOGIN REPLICATION").format(role))
    try:
        conn.execute(sql.SQL("GRANT pg_read_server_files TO {}").format(role))
        conn.execute(sql.SQL("GRANT ALL ON SCHEMA pgmq, changelane TO {}").format(role))
        conn.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA pgmq, changelane, public TO {}").format(role))
        conn.execute(
            sql.SQL("GRANT ALL ON ALL SEQUENCES IN SCHEMA pgmq, changelane, public TO {}").format(role)
        )
        folder = tmp_path / "strong"
        folder.mkdir()
        (folder / "sql_out").symlink_to(tmp_path / "sql_out")
        (folder / "pipelines.yaml").symlink_to(tmp_path / "pipelines.yaml")
        with open_panel(folder, database.replace("user=postgres", f"user={name}")) as strong:
            strong.wait("/queues", lambda page: "events_dlq" in page.words)
            for answer in (attempt(strong, "INSERT INTO notes VALUES (1)"), choose(strong, "true")):
                assert answer.status == 409
                assert "pg_read_server_files, replication" in answer.words
                assert "run it in a shell" in answer.words
    finally:
        conn.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))
