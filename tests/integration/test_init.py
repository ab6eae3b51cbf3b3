from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.rows import TupleRow

from changelane.contract.catalog import Catalog, Table
from changelane.generator.capture.resolution import resolve
from changelane.generator.spec.json_schema import render_schema
from changelane.generator.spec.loading import read_spec
from changelane.generator.spec.starter import LARGE, LIMIT, draft
from changelane.generator.spec.well_known import is_bookkeeping
from changelane.generator.spec.yaml_source import REFUSED

Connection = psycopg.Connection[TupleRow]

SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.orders (id int, line int, note text, PRIMARY KEY (id, line));
INSERT INTO app.orders SELECT n, 1, repeat('x', 100) FROM generate_series(1, 12345) AS n;
CREATE TABLE app.log (at date) PARTITION BY RANGE (at);
CREATE TABLE app.log_2025 PARTITION OF app.log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE app.log_2026 PARTITION OF app.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE public.orders (id int PRIMARY KEY);
CREATE VIEW app.open AS SELECT * FROM app.orders;
CREATE TABLE app."x
routes: [] # ""evil"" '$$' é" ("Id" int PRIMARY KEY);
ANALYZE;
"""


HOSTILE = [
    *("a: b", "- x", "#", "*", "a*", "?", 'q"q', "'", "\\", "\t", "\n- {name: x}", "yes", "null", "1", "1e3"),
    *(
        " a ",
        "a.b",
        "%",
        "&x",
        "!!python/object",
        "{",
        "]",
        "|",
        ">",
        "```",
        "é😀",
        "=",
        "<<",
        "~",
        "$1",
        "A",
    ),
]


def uncomment(text: str, route: str = r"[^\n]*") -> str:
    """Remove the comment signs of a route's block, as a person does."""
    block = re.compile(rf"^  # - name: {route}\n(?:  #   .*\n)+", re.MULTILINE)
    return block.sub(lambda found: found[0].replace("  # ", "  "), text)


def test_a_route_of_the_written_file_works_once_uncommented(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    conn.execute(SCHEMA.encode())
    written = run_changelane("init")
    assert written.returncode == 0, written.stderr
    assert "pipelines.yaml: written, 4 routes, all switched off" in written.stdout
    spec = tmp_path / "pipelines.yaml"
    text = spec.read_text()
    assert "## app.orders: about 12,345 rows; 2 MB; key id, line\n" in text
    assert re.search(r"## app\.log: .*; 2 partitions; no primary key\n", text)
    assert "log_2025" not in text
    assert "Views and foreign tables are not listed (1)" in text
    assert read_spec(spec).spec.routes == ()

    spec.write_text(uncomment(text, "orders"))
    assert [route.table for route in read_spec(spec).spec.routes] == ["app.orders"]
    for command in (["inspect"], ["generate"], ["apply", "--yes"]):
        done = run_changelane(*command)
        assert done.returncode == 0, done.stderr
    tried = run_changelane("try", "DELETE FROM app.orders WHERE id = 7")
    assert '{"id": 7, "line": 1}' in tried.stdout

    spec.write_text(uncomment(text))
    document = read_spec(spec)
    assert {route.table for route in document.spec.routes} >= {"app.log", "public.orders"}
    assert run_changelane("validate", "--live").returncode == 0
    assert run_changelane("inspect").returncode == 0
    assert run_changelane("generate").returncode == 0
    applied = run_changelane("apply", "--yes")
    assert applied.returncode == 0, applied.stderr


def test_a_file_that_is_there_is_kept_unless_forced(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    spec = tmp_path / "pipelines.yaml"
    conn.execute("CREATE TABLE things (id int PRIMARY KEY)")
    spec.write_text("mine")
    refused = run_changelane("init")
    assert refused.returncode == 1
    assert refused.stderr == (
        "error: pipelines.yaml exists\n  fix: name another with --file, or overwrite it with --force\n"
    )
    assert spec.read_text() == "mine"
    assert run_changelane("init", "--force").returncode == 0
    assert read_spec(spec).spec.routes == ()


def test_the_project_is_named_after_the_folder_and_an_editor_finds_the_schema(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    conn.execute("CREATE TABLE things (id int PRIMARY KEY)")
    written = run_changelane("--file", "My Shop 2/lanes.yaml", "init")
    assert written.returncode == 0, written.stderr
    folder = tmp_path / "My Shop 2"
    first = (folder / "lanes.yaml").read_text().partition("\n")[0]
    assert first == "# yaml-language-server: $schema=./lanes.schema.json"
    assert (folder / "lanes.schema.json").read_text() == render_schema()
    assert read_spec(folder / "lanes.yaml").spec.project == "my_shop_2"


@pytest.mark.parametrize("objects", ["", "CREATE VIEW v AS SELECT 1 AS n"])
def test_a_database_without_tables_gets_no_file(
    conn: Connection, tmp_path: Path, run_changelane: Any, objects: str
) -> None:
    conn.execute(objects.encode())
    refused = run_changelane("init")
    assert refused.returncode == 1
    assert "has no table that can be captured; nothing was written\n  fix: create tables" in refused.stderr
    assert list(tmp_path.glob("*.yaml")) + list(tmp_path.glob("*.json")) == []


def test_a_folder_that_cannot_be_written_is_one_line(conn: Connection, run_changelane: Any) -> None:
    conn.execute("CREATE TABLE things (id int PRIMARY KEY)")
    refused = run_changelane("--file", "/proc/none/pipelines.yaml", "init")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: /proc/none/pipelines.yaml cannot be written: ")


names = st.text(min_size=1, max_size=20).filter(
    # Postgres keeps names that begin with pg_ for schemas of its own.
    lambda name: len(name.encode()) <= 63 and "\0" not in name and not name.startswith("pg_")
)


@settings(max_examples=150, deadline=None)
@given(
    pairs=st.lists(st.tuples(names, names), min_size=1, max_size=6, unique=True),
    database=st.text(min_size=1, max_size=63),
)
def test_any_name_is_written_unchanged(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], database: str
) -> None:
    check(tmp_path_factory.getbasetemp() / "init.yaml", pairs, database)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_written_unchanged(tmp_path: Path, name: str) -> None:
    check(tmp_path / "init.yaml", [("public", name), (name, name), (name, "t")], name)


def check(path: Path, pairs: list[tuple[str, str]], database: str) -> None:
    """With every route uncommented, the spec names exactly the tables that a spec can name."""
    tables = [Table(schema_=schema, name=name, primary_key=(name,)) for schema, name in pairs]
    catalog = Catalog(tables=tuple(tables))
    text = draft(catalog, project=database, database=database, schema="init.schema.json", sizes={})
    path.write_text(text, encoding="utf-8", newline="\n")
    assert read_spec(path).spec.routes == ()
    path.write_text(uncomment(text), encoding="utf-8", newline="\n")
    document = read_spec(path)
    assert len({route.name for route in document.spec.routes}) == len(document.spec.routes)
    expected = {
        table.identity
        for table in tables
        if not REFUSED.search("".join(table.identity)) and not is_bookkeeping(table)
    }
    captured = {capture.table.identity for capture in resolve(document, catalog).captures}
    assert captured == expected


def test_more_tables_than_a_spec_can_hold_are_cut_off_and_said_to_be(tmp_path: Path) -> None:
    tables = tuple(Table(schema_="public", name=f'{"é" * 20}"{number}') for number in range(LIMIT + 20))
    text = draft(Catalog(tables=tables), project="app", database="app", schema="s.json", sizes={})
    assert "20 further tables are not listed" in text
    path = tmp_path / "pipelines.yaml"
    path.write_text(uncomment(text), encoding="utf-8")
    assert len(read_spec(path).spec.routes) == LIMIT + 1, "and one over a glob"


def test_the_relay_that_the_file_shows_is_valid(tmp_path: Path) -> None:
    tables = (Table(schema_="public", name="orders", primary_key=("id",)),)
    text = draft(Catalog(tables=tables), project="app", database="app", schema="s.json", sizes={})
    relay = re.search(r"`(relay: .*)`", text)
    engine = re.search(r"## (destinations: .*)", text)
    assert relay
    assert engine
    text = text.replace("consumers:", f"consumers:\n  app_changes: {{{relay[1]}}}") + f"\n{engine[1]}\n"
    path = tmp_path / "pipelines.yaml"
    path.write_text(uncomment(text), encoding="utf-8")
    assert read_spec(path).spec.consumers["app_changes"].relay is not None


def test_a_large_schema_gets_a_glob_without_bookkeeping_and_secrets(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    for number in range(LARGE):
        conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, v text)".encode())
    conn.execute(
        "CREATE TABLE schema_migrations (version text PRIMARY KEY);"
        'CREATE TABLE "__EFMigrationsHistory" ("MigrationId" text PRIMARY KEY);'
        'CREATE TABLE users (id int PRIMARY KEY, email text, password_digest text, "apiKey" text,'
        " password_changed_at timestamptz, has_token boolean, pinned text);"
        "CREATE TABLE sessions (token text PRIMARY KEY, opened text)"
    )
    assert run_changelane("init").returncode == 0
    spec = tmp_path / "pipelines.yaml"
    text = spec.read_text()
    assert "Bookkeeping of migration tools is not listed" in text
    assert "- name: schema_migrations" not in text
    assert "looks secret: password_digest, apiKey\n" in text
    assert "looks secret: token\n" in text
    spec.write_text(uncomment(text, "all_public"))
    (route,) = read_spec(spec).spec.routes
    assert route.tables == ("public.*",)
    assert set(route.except_) == {"public.schema_migrations", "public.__EFMigrationsHistory"}
    assert route.payload.reviewed
    assert set(route.payload.exclude) == {"password_digest", "apiKey"}
    for command in (["inspect"], ["generate"], ["apply", "--yes"], ["verify"]):
        done = run_changelane(*command)
        assert done.returncode == 0, done.stderr + done.stdout
    conn.execute("INSERT INTO users VALUES (1, 'a@b.example', 'digest', 'key')")
    conn.execute("INSERT INTO schema_migrations VALUES ('1')")
    ((message,),) = conn.execute("SELECT message->'new' FROM pgmq.q_" + route.queues[0]).fetchall()
    assert set(message) == {"id", "email", "password_changed_at", "has_token", "pinned"}
    spec.write_text(uncomment(text))
    assert run_changelane("generate").returncode == 0
