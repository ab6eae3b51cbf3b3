"""Hypertables, known from TimescaleDB's catalog.

Without the extension, the test makes the tables of that catalog, chunks that inherit, and the copies of
triggers that TimescaleDB makes on chunks.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.deployment import Declared, bring, declare, find_wrong

from changelane.errors import SpecError
from changelane.generator.render.sql_out import generate
from changelane.generator.spec.loading import read_spec
from changelane.runner.apply.destroy import plan_destroy
from changelane.runner.doctor.examine import examine
from changelane.runner.live.inspect import inspect
from changelane.runner.live.observe import observe

Connection = psycopg.Connection[TupleRow]

SCHEMA = """
CREATE SCHEMA _timescaledb_catalog;
CREATE SCHEMA _timescaledb_internal;
CREATE TABLE _timescaledb_catalog.hypertable (id int PRIMARY KEY, schema_name name, table_name name);
CREATE TABLE _timescaledb_catalog.chunk (id int, hypertable_id int, schema_name name, table_name name);
CREATE TABLE metrics (id int, at timestamptz NOT NULL, v float8, PRIMARY KEY (id, at));
CREATE SCHEMA parts;
CREATE TABLE parts._hyper_1_1_chunk (CHECK (id < 100)) INHERITS (metrics);
CREATE TABLE _timescaledb_internal._hyper_1_2_chunk (CHECK (id >= 100)) INHERITS (metrics);
INSERT INTO _timescaledb_catalog.hypertable VALUES (1, 'public', 'metrics');
INSERT INTO _timescaledb_catalog.chunk VALUES (1, 1, 'parts', '_hyper_1_1_chunk'),
    (2, 1, '_timescaledb_internal', '_hyper_1_2_chunk');
"""
SPEC = """
version: 1
project: shop
queues: {events: {}}
routes:
  - name: all
    tables: ["*.*"]
    events: [insert, update, delete]
    queue: events
"""
COPY = r"""
DO $$
DECLARE
    definition text;
    chunk text;
BEGIN
    FOREACH chunk IN ARRAY ARRAY['parts._hyper_1_1_chunk', '_timescaledb_internal._hyper_1_2_chunk'] LOOP
        FOR definition IN
            SELECT pg_get_triggerdef(oid) FROM pg_trigger
            WHERE tgrelid = 'metrics'::regclass AND NOT tgisinternal
        LOOP
            EXECUTE replace(definition, 'public.metrics', chunk);
        END LOOP;
    END LOOP;
END $$;
"""


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    conn.execute(SCHEMA.encode())
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    conn.execute(COPY.encode())
    return declared


def test_a_hypertable_is_captured_by_row_and_its_chunks_are_not_tables_of_their_own(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    assert [(table.name, table.kind, table.inherited_by) for table in inspect(conn).tables] == [
        ("metrics", "hypertable", ())
    ]
    assert {(c.table, c.level) for c in declared.manifest.captures} == {("metrics", "row")}
    (warning,) = generate(read_spec(tmp_path / "pipelines.yaml"), inspect(conn)).warnings
    assert "public.metrics is a hypertable" in warning.summary
    conn.execute("INSERT INTO parts._hyper_1_1_chunk VALUES (1, '2026-01-01', 0.5)")
    sent = conn.execute("SELECT message->>'schema', message->>'table' FROM pgmq.q_events").fetchall()
    assert sent == [("public", "metrics")]


def test_copies_of_triggers_on_chunks_are_no_difference(conn: Connection, declared: Declared) -> None:
    assert find_wrong(conn, declared) == []
    assert examine(conn, declared.manifest) == []
    planned = plan_destroy(
        "shop", observe(conn, declared.manifest), drop_queues=False, discard=(), messages={}
    )
    assert planned.problems == ()


def test_a_table_that_becomes_a_hypertable_is_told_by_verify(conn: Connection, tmp_path: Path) -> None:
    conn.execute(SCHEMA.encode())
    conn.execute("CREATE TABLE plain (id int PRIMARY KEY)")
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    conn.execute("INSERT INTO _timescaledb_catalog.hypertable VALUES (2, 'public', 'plain')")
    wrong = find_wrong(conn, declared)
    assert wrong
    assert all(line.startswith("blocked") and "all_" in line for line in wrong)
    bring(conn, declare(conn, tmp_path, SPEC))


def test_triggers_that_timescaledb_refuses_are_refused_beforehand(conn: Connection, tmp_path: Path) -> None:
    conn.execute(SCHEMA.encode())
    with pytest.raises(SpecError) as caught:
        declare(conn, tmp_path, SPEC.replace("    queue:", "    fire: always\n    queue:"))
    (problem,) = caught.value.diagnostics
    assert "is a hypertable, and TimescaleDB lets none of its triggers fire always" in problem.summary


@pytest.mark.parametrize(
    ("keys", "warned"),
    [
        ("fire: always", True),
        ("fire: replica", True),
        ("fire: origin", False),
        ("fire: always, capture: row", False),
    ],
)
def test_statement_triggers_that_replication_does_not_fire_are_warned_of(
    conn: Connection, tmp_path: Path, keys: str, warned: bool
) -> None:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    spec = (
        "version: 1\nproject: shop\nqueues: {events: {}}\nroutes:\n"
        f"  - {{name: all, table: public.orders, events: [insert, truncate], queue: events, {keys}}}\n"
    )
    declared = declare(conn, tmp_path, spec)
    warnings = generate(read_spec(tmp_path / "pipelines.yaml"), inspect(conn)).warnings
    assert [warning.code for warning in warnings] == ["CL307"] * warned
    planned = bring(conn, declared)
    reasons = [step.reason for step in planned.steps if step.kind == "trigger"]
    assert ["replication" in reason for reason in reasons].count(True) == warned
