"""Dumps and diffs that other tools make of an applied database, run on a fresh one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.api_roles import lend_roles
from support.deployment import Declared, bring, declare, find_wrong

from changelane.runner.doctor.examine import examine
from changelane.runner.live.database import connect
from changelane.runner.live.observe import observe
from changelane.runner.local import binaries

Connection = psycopg.Connection[TupleRow]

TABLE = "CREATE TABLE public.orders (id int PRIMARY KEY, status text, body text, days daterange)"
SPEC = """
version: 1
project: shop
api: true
queues:
  jobs:
    access:
      - {{role: {client}, allow: [send, read, archive]}}
routes:
  - {{name: orders, table: public.orders, events: [insert, update, delete, truncate], queue: jobs}}
  - name: rows
    table: public.orders
    events: [insert, delete]
    capture: row
    fire: always
    send: inline
    when: coalesce(new.status, old.status) <> ''
    payload: {{mask: {{body: sha256}}, max_bytes: 10 kB}}
    queue: jobs
consumers:
  jobs: {{handler: handlers:on_change}}
"""
GRANTS = """
    SELECT format('GRANT %s ON %I.%I TO "%s"', privilege_type, table_schema, table_name, grantee)
    FROM information_schema.role_table_grants
    WHERE table_schema IN ('changelane', 'public', 'pgmq_public')
"""
"""As migra repeats them, which knows no PUBLIC."""


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Iterator[Declared]:
    with lend_roles(conn, ["client"]) as roles:
        conn.execute(TABLE)
        declared = declare(conn, tmp_path, SPEC.format(**roles))
        bring(conn, declared)
        assert find_wrong(conn, declared) == []
        yield declared


@pytest.fixture
def other(declared: Declared, database: str, server: str, template: str) -> Iterator[str]:
    """A database with pgmq and nothing else; gone before the roles that its objects name."""
    from support.databases import lend

    yield from lend(server, template)


def dump(database: str, *options: str) -> str:
    done = subprocess.run(
        [binaries.find_binary("pg_dump"), *options, "--dbname", database],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout


def load(script: str, database: str) -> None:
    subprocess.run(
        [binaries.find_binary("psql"), "-q", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", database],
        input=script, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip


def count(conn: Connection) -> int:
    row = conn.execute("SELECT count(*) FROM pgmq.q_jobs").fetchone()
    assert row is not None
    return int(row[0])


def write_rows(conn: Connection) -> int:
    """Change rows; returns how many messages that sent."""
    before = count(conn)
    conn.execute("INSERT INTO orders SELECT n, 'paid', 'b', NULL FROM generate_series(1, 3) AS n")
    conn.execute("UPDATE orders SET status = 'x'")
    conn.execute("DELETE FROM orders")
    return count(conn) - before


def migrate(conn: Connection, database: str, other: str) -> None:
    """Give another database the tables, functions and triggers as ``supabase db diff`` does.

    Measured on migra 3.0: it drops comments and rights on functions and schemas, leaves out schema pgmq, and
    quotes the names of all whom tables are granted to. The functions are then PUBLIC's to execute.
    """
    # The template has schema public.
    load(dump(database, "--schema-only", "--no-comments", "--no-privileges", "--exclude-schema=pgmq"), other)
    grants = conn.execute(GRANTS.encode()).fetchall()
    with connect(other) as fresh:
        for (grant,) in grants:
            fresh.execute(grant.encode())


def test_a_diff_is_adopted_by_name_and_body(
    conn: Connection, declared: Declared, database: str, other: str
) -> None:
    migrate(conn, database, other)
    with connect(other) as fresh:
        # The dump does not contain the queue.
        with pytest.raises(psycopg.errors.UndefinedTable):
            fresh.execute("INSERT INTO orders (id) VALUES (1)")
        gone = [finding for finding in examine(fresh, declared.manifest) if finding.code == "queue-gone"]
        assert {finding.what.split()[1].strip(chr(34)) for finding in gone} == {
            capture.trigger_name for capture in declared.manifest.captures
        }
        fresh.execute("SELECT pgmq.create('jobs')")
        assert write_rows(fresh) == 15
        states = {line.split()[0] for line in find_wrong(fresh, declared)}
        assert states <= {"drifted", "missing", "outdated"}
        bring(fresh, declared)
        assert find_wrong(fresh, declared) == []
        assert write_rows(fresh) == 15
        assert bring(fresh, declared).steps == ()


def test_an_older_diff_is_brought_to_what_is_declared_now(
    conn: Connection, declared: Declared, database: str, other: str, tmp_path: Path
) -> None:
    migrate(conn, database, other)
    spec = (tmp_path / "pipelines.yaml").read_text()
    changed = declare(conn, tmp_path, spec.replace("max_bytes: 10 kB", "old: changed"))
    with connect(other) as fresh:
        bring(fresh, changed)
        assert find_wrong(fresh, changed) == []
        assert write_rows(fresh) == 15


@pytest.mark.parametrize(
    "options", [(), ("--no-comments",), ("--no-comments", "--no-privileges", "--no-owner")]
)
def test_a_dump_of_everything_is_ours_again(
    declared: Declared, database: str, bare_database: str, options: tuple[str, ...]
) -> None:
    load(dump(database, *options), bare_database)
    with connect(bare_database) as restored:
        assert write_rows(restored) == 15
        bring(restored, declared)
        assert find_wrong(restored, declared) == []
        assert write_rows(restored) == 15
        marks = [queue.marker for queue in observe(restored, declared.manifest).queues.values()]
        assert [mark and mark.project for mark in marks] == ["shop", "shop"]


def test_a_structure_sql_of_rails_is_brought_to_what_is_declared(
    conn: Connection, declared: Declared, database: str, bare_database: str, tmp_path: Path
) -> None:
    schedule = "schedules:\n  tick: {every: 365 days, queue: jobs}\n"
    declared = declare(conn, tmp_path, (tmp_path / "pipelines.yaml").read_text() + schedule)
    bring(conn, declared)
    # As ActiveRecord's PostgreSQLDatabaseTasks calls it. Rows, such as those of pgmq.meta, are not in it.
    load(dump(database, "--schema-only", "--no-privileges", "--no-owner"), bare_database)
    with connect(bare_database) as fresh:
        assert write_rows(fresh) == 15
        wrong = set(find_wrong(fresh, declared))
        assert wrong > {"missing queue jobs", "missing schedule tick", "drifted api pgmq_public"}
        assert {"missing access", "drifted function"} < {" ".join(line.split()[:2]) for line in wrong}
        found = {finding.code: finding.what for finding in examine(fresh, declared.manifest)}
        assert set(found) == {"queue-unlisted", "api-changed"}
        assert "queue jobs " in found["queue-unlisted"]
        bring(fresh, declared)
        assert find_wrong(fresh, declared) == []
        assert bring(fresh, declared).steps == ()
        assert examine(fresh, declared.manifest) == []
        assert write_rows(fresh) == 15
        assert count(fresh) == 30


def test_objects_that_an_update_of_pgmq_drops_are_named_and_made_again(
    conn: Connection, declared: Declared
) -> None:
    # As its script to 1.10.0 does, to make the type with one more column.
    conn.execute("SET client_min_messages = warning; DROP TYPE pgmq.message_record CASCADE; RESET ALL")
    conn.execute(
        "CREATE TYPE pgmq.message_record AS (msg_id bigint, read_ct integer, enqueued_at timestamptz,"
        " last_read_at timestamptz, vt timestamptz, message jsonb, headers jsonb)"
    )
    assert find_wrong(conn, declared) == ["drifted api pgmq_public"]
    assert "api-changed" in {finding.code for finding in examine(conn, declared.manifest)}
    assert write_rows(conn) == 15
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    assert "api-changed" not in {finding.code for finding in examine(conn, declared.manifest)}
