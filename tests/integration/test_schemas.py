"""Whole schemas like those of known applications, from init to destroy."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import namedtuple_row
from support.deployment import Declared, bring, declare, find_wrong
from support.known_schemas import SCHEMAS, Schema

from changelane.generator.spec.loading import read_spec
from changelane.generator.spec.starter import draft
from changelane.runner.apply.destroy import destroy
from changelane.runner.apply.plan import plan
from changelane.runner.compare.orphans import find_remains
from changelane.runner.live.inspect import inspect
from changelane.runner.live.observe import observe
from changelane.runner.live.table_sizes import measure_tables

Connection = psycopg.Connection[Any]

SPEC = """
version: 1
project: {name}
queues: {{changes: {{}}}}
routes:
  - {{name: all, tables: ["app.*"], events: [insert, update, delete], queue: changes{capture}}}
"""
SHAPE = (Path(__file__).parent.parent / "support" / "schema_shape.sql").read_bytes()
LEFT = """
SELECT kind, name FROM (
    SELECT 'trigger', tgrelid::regclass || ' ' || tgname || ' ' || pg_get_triggerdef(oid) FROM pg_trigger
    UNION ALL SELECT 'function', oid::regprocedure::text || ' ' || prosrc FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'relation', relnamespace::regnamespace || '.' || relname FROM pg_class WHERE oid >= 16384
        AND relnamespace <> 'pg_toast'::regnamespace
    UNION ALL SELECT 'schema', nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
) AS thing (kind, name) ORDER BY kind, name
"""


class Writer:
    """Random statements on every table of schema app, which the constraints allow in most cases."""

    def __init__(self, conn: Connection, seed: int) -> None:
        self.conn = conn
        self.random = Random(seed)

    def write(self, rounds: int) -> int:
        """Statements that wrote; each table gets so many tries. Raises psycopg.Error where one fails."""
        tables: dict[str, list[Any]] = defaultdict(list)
        with self.conn.cursor(row_factory=namedtuple_row) as cursor:
            for column in cursor.execute(SHAPE):
                tables[column[0]].append(column)
        written = 0
        for _ in range(rounds):
            for table, columns in tables.items():
                try:
                    written += self.conn.execute(self.draw(table, columns).encode()).rowcount > 0
                except (errors.UniqueViolation, errors.CheckViolation):
                    # The application's own mistake: the statement failed, so there is no change to capture.
                    continue
        return written

    def draw(self, table: str, columns: list[Any]) -> str:
        pick = self.random.random()
        some = f"(hashtext(shown::text) + {self.random.randrange(9)}) % 3 = 0"
        free = [column for column in columns if not column.key]
        if pick < 0.5 or (pick < 0.85 and not free):
            rows = ", ".join(
                f"({', '.join(self.value(column) for column in columns)})"
                for _ in range(self.random.choice((1, 1, 3)))
            )
            names = ", ".join(column.column for column in columns)
            return f"INSERT INTO {table} ({names}) VALUES {rows} ON CONFLICT DO NOTHING"
        if pick < 0.85:
            chosen = self.random.sample(free, min(len(free), 2))
            values = ", ".join(f"{column.column} = {self.value(column)}" for column in chosen)
            return f"UPDATE {table} AS shown SET {values} WHERE {some}"
        return f"DELETE FROM {table} AS shown WHERE {some}"

    def value(self, column: Any) -> str:
        number = self.random.randrange(9)
        if column.kind == "e":
            return f"'{self.random.choice(column.labels)}'"
        if column.kind == "c":
            return f"'({','.join('a' * column.fields)})'"
        if column.base.startswith("_"):
            return "'{}'"
        return {
            "int2": f"{number}", "int4": f"{number + 2000 if column.type == 'year' else number}",
            "int8": f"{number}", "numeric": f"{number}.5", "float8": f"{number / 4}",
            "bool": str(number > 4), "date": f"'2026-0{1 + number % 5}-1{number}'",
            "timestamp": f"'2026-01-02 03:04:0{number}.5'",
            "timestamptz": f"'2026-01-02 03:04:0{number}.25+02'",
            "interval": f"'{number} days 1 hour'", "uuid": f"'00000000-0000-0000-0000-00000000000{number}'",
            "jsonb": f"'{{\"n\": {number}.50, \"t\": \"ü\"}}'", "inet": f"'10.0.0.{number}'",
            "cidr": f"'10.0.{number}.0/24'", "bytea": f"'\\x0{number}ff'", "tsvector": f"'a{number} b'",
            "tstzrange": f"'[2026-01-01, 2026-01-1{number})'", "ltree": f"'a.b{number}'",
        }.get(column.base, f"'a''{number}\"ü'")  # fmt: skip


def check_shadow(conn: Connection, declared: Declared) -> int:
    """The sum of all messages of a table is the table. Returns how many messages there were."""
    for schema, table in {capture.identity for capture in declared.manifest.captures}:
        name = f'{schema}."{table}"'
        partitioned = conn.execute(
            "SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass", [name]
        ).fetchone()
        only = "" if partitioned == (True,) else "ONLY "
        difference = conn.execute(
            f"""
            WITH side AS (
                SELECT nullif(message -> part, 'null') AS row, amount
                FROM pgmq.q_changes, (VALUES ('new', 1), ('old', -1)) AS parts (part, amount)
                WHERE message ->> 'table' = $${table}$$
            ), shadow AS (
                SELECT jsonb_populate_record(NULL::{name}, row)::text AS row, amount
                FROM side
                WHERE row IS NOT NULL
                UNION ALL
                SELECT shown::text, -1 FROM {only}{name} AS shown
            )
            SELECT row, sum(amount) FROM shadow GROUP BY row HAVING sum(amount) <> 0
            """.encode()
        ).fetchall()
        assert difference == [], f"{name}: {difference[:3]}"
    (found,) = conn.execute("SELECT count(*)::int FROM pgmq.q_changes").fetchone() or (0,)
    return int(found)


def empty(conn: Connection, declared: Declared) -> None:
    """Tables and queue, none of which is sent."""
    for schema, table in {capture.identity for capture in declared.manifest.captures}:
        conn.execute(f'TRUNCATE {schema}."{table}"'.encode())
    conn.execute("TRUNCATE pgmq.q_changes")


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_a_schema_is_captured_through_its_migrations_and_left_as_it_was(
    conn: Connection, tmp_path: Path, schema: Schema
) -> None:
    conn.execute("SET client_min_messages = warning; CREATE SCHEMA app")
    for statement in schema.create():
        conn.execute(statement.encode())
    with conn.transaction(force_rollback=True):
        for migration in schema.migrations:
            conn.execute(migration.encode())
        untouched = conn.execute(LEFT).fetchall()

    # A first spec is valid as it is, and with all of its routes switched on.
    path = tmp_path / "first.yaml"
    tables = measure_tables(conn)
    sizes = {(size.schema, size.name): (size.rows, size.bytes, size.partitions) for size in tables}
    first = draft(
        inspect(conn), project=schema.name, database=schema.name, schema="first.schema.json", sizes=sizes
    )
    for text in (first, re.sub(r"(?m)^  # ", "  ", first)):
        path.write_text(text)
        read_spec(path)

    spec = SPEC.format(name=schema.name, capture=schema.capture)
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    assert plan(declared.manifest, observe(conn, declared.manifest)).steps == ()
    writer = Writer(conn, seed=len(schema.name))
    assert writer.write(6) > len(schema.tables)
    assert check_shadow(conn, declared) > len(schema.tables)

    for migration in schema.migrations:
        conn.execute(migration.encode())
        writer.write(1)
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared, prune=True)
    assert find_wrong(conn, declared) == []
    empty(conn, declared)
    writer.write(4)
    assert check_shadow(conn, declared) > len(schema.tables)

    silent: dict[str, Any] = {
        "confirm": lambda planned: None,
        "report": lambda step: None,
        "notify": lambda message: None,
    }
    destroy(conn, declared.manifest, drop_queues=True, discard=["changes"], **silent)
    assert list(find_remains(declared.manifest.project, observe(conn, declared.manifest))) == []
    assert conn.execute(LEFT).fetchall() == untouched
