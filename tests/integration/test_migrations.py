"""Each row of the tables in ``docs/migrations.md`` is run, and is true."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.deployment import bring, declare, find_wrong

from changelane.contract.manifest import load_manifest
from changelane.errors import IncompleteError
from changelane.runner.apply.plan import plan
from changelane.runner.compare.compare_tables import note_unreviewed
from changelane.runner.live.database import connect
from changelane.runner.live.observe import observe
from changelane.runner.local.binaries import find_binary

Connection = psycopg.Connection[TupleRow]

PAGE = (Path(__file__).parents[2] / "docs" / "migrations.md").read_text()
SCHEMA = """
CREATE SCHEMA app;
CREATE SCHEMA attic;
CREATE TABLE app.a (id int PRIMARY KEY, v text);
CREATE TABLE app.b (id int PRIMARY KEY, v text);
CREATE TABLE app.p (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES FROM (0) TO (100);
CREATE TABLE attic.out (id int PRIMARY KEY, v text);
"""
GLOB = """
version: 1
project: shop
queues: {events: {}}
routes:
  - name: all
    tables: ["app.*"]
    events: [insert, update, delete]
    queue: events
"""
NAMED = GLOB.replace('tables: ["app.*"]', "table: app.a\n    payload: {columns: [id, v]}")


@dataclass(frozen=True)
class Row:
    """``title`` and ``statement`` of the first cell, then the other cells."""

    title: str
    statement: str
    sent: str
    noticed: str
    steps: str
    spec: str


def read_rows() -> list[Row]:
    rows = []
    for heading, spec in (("Under a glob", GLOB), ("A named table", NAMED)):
        section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        for line in re.findall(r"^\| (.*: `.*) \|$", section, re.MULTILINE):
            first, sent, noticed, steps = line.split(" | ")
            title, statement = first.rstrip("`").split(": `")
            rows.append(Row(title, statement, sent, noticed, steps, spec))
    return rows


ROWS = read_rows()


@dataclass(frozen=True)
class Case:
    """``write`` is done after the migration, and once more after the steps: ``after`` is what it sends then.
    ``edit`` is what is replaced in the spec, and by what.
    """

    write: str
    after: list[tuple[str, str]]
    edit: tuple[str, str] = ("", "")


WRITE_A = "INSERT INTO app.a VALUES ({id}, 'x')"
CASES = {
    "add a table": Case("INSERT INTO app.fresh VALUES ({id})", [("fresh", "id")]),
    "drop a table": Case("SELECT 1", []),
    "rename a table": Case("INSERT INTO app.z VALUES ({id}, 'x')", [("z", "id, v")]),
    "move a table in": Case("INSERT INTO app.out VALUES ({id}, 'x')", [("out", "id, v")]),
    "move a table out": Case("INSERT INTO attic.a VALUES ({id}, 'x')", []),
    "swap tables": Case(WRITE_A, [("a", "id, v")]),
    "add a column": Case(WRITE_A, [("a", "id, v, w null")]),
    "drop a column": Case("INSERT INTO app.a VALUES ({id})", [("a", "id")]),
    "rename a column": Case(WRITE_A, [("a", "id, w")]),
    "retype a column": Case(WRITE_A, [("a", "id, v")]),
    "drop the primary key": Case(WRITE_A, [("a", "id, v")]),
    "add a partition": Case("INSERT INTO app.p2 VALUES ({id}, 'x')", [("p", "id, v")]),
    "attach a table": Case("INSERT INTO attic.out VALUES ({id}, 'x')", [("p", "id, v")]),
    "attach a captured table": Case(WRITE_A, [("p", "id, v")]),
    "detach a partition": Case("INSERT INTO app.p1 VALUES ({id}, 'x')", [("p1", "id, v")]),
    "empty one partition": Case("SELECT 1", []),
    "drop one partition": Case("SELECT 1", []),
    "add a child": Case("INSERT INTO app.kid VALUES ({id}, 'x')", [("kid", "id, v")]),
    "disable triggers": Case(WRITE_A, [("a", "id, v")]),
    "drop a named column": Case("INSERT INTO app.a VALUES ({id})", [("a", "id")], edit=("[id, v]", "[id]")),
    "rename a named column": Case(WRITE_A, [("a", "id, w")], edit=("[id, v]", "[id, w]")),
    "add an unnamed column": Case(WRITE_A, [("a", "id, v")]),
    "rename a named table": Case(
        "INSERT INTO app.z VALUES ({id}, 'x')", [("z", "id, v")], edit=("app.a", "app.z")
    ),
    "drop a named table": Case("SELECT 1", [], edit=("app.a", "app.b")),
}
SENT: dict[str, list[tuple[str, str]]] = {
    "nothing": [],
    "as before": [("a", "id, v")],
    "as before, with the old key": [("a", "id, v")],
    "its changes, under the old name": [("a", "id, v")],
    "its changes, under the name of the other": [("b", "id, v")],
    "its changes, as those of its parent": [("p", "id, v")],
    "each change twice, as its own and as its parent's": [("a", "id, v"), ("p", "id, v")],
    "rows with the new column": [("a", "id, v, w null")],
    "rows without the column": [("a", "id")],
    "rows with the new name": [("a", "id, w")],
    "rows with null in its place": [("a", "id, v null")],
}
"""What the second cell says, to (table, columns of new) of the messages."""


def read(conn: Connection) -> list[tuple[str, str]]:
    """(table, columns of new) of every message since the last call; a column that is null says so."""
    rows = conn.execute("DELETE FROM pgmq.q_events RETURNING message->>'table', message->'new'").fetchall()
    return sorted(
        (
            table,
            ", ".join(name if value is not None else f"{name} null" for name, value in sorted(new.items())),
        )
        for table, new in rows
    )


def notice(conn: Connection, out: Path) -> str:
    """Who notices, in the words of the page."""
    manifest = load_manifest(out)
    observed = observe(conn, manifest)
    states = {thing.state for thing in plan(manifest, observed).differences}
    if states:
        return f"`verify`: {', '.join(sorted(states))}"
    return "`verify`: a note" if list(note_unreviewed(manifest, observed)) else "nobody"


@pytest.fixture
def prepared(conn: Connection) -> Connection:
    conn.execute(SCHEMA.encode())
    return conn


def test_every_row_has_a_case_and_every_case_a_row() -> None:
    assert [row.title for row in ROWS] == list(CASES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_each_row_of_the_table_is_true(prepared: Connection, tmp_path: Path, row: Row) -> None:
    conn, case = prepared, CASES[row.title]
    declared = declare(conn, tmp_path, row.spec)
    bring(conn, declared)
    assert notice(conn, declared.out) == "nobody"

    conn.execute(row.statement.encode())
    conn.execute(case.write.format(id=100).encode())
    assert read(conn) == SENT[row.sent]
    assert notice(conn, declared.out) == row.noticed

    steps = re.findall("`([^`]+)`", row.steps)
    assert bool(case.edit[0]) == row.steps.startswith("edit the route")
    if "generate" in steps:
        assert steps[:2] == ["inspect", "generate"]
        if row.noticed not in ("nobody", "`verify`: a note"):
            with pytest.raises(IncompleteError):
                bring(conn, declared)
        declared = declare(conn, tmp_path, row.spec.replace(*case.edit))
    for step in steps:
        if step.startswith("apply"):
            bring(conn, declared, prune="--prune" in step)
    assert notice(conn, declared.out) == "nobody"
    assert find_wrong(conn, declared) == []
    read(conn)
    conn.execute(case.write.format(id=101).encode())
    assert read(conn) == case.after


def test_a_filtered_dump_loads_without_the_schema_of_the_functions(
    prepared: Connection, database: str, bare_database: str, tmp_path: Path
) -> None:
    conn = prepared
    spec = GLOB.replace("    queue:", "    fire: always\n    capture: row\n    queue:")
    bring(conn, declare(conn, tmp_path, spec))
    (command,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    programs = Path(find_binary("pg_dump")).parent
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "DATABASE_URL": database}
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=environment)
    load = ["psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={tmp_path / 'structure.sql'}", bare_database]
    loaded = subprocess.run(load, env=environment, check=False, capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    with connect(bare_database) as other:
        tables = other.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace"
                               " AND relkind IN ('r', 'p')").fetchone()  # fmt: skip
        assert tables == (4,)
        assert other.execute("SELECT FROM pg_trigger WHERE NOT tgisinternal").fetchone() is None
