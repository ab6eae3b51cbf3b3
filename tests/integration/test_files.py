"""The committed files, applied by hand with psql."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from changelane.runner.local.server import find_binary

ROOT = Path(__file__).parent.parent.parent
SCHEMA = "sql_out/schema.sql"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "sql_out").rglob("*.sql"))


def run_psql(database: str, *files: str) -> None:
    arguments = [argument for file in files for argument in ("--file", str(ROOT / file))]
    subprocess.run(
        [find_binary("psql"), "--no-psqlrc", "--quiet", "-1", "-v", "ON_ERROR_STOP=1", *arguments, database],
        check=True,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("file", FILES)
def test_a_file_needs_no_other_but_the_schemas_and_runs_again(file: str, database: str) -> None:
    run_psql(database, "examples/shop/schema.sql", SCHEMA)
    run_psql(database, file)
    run_psql(database, file)


def test_files_applied_by_hand_leave_nothing_for_apply(
    database: str, run_changelane: object, conn: psycopg.Connection[object]
) -> None:
    run_psql(database, "examples/shop/schema.sql", SCHEMA, *FILES)
    plan = run_changelane("--out", ROOT / "sql_out", "plan")  # type: ignore[operator]
    assert "No changes." in plan.stdout
    conn.execute("INSERT INTO shop.customers (email, name) VALUES ('ann@example.org', 'Ann')")
    assert conn.execute("SELECT message -> 'new' ->> 'name' FROM pgmq.q_customers").fetchall() == [("Ann",)]
