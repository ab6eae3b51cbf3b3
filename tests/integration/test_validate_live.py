from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

Connection = psycopg.Connection[TupleRow]

SPEC = """\
version: 1
project: shop
queues: {events: {}}
routes:
  - {name: orders, table: public.orders, events: [insert], when: new.total > 0, queue: events}
"""


@pytest.fixture
def spec(conn: Connection, tmp_path: Path, run_changelane: Any) -> Path:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, total numeric)")
    path = tmp_path / "pipelines.yaml"
    path.write_text(SPEC)
    assert run_changelane("inspect").returncode == 0
    return path


def test_a_right_spec_is_valid_and_nothing_is_changed(
    conn: Connection, spec: Path, run_changelane: Any
) -> None:
    found = run_changelane("validate", "--live")
    assert (found.returncode, found.stdout, found.stderr) == (0, "pipelines.yaml is valid\n", "")
    assert conn.execute("SELECT to_regnamespace('changelane')").fetchone() == (None,)
    assert [path.name for path in (spec.parent / "sql_out").iterdir()] == ["catalog.json"]


def test_a_catalog_that_is_stale_matters_only_where_other_sql_comes_of_it(
    conn: Connection, spec: Path, run_changelane: Any
) -> None:
    conn.execute("CREATE TABLE parcels (id int)")
    found = run_changelane("validate", "--live")
    assert found.returncode == 0
    assert "warning[CL401]" in found.stderr
    assert "`public.parcels` is new" in found.stderr
    conn.execute("ALTER TABLE orders ADD took interval")
    found = run_changelane("validate", "--live")
    assert found.returncode == 1
    assert "error[CL401]" in found.stderr
    assert "`public.orders` differs" in found.stderr


def test_a_column_that_is_gone_is_an_error_with_live_and_none_without(
    conn: Connection, spec: Path, run_changelane: Any
) -> None:
    conn.execute("ALTER TABLE orders DROP COLUMN total")
    assert run_changelane("validate").returncode == 0
    found = run_changelane("validate", "--live", "--format", "json")
    assert found.returncode == 1
    (problem,) = json.loads(found.stdout)["diagnostics"]
    assert (problem["code"], problem["span"]["line"]) == ("CL302", 5)


def test_an_old_pgmq_and_rights_that_are_missing_are_told(
    conn: Connection, spec: Path, run_changelane: Any
) -> None:
    for signature in conn.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'pgmq'::regnamespace"
        " AND proname = 'send' AND 'headers' = ANY (proargnames)"
    ).fetchall():
        conn.execute(f"ALTER FUNCTION {signature[0]} RENAME TO gone".encode())
    found = run_changelane("validate", "--live", env={"PGOPTIONS": "-c role=pg_read_all_data"})
    assert found.returncode == 1
    assert "error[CL402]: pgmq in the database is too old" in found.stderr
    assert "error[CL403]: role pg_read_all_data may not create schema changelane" in found.stderr
    assert "error[CL403]: role pg_read_all_data may not make triggers on public.orders" in found.stderr


def test_mistakes_of_the_spec_and_against_the_catalog_are_told_in_one_run(
    spec: Path, run_changelane: Any
) -> None:
    spec.write_text(SPEC.replace("total > 0", "totl > 0").replace("project: shop", "project: Shop"))
    for command in ("validate", "generate"):
        found = run_changelane(command, "--format", "github")
        assert found.returncode == 1
        assert [line.partition("title=")[2][:5] for line in found.stdout.splitlines()] == ["CL105", "CL302"]


def test_generate_keeps_data_apart_from_what_it_wrote(spec: Path, run_changelane: Any) -> None:
    found = run_changelane("generate", "--format", "json")
    assert found.returncode == 0
    assert json.loads(found.stdout) == {"format_version": 2, "diagnostics": []}
    assert "wrote sql_out/manifest.json" in found.stderr


def test_without_a_catalog_it_says_what_was_not_checked(tmp_path: Path, run_changelane: Any) -> None:
    (tmp_path / "pipelines.yaml").write_text(SPEC)
    found = run_changelane("validate")
    assert found.returncode == 0
    missing = r"sql_out/catalog.json does not exist in /.*: tables and columns were not checked"
    assert re.search(missing, found.stderr)
