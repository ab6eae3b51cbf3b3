"""Random schema migrations under a glob: nothing is lost or doubled while `verify` says that all is well.

CHANGELANE_MIGRATIONS is how many programs of migrations are run; a failure names its seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.deployment import Declared, bring, declare

from changelane.errors import IncompleteError, PreflightError
from changelane.runner.apply.plan import plan
from changelane.runner.live.observe import observe

Connection = psycopg.Connection[TupleRow]
Identity = tuple[str, str]

TOTAL = int(os.environ.get("CHANGELANE_MIGRATIONS", "12"))
STEPS = 7
NAMES = ("a", "b", "c", "d", "e_audit")
SPEC = """
version: 1
project: shop
queues: {"Ev %s ents": {}}
routes:
  - name: all
    tables: ["app.*"]
    except: ["*_audit"]
    events: [insert, update, delete]
    queue: "Ev %s ents"
"""
LIST = """
SELECT n.nspname::text, c.relname::text, c.relkind::text, c.relispartition, c.oid::int,
    (SELECT i.inhparent::int FROM pg_inherits AS i WHERE i.inhrelid = c.oid),
    substring(pg_get_expr(c.relpartbound, c.oid) FROM '[0-9]+')::int
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('app', 'attic') AND c.relkind IN ('r', 'p') AND c.relname <> 'anchor'
ORDER BY 1, 2
"""


class Live:
    """The tables as Postgres has them now; an oracle of its own for what each is to send."""

    def __init__(self, conn: Connection) -> None:
        rows = conn.execute(LIST.encode()).fetchall()
        self.tables = {
            oid: {
                "identity": (schema, name),
                "kind": kind,
                "partition": partition,
                "parent": parent,
                "start": start,
            }
            for schema, name, kind, partition, oid, parent, start in rows
        }

    def list_identities(self, **wanted: object) -> list[Identity]:
        return [
            table["identity"]
            for table in self.tables.values()
            if all(table[key] == value for key, value in wanted.items())
        ]

    def is_declared(self, table: dict[str, Any]) -> bool:
        schema, name = table["identity"]
        return schema == "app" and not name.endswith("_audit") and not table["partition"]

    def expect(self, table: dict[str, Any]) -> list[Identity]:
        """The tables under whose names a direct write is sent: the table itself, or declared parents."""
        partition = table["partition"]
        while table["partition"]:
            table = self.tables[table["parent"]]
        if self.is_declared(table):
            return [table["identity"]]
        _, name = table["identity"]
        parent = self.tables.get(table["parent"])
        inherits = not partition and parent is not None and not name.endswith("_audit")
        return [parent["identity"]] if inherits and parent and self.is_declared(parent) else []

    def probe(self, conn: Connection) -> list[str]:
        """Every table whose write sends the wrong messages, with the sent and the expected ones."""
        wrong = []
        for table in self.tables.values():
            if table["kind"] == "p":
                continue
            schema, name = table["identity"]
            with conn.transaction(force_rollback=True):
                conn.execute(f'INSERT INTO "{schema}"."{name}" (id) VALUES ({table["start"] or 1})'.encode())
                rows = conn.execute(
                    "SELECT message->>'schema', message->>'table' FROM pgmq.\"q_ev %s ents\""
                ).fetchall()
            if sorted(rows) != self.expect(table):
                wrong.append(f"{schema}.{name} sends {sorted(rows)} instead of {self.expect(table)}")
        return wrong


def draw(random: Random, live: Live, number: int) -> str:
    """Run a migration, which may not suit the schema and fail."""

    def choose(**wanted: object) -> str:
        found = live.list_identities(**wanted)
        return ".".join(random.choice(found)) if found else "app.none"

    schema, name = random.choice(("app", "app", "attic")), random.choice(NAMES)
    start = 1000 * number
    one, other = choose(), choose()
    forms: list[Callable[[], str]] = [
        lambda: f"CREATE TABLE {schema}.{name} (id int{random.choice(('', ' PRIMARY KEY'))}, v text)",
        lambda: f"CREATE TABLE {schema}.{name} (id int, v text) PARTITION BY RANGE (id)",
        lambda: (
            f"CREATE TABLE {schema}.{name} PARTITION OF {choose(kind='p')}"
            f" FOR VALUES FROM ({start}) TO ({start + 999})"
        ),
        lambda: (
            f"ALTER TABLE {choose(kind='p')} ATTACH PARTITION {choose(kind='r', partition=False)}"
            f" FOR VALUES FROM ({start}) TO ({start + 999})"
        ),
        lambda: f"ALTER TABLE {choose(kind='p')} DETACH PARTITION {choose(partition=True)}",
        lambda: f"DROP TABLE {one}",
        lambda: f"ALTER TABLE {one} RENAME TO {name}",
        lambda: f"ALTER TABLE {one} SET SCHEMA {random.choice(('app', 'attic'))}",
        lambda: (
            f"ALTER TABLE {one} RENAME TO swap; ALTER TABLE {other} RENAME TO {one.split('.')[1]};"
            f" ALTER TABLE {one.split('.')[0]}.swap RENAME TO {other.split('.')[1]}"
        ),
        lambda: f"CREATE TABLE {schema}.{name} () INHERITS ({choose(kind='r', parent=None)})",
        lambda: f"ALTER TABLE {choose(partition=False)} NO INHERIT {choose(kind='r', parent=None)}",
        lambda: f"ALTER TABLE {one} ADD COLUMN c{number} text",
        lambda: f"ALTER TABLE {one} DROP COLUMN v",
        lambda: f"ALTER TABLE {one} DROP CONSTRAINT {one.split('.')[1]}_pkey",
        lambda: f"ALTER TABLE {choose(kind='r')} DISABLE TRIGGER USER",
        lambda: f"TRUNCATE {one}",
    ]
    return random.choice(forms)()


def check(conn: Connection, folder: Path, seed: int) -> None:
    random = Random(seed)
    conn.execute(
        "DROP SCHEMA IF EXISTS app, attic, changelane CASCADE; CREATE SCHEMA app; CREATE SCHEMA attic"
    )
    conn.execute(
        "CREATE TABLE app.anchor (id int PRIMARY KEY); CREATE TABLE app.a (id int PRIMARY KEY, v text)"
    )
    conn.execute("CREATE TABLE app.p (id int, v text) PARTITION BY RANGE (id)")
    declared = declare(conn, folder, SPEC)
    bring(conn, declared)
    done: list[str] = []
    for number in range(1, STEPS + 1):
        for _ in range(random.randint(1, 2)):
            migration = draw(random, Live(conn), number * 10 + len(done))
            try:
                with conn.transaction():
                    conn.execute(migration.encode())
                done.append(migration)
            except psycopg.Error:
                continue
        told = f"seed {seed}: {done}"
        if random.random() < 0.3:
            apply_stale(conn, declared)
        if not plan(declared.manifest, observe(conn, declared.manifest)).differences:
            assert Live(conn).probe(conn) == [], f"{told}, and verify says that all is well"
        if random.random() < 0.5:
            declared = declare(conn, folder, SPEC)
            bring(conn, declared, prune=True)
            assert plan(declared.manifest, observe(conn, declared.manifest)).differences == (), told
            assert Live(conn).probe(conn) == [], told


def apply_stale(conn: Connection, declared: Declared) -> None:
    """Apply files that were generated before the migrations, as a deploy may do."""
    try:
        bring(conn, declared)
    except (IncompleteError, PreflightError):
        assert plan(declared.manifest, observe(conn, declared.manifest)).differences


@pytest.mark.parametrize("part", range(2))
def test_nothing_is_lost_or_doubled_while_verify_says_that_all_is_well(
    conn: Connection, tmp_path: Path, part: int
) -> None:
    conn.execute("SET client_min_messages = warning")
    begin = int(os.environ.get("CHANGELANE_SEED", Random().randrange(10**9)))
    for seed in range(begin + part, begin + part + TOTAL, 2):
        check(conn, tmp_path, seed)
