"""Expressions that were valid when they were applied, and are not any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.deployment import bring, declare, find_wrong

from changelane.errors import ProblemsError
from changelane.runner.live.expressions import observe_expressions

Connection = psycopg.Connection[Any]

SCHEMA = """
CREATE EXTENSION pg_trgm SCHEMA public;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (one int, other text);
CREATE FUNCTION score(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE TABLE t (id int PRIMARY KEY, m mood, p pair, note text);
"""
SPEC = """
version: 1
project: shop
queues: {{q: {{}}}}
routes:
  - {{name: odd, table: public.t, events: [insert, update], queue: q, {how}}}
  - {{name: fine, table: public.t, events: [insert], queue: q, when: new.id > 0}}
"""
BREAKS = [
    ("when: new.m = 'sad'", "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", "invalid input value for enum"),
    (
        "when: \"new.m in ('ok', 'sad')\"",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
        "invalid input value",
    ),
    ("when: public.score(new.id)::int > 1", "DROP FUNCTION score(int)", "does not exist"),
    (
        "payload: {extra: {s: 'public.score(new.id)::int + 1'}}",
        "DROP FUNCTION score(int);"
        " CREATE FUNCTION score(int) RETURNS point LANGUAGE sql AS 'SELECT point(1, 2)'",
        "cannot cast type point to integer",
    ),
    ("when: (new.p).other = 'a'", "ALTER TYPE pair RENAME ATTRIBUTE other TO another", "column"),
    ("when: new.note % 'abc'", "ALTER EXTENSION pg_trgm SET SCHEMA elsewhere", "operator does not exist"),
]


@pytest.mark.parametrize(("how", "change", "said"), BREAKS)
def test_verify_and_doctor_run_the_check_of_apply(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane, how: str, change: str, said: str
) -> None:
    conn.execute("CREATE SCHEMA elsewhere")
    conn.execute(SCHEMA.encode())
    declared = declare(conn, tmp_path, SPEC.format(how=how))
    bring(conn, declared)
    assert run_changelane("verify").returncode == 0
    conn.execute(change.encode())

    verified = run_changelane("verify")
    assert verified.returncode == 2
    assert said in verified.stdout
    assert "route odd" in verified.stdout
    assert "route fine" not in verified.stdout
    doctor = run_changelane("doctor")
    assert said in doctor.stdout
    assert "edit the expression" in doctor.stdout
    planned = run_changelane("plan")
    assert said in planned.stdout + planned.stderr
    wrong = find_wrong(conn, declared)
    assert wrong
    assert all(line.startswith("blocked") and "odd_" in line for line in wrong), wrong


def test_an_expression_that_never_held_leaves_out_its_route_alone(conn: Connection, tmp_path: Path) -> None:
    conn.execute(SCHEMA.encode())
    declared = declare(conn, tmp_path, SPEC.format(how="when: new.m = 'glad'"))
    with pytest.raises(ProblemsError) as caught:
        bring(conn, declared)
    assert "invalid input value for enum" in str(caught.value.problems[0])
    found = conn.execute("SELECT tgname FROM pg_trigger WHERE tgname ~ '^!?(odd|fine)_'").fetchall()
    assert [name.lstrip("!")[:4] for (name,) in found] == ["fine"]


def test_the_check_waits_for_no_lock_and_assumes_that_hidden_objects_are_whole(
    conn: Connection, tmp_path: Path, database: str
) -> None:
    conn.execute("CREATE SCHEMA elsewhere")
    conn.execute(SCHEMA.encode())
    declared = declare(conn, tmp_path, SPEC.format(how="when: new.m = 'sad'"))
    with psycopg.connect(database, autocommit=True) as stranger:
        stranger.execute("CREATE ROLE changelane_stranger")
        try:
            conn.execute("ALTER TYPE mood SET SCHEMA elsewhere")
            stranger.execute("SET ROLE changelane_stranger")
            stranger.execute("BEGIN READ ONLY")
            assert observe_expressions(stranger, declared.manifest) == {}
            stranger.execute("ROLLBACK; RESET ROLE")
        finally:
            stranger.execute("RESET ROLE; DROP ROLE changelane_stranger")
    with conn.transaction(), psycopg.connect(database, autocommit=True) as other:
        conn.execute("ALTER TABLE t ADD COLUMN later int")
        other.execute("SET statement_timeout = '30s'")
        with other.transaction():
            assert observe_expressions(other, declared.manifest) == {}
