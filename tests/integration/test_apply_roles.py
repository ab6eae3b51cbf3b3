"""Apply by roles with few rights, and destroy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.applying import bring, depth, states
from support.manifest_by_hand import Sample

Connection = psycopg.Connection[TupleRow]
NAME = "shop_paid_orders_insert"


@pytest.fixture
def tables(conn: Connection) -> None:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    conn.execute("CREATE TABLE parcels (id int PRIMARY KEY)")


@pytest.fixture
def role(conn: Connection) -> Iterator[str]:
    """A role that may log in and owns nothing."""
    name = f"deploy_{time.monotonic_ns()}"
    conn.execute(f'CREATE ROLE "{name}" LOGIN'.encode())
    yield name
    conn.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"'.encode())


def test_a_role_that_may_not_install_pgmq_is_told_so_with_all_the_rest(
    bare_database: str, tmp_path: Path, run_changelane: Any, sample: Sample
) -> None:
    sample.save(tmp_path / "sql_out")
    with psycopg.connect(bare_database, autocommit=True) as owner:
        name = f"deploy_{time.monotonic_ns()}"
        owner.execute(f"CREATE ROLE {name} LOGIN".encode())
        owner.execute("CREATE TABLE orders (id int, status text)")
        try:
            refused = run_changelane(
                "apply", env={"DATABASE_URL": bare_database, "PGOPTIONS": f"-c role={name}"}
            )
        finally:
            owner.execute(f"DROP ROLE {name}".encode())
        assert refused.returncode == 1
        assert f"role {name} may not install pgmq" in refused.stderr
        assert f"role {name} may not create schema changelane" in refused.stderr
        assert f"role {name} may not make triggers on public.orders" in refused.stderr
        assert "nothing was changed" in refused.stderr


@pytest.mark.usefixtures("tables")
def test_a_role_that_may_not_even_look_at_pgmq_is_told_so_with_all_the_rest(
    conn: Connection, sample: Sample, tmp_path: Path, run_changelane: Any, role: str
) -> None:
    conn.execute(
        'CREATE SCHEMA "my app"; CREATE TABLE "my app".lines (id int); '
        "CREATE TABLE days (id int, day date) PARTITION BY RANGE (day); "
        "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
    )
    for table in ("orders", "days", '"my app".lines'):
        conn.execute(f"ALTER TABLE {table} OWNER TO {role}".encode())
    sample.capture("lined", table="my app.lines").capture("dated", table="public.days")
    sample.save(tmp_path / "sql_out")
    refused = run_changelane("apply", "--yes", env={"PGOPTIONS": f"-c role={role}"})
    assert refused.returncode == 1
    assert f"schema pgmq: it is there, and not visible to role {role}" in refused.stderr
    assert f"role {role} may not create schema changelane" in refused.stderr
    assert f"role {role} may not use schema my app, in which table lines is" in refused.stderr
    assert f"role {role} may not make triggers on partitions of public.days: public.days_1" in refused.stderr
    assert "4 problems found; nothing was changed" in refused.stderr
    assert run_changelane("verify", env={"PGOPTIONS": f"-c role={role}"}).returncode == 2
    for statement in (
        "GRANT ALL ON SCHEMA pgmq TO {}",
        "GRANT ALL ON ALL TABLES IN SCHEMA pgmq TO {}",
        "CREATE SCHEMA changelane AUTHORIZATION {}",
        'GRANT USAGE ON SCHEMA "my app" TO {}',
        "GRANT TRIGGER ON days_1 TO {}",
    ):
        conn.execute(statement.format(role).encode())
    applied = run_changelane("apply", "--yes", env={"PGOPTIONS": f"-c role={role}"})
    assert applied.returncode == 0, applied.stderr
    conn.execute("INSERT INTO days_1 VALUES (1, '2026-01-05')")
    assert depth(conn) == 1


def test_missing_pgmq_is_installed_by_a_role_that_may(
    bare_database: str, tmp_path: Path, run_changelane: Any, sample: Sample
) -> None:
    sample.save(tmp_path / "sql_out")
    with psycopg.connect(bare_database, autocommit=True) as owner:
        owner.execute("CREATE TABLE orders (id int, status text)")
        applied = run_changelane("apply", "--yes", env={"DATABASE_URL": bare_database})
        assert applied.returncode == 0, applied.stderr
        assert "+ schema pgmq" in applied.stdout
        assert states(owner, sample) == set()


@pytest.mark.usefixtures("tables")
def test_a_plain_role_that_owns_its_tables_can_apply(
    conn: Connection, tmp_path: Path, run_changelane: Any, sample: Sample, role: str
) -> None:
    for statement in (
        "ALTER TABLE orders OWNER TO {}",
        "GRANT CREATE ON SCHEMA public TO {}",
        "CREATE SCHEMA changelane AUTHORIZATION {}",
        "GRANT ALL ON SCHEMA pgmq TO {}",
        "GRANT ALL ON ALL TABLES IN SCHEMA pgmq TO {}",
    ):
        conn.execute(statement.format(role).encode())
    sample.save(tmp_path / "sql_out")
    applied = run_changelane("apply", "--yes", env={"PGOPTIONS": f"-c role={role}"})
    assert applied.returncode == 0, applied.stderr
    conn.execute("INSERT INTO orders VALUES (1, 'paid')")
    assert depth(conn) == 1
    destroyed = run_changelane(
        "destroy",
        "--yes",
        "--drop-queues",
        "--discard-messages",
        "events",
        env={"PGOPTIONS": f"-c role={role}"},
    )
    assert destroyed.returncode == 0, destroyed.stderr
    assert "which role" in destroyed.stdout
    assert conn.execute("SELECT FROM pgmq.meta").fetchone() is None


@pytest.mark.usefixtures("tables")
def test_destroy_keeps_messages_unless_their_queue_is_named(
    conn: Connection, tmp_path: Path, run_changelane: Any, sample: Sample
) -> None:
    bring(conn, sample)
    sample.save(tmp_path / "sql_out")
    conn.execute("SELECT pgmq.create('mine')")
    conn.execute("INSERT INTO orders VALUES (1, 'paid')")
    refused = run_changelane("destroy", "--yes", "--drop-queues")
    assert refused.returncode == 1
    assert "queue events holds 1 message and 0 archived" in refused.stderr
    assert states(conn, sample) == set()
    conn.execute("SELECT pgmq.archive('events', 1)")
    refused = run_changelane("destroy", "--yes", "--drop-queues", "--discard-messages", "mine")
    assert refused.returncode == 1
    assert "queue events holds 0 messages and 1 archived" in refused.stderr
    assert "project shop owns no queue mine" in refused.stderr
    named = run_changelane("destroy", "--yes", "--drop-queues", "--discard-messages", "events")
    assert named.returncode == 0, named.stderr
    assert "0 messages and 1 archived will be lost" in named.stdout
    assert [row[0] for row in conn.execute("SELECT queue_name FROM pgmq.meta")] == ["mine"]


@pytest.mark.usefixtures("tables")
def test_destroy_never_drops_a_queue_that_was_there_before(
    conn: Connection, tmp_path: Path, run_changelane: Any, sample: Sample
) -> None:
    conn.execute("SELECT pgmq.create('events')")
    bring(conn, sample)
    sample.save(tmp_path / "sql_out")
    assert run_changelane("destroy", "--yes", "--drop-queues").returncode == 0
    assert depth(conn) == 0


@pytest.mark.usefixtures("tables")
def test_destroy_takes_orphans_and_waits_for_locks_as_apply_does(
    conn: Connection, database: str, tmp_path: Path, run_changelane: Any, sample: Sample
) -> None:
    bring(conn, Sample().queue("events").capture().capture("old", table="public.parcels"))
    sample.save(tmp_path / "sql_out")
    with psycopg.connect(database, application_name="reader") as other:
        other.execute("SELECT FROM parcels")
        stopped = run_changelane("destroy", "--yes", "--max-wait", "100ms")
        assert stopped.returncode == 75
        assert "(reader" in stopped.stderr
        other.rollback()
    assert run_changelane("destroy", "--yes").returncode == 0
    assert conn.execute("SELECT FROM pg_trigger WHERE NOT tgisinternal").fetchone() is None


@pytest.mark.usefixtures("tables")
def test_destroy_refuses_where_a_strange_trigger_calls_its_function(
    conn: Connection, tmp_path: Path, run_changelane: Any, sample: Sample
) -> None:
    bring(conn, sample)
    sample.save(tmp_path / "sql_out")
    conn.execute(
        "CREATE TRIGGER mine AFTER INSERT ON parcels "
        f"FOR EACH ROW EXECUTE FUNCTION changelane.{NAME}()".encode()
    )
    refused = run_changelane("destroy", "--yes")
    assert refused.returncode == 1
    assert "trigger mine on public.parcels calls" in refused.stderr
    assert states(conn, sample) == {("trigger", "foreign")}
