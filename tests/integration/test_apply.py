from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.applying import bring, depth, states
from support.manifest_by_hand import Sample

from changelane.errors import ChangelaneError, DatabaseError, PreflightError
from changelane.runner.compare.compare import compare
from changelane.runner.live.observe import observe
from changelane.runner.live.session import reach

Connection = psycopg.Connection[TupleRow]
NOTHING = "No changes. Database matches sql_out/.\n"
NAME = "shop_paid_orders_insert"


@pytest.fixture
def tables(conn: Connection) -> None:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    conn.execute("CREATE TABLE parcels (id int PRIMARY KEY)")


@pytest.fixture
def ddl(conn: Connection) -> Iterator[None]:
    """Logs the commands that change the catalog, for ``list_ddl``."""
    conn.execute("CREATE TABLE public.ddl (id serial, command text)")
    conn.execute(
        "CREATE FUNCTION public.log_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS "
        "'begin insert into public.ddl (command) values (tg_tag); end'"
    )
    conn.execute("CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION public.log_ddl()")
    yield
    conn.execute("DROP EVENT TRIGGER log_ddl")


def list_ddl(conn: Connection) -> list[str]:
    """The commands logged since the last call."""
    return [row[0] for row in conn.execute("DELETE FROM public.ddl RETURNING command")]


@pytest.mark.usefixtures("tables")
def test_from_nothing_to_messages_and_back(
    conn: Connection, sample: Sample, tmp_path: Path, run_changelane: Any
) -> None:
    sample.save(tmp_path / "sql_out")
    assert run_changelane("verify").returncode == 2
    assert run_changelane("plan", "--exit-code").returncode == 2
    applied = run_changelane("apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout.count("trigger shop_paid_orders_insert") == 1, (
        "the plan names it, and nothing repeats it"
    )
    assert run_changelane("plan", "--exit-code").stdout == NOTHING
    assert run_changelane("verify").returncode == 0
    status = run_changelane("status").stdout.splitlines()
    assert all(line.startswith("ok ") for line in status)
    conn.execute("INSERT INTO orders VALUES (1, 'paid'), (2, 'new')")
    assert depth(conn) == 2

    assert run_changelane("destroy").returncode == 1
    assert run_changelane("verify", "--expect", "absent").returncode == 2
    assert run_changelane("destroy", "--yes").returncode == 0
    assert run_changelane("verify", "--expect", "absent").returncode == 0
    assert depth(conn) == 2
    assert conn.execute("SELECT FROM pg_namespace WHERE nspname = 'changelane'").fetchone() is None


@pytest.mark.usefixtures("tables", "ddl")
def test_a_second_apply_issues_no_ddl(conn: Connection, sample: Sample) -> None:
    bring(conn, sample)
    assert "CREATE TRIGGER" in list_ddl(conn)
    planned = bring(conn, sample)
    assert planned.steps == ()
    assert list_ddl(conn) == []


@pytest.mark.usefixtures("tables", "ddl")
def test_a_new_body_replaces_the_function_and_no_trigger(conn: Connection, sample: Sample) -> None:
    bring(conn, sample)
    list_ddl(conn)
    bring(conn, Sample().queue("events").capture(body=" BEGIN RETURN NULL; END "))
    commands = list_ddl(conn)
    assert "CREATE FUNCTION" in commands
    assert "CREATE TRIGGER" not in commands


@pytest.mark.usefixtures("tables", "ddl")
def test_a_trigger_that_fires_otherwise_leaves_the_function_as_it_is(
    conn: Connection, sample: Sample
) -> None:
    bring(conn, sample)
    list_ddl(conn)
    always = Sample().queue("events").capture(fire="always")
    bring(conn, always)
    commands = list_ddl(conn)
    assert "CREATE TRIGGER" in commands
    assert "CREATE FUNCTION" not in commands
    assert states(conn, always) == set()


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("statement", "state"),
    [
        (
            f"CREATE OR REPLACE FUNCTION changelane.{NAME}() RETURNS trigger LANGUAGE plpgsql "
            "SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'begin return null; end'",
            ("function", "drifted"),
        ),
        (f"ALTER FUNCTION changelane.{NAME}() SECURITY INVOKER", ("function", "drifted")),
        (f"ALTER FUNCTION changelane.{NAME}() RESET search_path", ("function", "drifted")),
        (f"GRANT EXECUTE ON FUNCTION changelane.{NAME}() TO PUBLIC", ("function", "drifted")),
        (f"COMMENT ON FUNCTION changelane.{NAME}() IS NULL", ("function", "drifted")),
        (f"ALTER TABLE orders DISABLE TRIGGER {NAME}", ("trigger", "disabled")),
        (f"ALTER TABLE orders ENABLE REPLICA TRIGGER {NAME}", ("trigger", "disabled")),
        (f"DROP TRIGGER {NAME} ON orders", ("trigger", "missing")),
        (f"COMMENT ON TRIGGER {NAME} ON orders IS NULL", ("trigger", "drifted")),
        (
            f"CREATE OR REPLACE TRIGGER {NAME} AFTER INSERT OR UPDATE ON orders FOR EACH ROW "
            f"EXECUTE FUNCTION changelane.{NAME}()",
            ("trigger", "drifted"),
        ),
        ("COMMENT ON SCHEMA changelane IS NULL", ("schema", "drifted")),
        ("GRANT CREATE ON SCHEMA changelane TO PUBLIC", ("schema", "drifted")),
        ("REVOKE ALL ON ALL TABLES IN SCHEMA changelane FROM PUBLIC", ("schema", "drifted")),
        ("DROP TABLE changelane.sleepers", ("schema", "drifted")),
        ("COMMENT ON TABLE pgmq.q_events IS 'mine'", ("queue", "drifted")),
        ("SELECT pgmq.drop_queue('events')", ("queue", "missing")),
    ],
)
def test_objects_changed_by_hand_are_seen_and_fixed(
    conn: Connection, sample: Sample, statement: str, state: tuple[str, str]
) -> None:
    bring(conn, sample)
    conn.execute(statement.encode())
    assert states(conn, sample) == {state}
    bring(conn, sample)
    assert states(conn, sample) == set()
    conn.execute("INSERT INTO orders VALUES (1, 'paid')")
    assert depth(conn) == 1


@pytest.mark.usefixtures("tables")
def test_the_planned_sql_run_by_hand_does_the_same_as_apply(
    conn: Connection, database: str, sample: Sample, tmp_path: Path, run_changelane: Any
) -> None:
    sample.save(tmp_path / "sql_out")
    text = run_changelane("plan", "--format", "sql").stdout
    conn.execute(text.encode())
    assert run_changelane("apply", "--yes").stdout == NOTHING


@pytest.mark.usefixtures("tables")
def test_orphans_stay_until_pruned_and_pruning_asks(
    conn: Connection, sample: Sample, tmp_path: Path, run_changelane: Any
) -> None:
    bring(conn, Sample().queue("events").queue("past").capture().capture("old", table="public.parcels"))
    sample.save(tmp_path / "sql_out")
    assert states(conn, sample) == {("trigger", "orphaned"), ("function", "orphaned"), ("queue", "orphaned")}
    assert run_changelane("apply", "--yes").returncode == 0
    refused = run_changelane("apply", "--prune")
    assert refused.returncode == 1
    assert "add --yes" in refused.stderr
    pruned = run_changelane("apply", "--prune", "--yes")
    assert pruned.returncode == 0, pruned.stderr
    assert states(conn, sample) == {("queue", "orphaned")}
    assert run_changelane("verify").returncode == 0


def test_every_missing_table_and_foreign_object_is_said_at_once_and_nothing_is_changed(
    conn: Connection, sample: Sample, tmp_path: Path, run_changelane: Any
) -> None:
    conn.execute("CREATE TABLE parcels (id int)")
    conn.execute("CREATE SCHEMA changelane")
    conn.execute(
        "CREATE FUNCTION changelane.shop_sent_parcels_insert() RETURNS trigger LANGUAGE plpgsql AS "
        "'begin return new; end'"
    )
    sample.capture("sent", table="public.parcels").capture("gone", table="public.gone")
    sample.save(tmp_path / "sql_out")
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    assert "table public.orders does not exist" in refused.stderr
    assert "table public.gone does not exist" in refused.stderr
    assert "changelane.shop_sent_parcels_insert exists and is not Changelane's" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert run_changelane("plan").returncode == 1
    assert conn.execute("SELECT FROM pgmq.meta").fetchall() == []
    assert conn.execute("SELECT FROM pg_proc WHERE proname ~ '^shop'").rowcount == 1


@pytest.mark.usefixtures("tables")
def test_a_strange_trigger_of_our_name_is_never_overwritten(conn: Connection, sample: Sample) -> None:
    conn.execute("CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'")
    conn.execute(f"CREATE TRIGGER {NAME} BEFORE INSERT ON orders EXECUTE FUNCTION mine()".encode())
    with pytest.raises(PreflightError) as caught:
        bring(conn, sample)
    assert [problem.what for problem in caught.value.problems] == [
        f"trigger {NAME} on public.orders exists and is not Changelane's"
    ]


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("statements", "drop"),
    [
        (
            f"DROP TRIGGER {NAME} ON orders; CREATE CONSTRAINT TRIGGER {NAME} AFTER INSERT ON orders "
            f"FOR EACH ROW EXECUTE FUNCTION changelane.{NAME}()",
            f'DROP TRIGGER "{NAME}" ON "public"."orders"',
        ),
        (
            f"ALTER TRIGGER {NAME} ON orders RENAME TO mine; COMMENT ON TRIGGER mine ON orders IS NULL",
            'DROP TRIGGER "mine" ON "public"."orders"',
        ),
        (
            f"CREATE TRIGGER mine AFTER INSERT ON parcels EXECUTE FUNCTION changelane.{NAME}()",
            'DROP TRIGGER "mine" ON "public"."parcels"',
        ),
    ],
)
def test_a_trigger_made_by_hand_over_a_function_of_ours_is_foreign_and_a_person_drops_it(
    conn: Connection, tmp_path: Path, run_changelane: Any, sample: Sample, statements: str, drop: str
) -> None:
    bring(conn, sample)
    conn.execute(statements.encode())
    assert ("trigger", "foreign") in states(conn, sample)
    sample.save(tmp_path / "sql_out")
    assert run_changelane("verify").returncode == 2
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    assert drop in refused.stderr
    conn.execute(drop.encode())
    bring(conn, sample)
    assert states(conn, sample) == set()
    conn.execute("INSERT INTO orders VALUES (1, 'paid')")
    assert depth(conn) == 1


@pytest.mark.usefixtures("tables")
def test_a_statement_that_fails_leaves_nothing_of_its_transaction(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    sample = Sample().queue("events").capture().capture("bad", body=" BEGIN nonsense; END ")
    sample.save(tmp_path / "sql_out")
    failed = run_changelane("apply", "--yes")
    assert failed.returncode == 1
    assert "error: function shop_bad_orders_insert: syntax error" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert conn.execute("SELECT FROM pg_namespace WHERE nspname = 'changelane'").fetchone() is None
    assert conn.execute("SELECT FROM pgmq.meta").fetchone() is None


@pytest.mark.usefixtures("tables")
def test_only_applies_one_route(conn: Connection, tmp_path: Path, run_changelane: Any) -> None:
    sample = Sample().queue("events").queue("other").capture().capture("sent", queue="other")
    sample.save(tmp_path / "sql_out")
    assert run_changelane("apply", "--yes", "--only", "paid").returncode == 0
    assert states(conn, sample) == {("queue", "missing"), ("function", "missing"), ("trigger", "missing")}
    wrong = run_changelane("apply", "--yes", "--only", "snet")
    assert wrong.returncode == 1
    assert "did you mean `sent`?" in wrong.stderr


@pytest.mark.usefixtures("tables")
def test_files_edited_by_hand_are_never_applied(
    conn: Connection, sample: Sample, tmp_path: Path, run_changelane: Any
) -> None:
    out = sample.save(tmp_path / "sql_out")
    with (out / "routes/shop_paid.sql").open("a") as file:
        file.write("DROP TABLE orders;\n")
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    assert "routes/shop_paid.sql: not as generated" in refused.stderr
    assert states(conn, sample) >= {("function", "missing")}


def test_triggers_of_a_partitioned_table_are_seen_once(conn: Connection, sample: Sample) -> None:
    conn.execute("CREATE TABLE orders (id int, status text) PARTITION BY LIST (id)")
    conn.execute("CREATE TABLE orders_1 PARTITION OF orders FOR VALUES IN (1)")
    planned = bring(conn, sample)
    assert planned.steps[-1].lock == "SHARE ROW EXCLUSIVE on public.orders and its partitions"
    assert states(conn, sample) == set()
    conn.execute("INSERT INTO orders_1 VALUES (1, 'paid')")
    assert depth(conn) == 1
    conn.execute(f"ALTER TABLE orders DISABLE TRIGGER {NAME}".encode())
    assert states(conn, sample) == {("trigger", "disabled")}
    bring(conn, sample)
    conn.execute("INSERT INTO orders_1 VALUES (1, 'paid')")
    assert depth(conn) == 2


@pytest.mark.parametrize("change", ["DISABLE", "ENABLE REPLICA"])
def test_a_trigger_disabled_on_one_partition_is_seen_and_fixed(
    conn: Connection, sample: Sample, change: str
) -> None:
    conn.execute("CREATE TABLE orders (id int, status text) PARTITION BY LIST (id)")
    conn.execute("CREATE TABLE orders_1 PARTITION OF orders FOR VALUES IN (1) PARTITION BY LIST (status)")
    conn.execute("CREATE TABLE orders_1_paid PARTITION OF orders_1 FOR VALUES IN ('paid')")
    bring(conn, sample)
    conn.execute(f"ALTER TABLE orders_1_paid {change} TRIGGER {NAME}".encode())
    (found,) = [
        thing for thing in compare(sample.manifest, observe(conn, sample.manifest)) if thing.state != "ok"
    ]
    assert found.state == "disabled"
    assert found.detail == "it is disabled, or fires otherwise, on public.orders_1_paid"
    bring(conn, sample)
    assert states(conn, sample) == set()
    conn.execute("INSERT INTO orders VALUES (1, 'paid')")
    assert depth(conn) == 1


@pytest.mark.usefixtures("tables")
def test_a_dropped_column_blocks_the_route_that_names_it(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    sample = Sample().queue("events").capture(columns=("status",))
    bring(conn, sample)
    conn.execute("ALTER TABLE orders DROP COLUMN status")
    sample.save(tmp_path / "sql_out")
    verified = run_changelane("verify")
    assert verified.returncode == 2
    assert "public.orders has no column status, which route paid names" in verified.stdout


@pytest.mark.usefixtures("tables")
def test_observing_takes_as_many_queries_for_one_route_as_for_many(
    conn: Connection, database: str, sample: Sample
) -> None:
    many = Sample().queue("events")
    for number in range(30):
        many.capture(f"r{number}")
    bring(conn, many)
    counts = []
    for one in (sample, many):
        with psycopg.connect(database, autocommit=True, cursor_factory=Counting) as counted:
            Counting.count = 0
            observe(counted, one.manifest)
            counts.append(Counting.count)
    assert counts[0] == counts[1]


class Counting(psycopg.Cursor[TupleRow]):
    count = 0

    def execute(self, *arguments: Any, **options: Any) -> Counting:
        Counting.count += 1
        super().execute(*arguments, **options)
        return self


@pytest.mark.usefixtures("tables")
def test_a_lost_connection_is_one_line(conn: Connection, database: str, sample: Sample) -> None:
    def apply_on_a_lost_connection() -> None:
        with reach(database, doing="apply") as lost:
            conn.execute("SELECT pg_terminate_backend(%s)", [lost.info.backend_pid])
            bring(lost, sample)

    with pytest.raises(DatabaseError, match=r"^apply: ") as caught:
        apply_on_a_lost_connection()
    assert "run again" in caught.value.fix


@pytest.mark.usefixtures("tables")
def test_a_plan_is_refused_once_the_database_has_moved_on(conn: Connection, sample: Sample) -> None:
    with pytest.raises(ChangelaneError, match="changed after the plan was shown"):
        bring(conn, sample, confirm=lambda planned: bool(conn.execute("SELECT pgmq.create('events')")))
    assert ("function", "missing") in states(conn, sample)
