from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from changelane.cli import main
from changelane.contract.manifest import load_manifest
from changelane.errors import ChangelaneError, DatabaseError
from changelane.generator.sql.script import split_script
from changelane.runner.operate import try_sql
from changelane.runner.operate.try_sql import Trial

Connection = psycopg.Connection[TupleRow]

TABLES = """
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE orders (
    id int PRIMARY KEY, customer_id int REFERENCES customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    status text, total numeric
);
CREATE TABLE events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE animals (id int PRIMARY KEY);
CREATE TABLE cats () INHERITS (animals);
CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, note text);
INSERT INTO customers VALUES (1, 'Ann');
INSERT INTO orders VALUES (1, 1, 'open', 12.10);
"""

SPEC = """
version: 1
project: shop
queues: {order_events: {}, order_copies: {}, others: {}}
routes:
  - name: paid
    table: public.orders
    events: [update]
    update_of: [status]
    when: new.status = 'paid'
    queues: [order_events, order_copies]
    delay: 30s
  - {name: gone, table: public.orders, events: [delete], queue: others}
  - {name: customers, table: public.customers, events: [insert, update], queue: others}
  - {name: events, table: public.events, events: [insert], queue: others}
  - {name: animals, table: public.animals, events: [insert], queue: others}
"""


@pytest.fixture
def project(conn: Connection, database: str, tmp_path: Path) -> Path:
    """A project that is applied, in a folder of its own."""
    conn.execute(TABLES.encode())
    (tmp_path / "pipelines.yaml").write_text(SPEC)
    for command in (["inspect"], ["generate"], ["apply", "--yes"]):
        assert call(database, tmp_path, *command) == 0
    return tmp_path


def call(database: str, project: Path, *arguments: str) -> int:
    files = ["--file", str(project / "pipelines.yaml"), "--out", str(project / "sql_out")]
    with pytest.raises(SystemExit) as stop:
        main([*files, "--database-url", database, *arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def attempt(conn: Connection, project: Path, sql: str, *, limit: int = 20, timeout: float = 30) -> Trial:
    """As the command does, on a connection of its own."""
    manifest = load_manifest(project / "sql_out")
    with psycopg.connect(conn.info.dsn, autocommit=True) as fresh:
        found = try_sql.attempt(fresh, split_script(sql), manifest, timeout=timeout, limit=limit)
        assert fresh.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    return found


def why(found: Trial) -> dict[str, str]:
    return {silence.route: silence.why for silence in found.silences}


def count(conn: Connection) -> int:
    """Messages in all queues."""
    rows = conn.execute("SELECT queue_length FROM pgmq.metrics_all()").fetchall()
    return sum(int(row[0]) for row in rows)


def test_messages_are_shown_and_nothing_is_kept(conn: Connection, project: Path) -> None:
    found = attempt(conn, project, "UPDATE orders SET status = 'paid'; INSERT INTO customers VALUES (2)")
    assert found.commands == ("UPDATE 1", "INSERT 0 1")
    assert found.total == 3
    shown = [(message.queue, message.route, message.op, message.key) for message in found.messages]
    assert shown == [
        ("order_copies", "paid", "update", '{"id": 1}'),
        ("order_events", "paid", "update", '{"id": 1}'),
        ("others", "customers", "insert", '{"id": 2}'),
    ]
    assert 25 < found.messages[0].delay <= 30
    assert '"total": 12.10' in (found.messages[0].body or "")
    assert found.messages[0].size == len(found.messages[0].body or "")
    assert why(found) == {"gone": "1 row updated; it captures delete"}
    assert count(conn) == 0
    assert conn.execute("SELECT status FROM orders").fetchone() == ("open",)


@pytest.mark.parametrize(
    ("sql", "route", "reason"),
    [
        ("UPDATE orders SET status = 'paid' WHERE false", "paid", "no row changed"),
        ("UPDATE orders SET total = 1", "paid", "1 row updated; none passed"),
        ("UPDATE orders SET status = 'lost'", "paid", "1 row updated; none passed"),
        ("INSERT INTO orders VALUES (2, 1)", "gone", "1 row inserted; it captures delete"),
        (
            "ALTER TABLE orders DISABLE TRIGGER ALL; UPDATE orders SET total = 1",
            "gone",
            "1 row updated; it captures delete",
        ),
        ("TRUNCATE customers CASCADE", "customers", "truncated; it captures insert, update"),
        (
            "ALTER TABLE orders DISABLE TRIGGER ALL; UPDATE orders SET status = 'paid'",
            "paid",
            "its trigger is disabled",
        ),
        (
            "SET session_replication_role = replica; UPDATE orders SET status = 'paid'",
            "paid",
            "does not fire while session_replication_role is replica",
        ),
    ],
)
def test_a_route_that_sent_nothing_says_why(
    conn: Connection, project: Path, sql: str, route: str, reason: str
) -> None:
    found = attempt(conn, project, sql)
    assert found.total == 0
    assert reason in why(found)[route]


def test_a_trigger_that_was_never_applied_is_said_to_be_missing(conn: Connection, project: Path) -> None:
    name = conn.execute("SELECT tgname FROM pg_trigger WHERE tgname ~ '^!gone'").fetchone()
    assert name is not None
    conn.execute(f'DROP TRIGGER "{name[0]}" ON orders'.encode())
    found = attempt(conn, project, "DELETE FROM orders")
    assert why(found)["gone"] == "its trigger is missing: run `changelane apply`"


def test_a_function_that_is_not_the_one_generated_is_said_to_be(conn: Connection, project: Path) -> None:
    name = conn.execute("SELECT proname FROM pg_proc WHERE proname ~ '^gone'").fetchone()
    assert name is not None
    conn.execute(
        f"CREATE OR REPLACE FUNCTION changelane.{name[0]}() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NULL; END';"
        f"COMMENT ON FUNCTION changelane.{name[0]}() IS NULL".encode()
    )
    found = attempt(conn, project, "DELETE FROM orders")
    assert why(found)["gone"] == "the database runs another version of it: run `changelane apply`"


def test_routes_on_tables_that_were_only_read_are_not_mentioned(conn: Connection, project: Path) -> None:
    found = attempt(conn, project, "SELECT * FROM orders FOR UPDATE; SELECT * FROM customers")
    assert (found.total, found.silences) == (0, ())


def test_changes_by_cascade_partition_child_and_procedure_are_seen(conn: Connection, project: Path) -> None:
    sql = """
        DELETE FROM customers;
        INSERT INTO events_2025 VALUES (1, '2025-02-02');
        INSERT INTO cats VALUES (1);
        DO $$ BEGIN INSERT INTO customers VALUES (3); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
    """
    found = attempt(conn, project, sql)
    assert sorted(message.route or "" for message in found.messages) == [
        "animals",
        "customers",
        "events",
        "gone",
    ]
    assert why(found) == {"paid": "1 row deleted; it captures update"}


def test_messages_sent_by_hand_have_no_route_and_those_of_others_are_not_shown(
    conn: Connection, database: str, project: Path
) -> None:
    conn.execute("INSERT INTO customers VALUES (7)")
    with psycopg.connect(database) as other:
        other.execute("SELECT pgmq.send('others', '1')")
        found = attempt(conn, project, "SELECT pgmq.send('others', '{}')")
        other.rollback()
    assert [(message.route, message.op, message.body) for message in found.messages] == [(None, None, "{}")]


def test_a_role_taken_by_the_statements_need_not_see_the_queues(conn: Connection, project: Path) -> None:
    found = attempt(conn, project, "SET ROLE pg_write_all_data; UPDATE public.orders SET status = 'paid'")
    assert found.total == 2


def test_as_many_messages_as_asked_for_are_shown(conn: Connection, project: Path) -> None:
    found = attempt(conn, project, "INSERT INTO customers SELECT generate_series(10, 59)", limit=3)
    assert (len(found.messages), found.total) == (3, 50)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        (
            "UPDATE orders\nSET sttus = 'paid'",
            'column "sttus" of relation "orders" does not exist (line 2, colu',
        ),
        ("SELECT 1;\nSELECT 'é', x", 'column "x" does not exist (line 2, column 13)'),
        ("VACUUM orders", "VACUUM cannot run inside a transaction block"),
        (
            "CREATE INDEX CONCURRENTLY i ON orders (id)",
            "CREATE INDEX CONCURRENTLY cannot run inside a transa",
        ),
        ("DO $$ BEGIN COMMIT; END $$", "invalid transaction termination"),
        ("INSERT INTO orders VALUES (5, 99)", "at COMMIT: insert or update on table"),
        ("SELECT pg_sleep(60)", "canceling statement due to statement timeout"),
    ],
)
def test_a_failing_statement_is_one_line_with_its_place(
    conn: Connection, project: Path, sql: str, error: str
) -> None:
    with pytest.raises(DatabaseError) as caught:
        attempt(conn, project, sql, timeout=0.5)
    assert caught.value.what.startswith(error)
    assert "\n" not in caught.value.what
    assert conn.execute("SELECT count(*) FROM orders").fetchone() == (1,)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("UPDATE orders SET status = 'paid'; COMMIT", "COMMIT would end or begin a transaction"),
        ("ROLLBACK; DELETE FROM orders", "ROLLBACK would end or begin"),
        ("/* harmless */ end", "would end or begin"),
        ("SAVEPOINT a", "SAVEPOINT would end or begin"),
        ("PREPARE TRANSACTION 'x'", "would end or begin"),
        ("COPY orders FROM STDIN", "COPY between the table and the client"),
        ("COPY orders TO '/tmp/x'", "or to a file, cannot be tried"),
        ("COPY orders FROM PROGRAM 'id'", "no rollback undoes a program"),
        ("\\copy orders from x", 'syntax error at or near "\\" (line 1, column 1)'),
        ("UPDATE orders\nSET status =", "syntax error at end of input (line 2, column 13)"),
        ("SELECT 1;\n selekt", 'syntax error at or near "selekt" (line 2, column 2)'),
        (" ; -- nothing", "there is no statement to try"),
    ],
)
def test_statements_that_a_rollback_cannot_undo_are_refused_before_they_run(sql: str, error: str) -> None:
    with pytest.raises(ChangelaneError) as caught:
        split_script(sql)
    assert error in caught.value.what


def test_only_values_of_sequences_are_left_behind(conn: Connection, project: Path) -> None:
    sql = "INSERT INTO numbered (note) VALUES ('a'); CREATE TABLE made (); CREATE ROLE trial_role; NOTIFY x"
    attempt(conn, project, sql)
    assert conn.execute("SELECT to_regclass('made'), to_regrole('trial_role')").fetchone() == (None, None)
    assert conn.execute("SELECT count(*) FROM numbered").fetchone() == (0,)
    assert conn.execute("INSERT INTO numbered (note) VALUES ('b') RETURNING id").fetchone() == (2,)


def test_it_waits_for_no_lock_for_long(
    conn: Connection, database: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_sql, "LOCK_TIMEOUT", 0.1)
    with psycopg.connect(database) as other:
        other.execute("UPDATE orders SET total = 0")
        with pytest.raises(DatabaseError, match="lock timeout"):
            attempt(conn, project, "UPDATE orders SET status = 'paid'")
        other.rollback()


def test_without_pgmq_it_says_what_to_do(bare_database: str, project: Path) -> None:
    with psycopg.connect(bare_database, autocommit=True) as bare, pytest.raises(DatabaseError) as caught:
        attempt(bare, project, "SELECT 1")
    assert caught.value.fix == "run `changelane apply`"


def test_the_command_shows_a_table_and_data(
    database: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    sql = "UPDATE orders SET status = 'paid'"
    assert call(database, project, "try", sql) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["ROUTE", "QUEUE", "OP", "KEY", "SIZE"]
    assert lines[3].startswith('paid   order_copies  update  {"id": 1}  ')
    assert lines[3].endswith(" B  readable in 30 s")
    assert lines[-1] == "2 messages would be sent. Rolled back."
    assert call(database, project, "try", sql, "--format", "json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert next(iter(found)) == "format_version"
    assert found["messages"][0]["body"]["new"]["status"] == "paid"
    assert found["silences"] == [
        {"route": "gone", "table": "public.orders", "why": "1 row updated; it captures delete"}
    ]
    assert call(database, project, "try", "SELECT x") == 1
    assert "(line 1, column 8)" in capsys.readouterr().err


def test_statements_come_from_standard_input_too(project: Path, run_changelane: Any) -> None:
    tried = run_changelane("try", "-", input="UPDATE orders SET status = 'paid';\n")
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.endswith("2 messages would be sent. Rolled back.\n")
