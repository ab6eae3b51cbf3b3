"""inspect, apply and verify with settings that a role or a database gives its sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events:
    access:
      - role: pg_monitor
        allow: [read]
        using: message->>'op' <> 'a\\b'
routes:
  - name: paid
    table: public.orders
    events: [insert]
    when: new.status <> 'a\\b'
    queue: events
"""


def set_for_database(conn: Connection, setting: str, value: str) -> None:
    conn.execute(
        sql.SQL("ALTER DATABASE {} SET {} = {}").format(
            sql.Identifier(conn.info.dbname), sql.SQL(setting), sql.Literal(value)
        )
    )


@pytest.fixture(autouse=True)
def project(conn: Connection, tmp_path: Path) -> None:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    (tmp_path / "pipelines.yaml").write_text(SPEC)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("quote_all_identifiers", "on"),
        ("standard_conforming_strings", "off"),
        ("search_path", "pgmq, public"),
    ],
)
def test_settings_of_sessions_do_not_change_what_is_applied(
    conn: Connection, run_changelane: Any, setting: str, value: str
) -> None:
    set_for_database(conn, setting, value)
    for command in ("inspect", "generate", "apply", "verify"):
        done = run_changelane(command, *(["--yes"] if command == "apply" else []))
        assert done.returncode == 0, done.stderr
    assert run_changelane("apply", "--yes").stdout == "No changes. Database matches sql_out/.\n"
    conn.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(sql.Identifier(conn.info.dbname)))
    assert run_changelane("verify").returncode == 0
    conn.execute("INSERT INTO orders VALUES (1, 'paid'), (2, 'a\\b')")
    assert conn.execute("SELECT message->'new'->>'id' FROM pgmq.q_events").fetchall() == [("1",)]


def test_a_statement_timeout_of_the_role_ends_no_step_that_takes_longer(
    conn: Connection, run_changelane: Any
) -> None:
    for command in ("inspect", "generate"):
        assert run_changelane(command).returncode == 0
    conn.execute(
        "CREATE FUNCTION public.linger() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_sleep(2.5); END $$; "
        "CREATE EVENT TRIGGER linger ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER') "
        "EXECUTE FUNCTION public.linger()"
    )
    set_for_database(conn, "statement_timeout", "2s")
    applied = run_changelane("apply", "--yes")
    assert applied.returncode == 0, applied.stderr


def test_a_session_that_may_not_write_is_told_before_anything_is_begun(
    conn: Connection, run_changelane: Any
) -> None:
    for command in ("inspect", "generate"):
        assert run_changelane(command).returncode == 0
    set_for_database(conn, "default_transaction_read_only", "on")
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    assert f"in database {conn.info.dbname} are read-only" in refused.stderr
    assert "1 problem found; nothing was changed" in refused.stderr
    writing = {"PGOPTIONS": "-c default_transaction_read_only=off"}
    assert run_changelane("apply", "--yes", env=writing).returncode == 0
    # There is nothing to write, so a read-only session is no problem.
    assert run_changelane("apply", "--yes").stdout == "No changes. Database matches sql_out/.\n"
