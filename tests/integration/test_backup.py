"""What docs/backup.md says of copies of a database, beyond the commands that the page itself shows."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.command_line import RunChangelane
from support.databases import SETTINGS, address
from support.deployment import Declared, bring, declare, find_wrong

from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.local import server as servers
from changelane.runner.local.binaries import find_binary

Connection = psycopg.Connection[TupleRow]

PAGE = (Path(__file__).parents[2] / "docs" / "backup.md").read_text()
SPEC = """
version: 1
project: shop
queues: {events: {}}
routes:
  - {name: orders, table: public.orders, events: [insert, update], queue: events}
"""
FIRES = {
    "plain": "fire: origin",
    "always": "fire: always",
    "always_row": "fire: always, capture: row",
    "replica_row": "fire: replica, capture: row",
}
SUBSCRIBED = """
version: 1
project: shop
queues: {plain: {}, always: {}, always_row: {}, replica_row: {}}
routes:
""" + "".join(
    f"  - {{name: {name}, table: public.{name}, events: [insert], queue: {name}, {how}}}\n"
    for name, how in FIRES.items()
)


def run_program(program: str, *arguments: str | Path) -> str:
    """What a program of the server prints; it must exit 0."""
    done = subprocess.run(
        [find_binary(program), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fetch(conn: Connection, statement: str) -> Any:
    row = conn.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def await_result(look: Callable[[], Any], expected: Any) -> None:
    deadline = time.monotonic() + 60
    while (found := look()) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    return declared


@pytest.fixture
def archiving(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server of its own that archives its WAL and decodes it, and the archive."""
    archive = Path(subprocess.check_output(["mktemp", "--directory", "--tmpdir=/var/tmp"], text=True).strip())
    archive.chmod(0o777)
    settings = {
        **SETTINGS, "full_page_writes": "on", "wal_level": "logical", "archive_mode": "on",
        "archive_command": f"install -m 644 %p {archive}/part && mv {archive}/part {archive}/%f",
    }  # fmt: skip
    try:
        yield servers.start(tmp_path / "first", settings=settings), archive
    finally:
        servers.remove(tmp_path / "first")
        shutil.rmtree(archive)


def test_what_replication_fires_and_what_recovery_brings_back(
    archiving: tuple[str, Path], tmp_path: Path
) -> None:
    """One server for both, because it takes seconds to make."""
    url, archive = archiving
    check_subscriber(url, tmp_path)
    check_recovery(url, archive, tmp_path)


def check_subscriber(server: str, folder: Path) -> None:
    with connect(server) as conn:
        conn.execute("CREATE DATABASE publisher")
        conn.execute("CREATE DATABASE subscriber")
    socket = parse_qs(urlsplit(server).query)["host"][0]
    with (
        connect(address(server, "publisher")) as publisher,
        connect(address(server, "subscriber")) as subscriber,
    ):
        for conn in (publisher, subscriber):
            for name in FIRES:
                conn.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)".encode())
        pgmq.install(subscriber)
        bring(subscriber, declare(subscriber, folder, SUBSCRIBED))
        for name in FIRES:
            publisher.execute(f"INSERT INTO {name} VALUES (1)".encode())
        publisher.execute(f"CREATE PUBLICATION shop FOR TABLE {', '.join(FIRES)}".encode())
        # Within one server, a subscription that makes its slot waits for itself.
        publisher.execute("SELECT pg_create_logical_replication_slot('shop', 'pgoutput')")
        subscriber.execute(
            f"CREATE SUBSCRIPTION shop CONNECTION 'host={socket} user=postgres dbname=publisher' "
            "PUBLICATION shop WITH (create_slot = false, slot_name = shop)".encode()
        )
        copied = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'"
        await_result(lambda: fetch(subscriber, copied), len(FIRES))
        assert count_messages(subscriber) == {"plain": 0, "always": 1, "always_row": 1, "replica_row": 1}

        for name in FIRES:
            publisher.execute(f"INSERT INTO {name} VALUES (2)".encode())
        for name in FIRES:
            await_result(partial(fetch, subscriber, f"SELECT count(*) FROM {name}"), 2)
        assert count_messages(subscriber) == {"plain": 0, "always": 1, "always_row": 2, "replica_row": 2}

        for name in FIRES:
            subscriber.execute(f"INSERT INTO {name} VALUES (3)".encode())
        assert count_messages(subscriber) == {"plain": 1, "always": 2, "always_row": 3, "replica_row": 2}
        subscriber.execute("DROP SUBSCRIPTION shop")


def count_messages(conn: Connection) -> dict[str, int]:
    return {name: fetch(conn, f"SELECT count(*) FROM pgmq.q_{name}") for name in FIRES}


def check_recovery(server: str, archive: Path, folder: Path) -> None:
    with connect(server) as conn:
        pgmq.install(conn)
        conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
        declared = declare(conn, folder, SPEC)
        bring(conn, declared)
        backup = folder / "second" / "data"
        run_program("pg_basebackup", "--dbname", server, "--pgdata", backup, "--checkpoint", "fast")
        conn.execute("INSERT INTO orders VALUES (1, 'new')")
        conn.execute("SELECT pg_create_restore_point('before')")
        handled = fetch(conn, "SELECT message ->> 'id' FROM pgmq.pop('events')")
        conn.execute("INSERT INTO orders VALUES (2, 'new')")
        lost = fetch(conn, "SELECT message ->> 'id' FROM pgmq.q_events")
        segment = fetch(conn, "SELECT pg_walfile_name(pg_switch_wal())")
        await_result((archive / segment).exists, True)
    (backup / "recovery.signal").touch()
    settings = {
        **SETTINGS, "restore_command": f"cp {archive}/%f %p", "recovery_target_name": "before",
        "recovery_target_action": "promote", "hot_standby": "off",
    }  # fmt: skip
    try:
        with connect(servers.start(folder / "second", settings=settings)) as conn:
            assert find_wrong(conn, declared) == []
            again = conn.execute("SELECT msg_id, message ->> 'id' FROM pgmq.q_events").fetchall()
            assert again == [(1, handled)]
            conn.execute("INSERT INTO orders VALUES (2, 'new')")
            later = fetch(conn, "SELECT message ->> 'id' FROM pgmq.q_events ORDER BY msg_id DESC LIMIT 1")
            assert later not in {handled, lost}
    finally:
        servers.remove(folder / "second")


def test_a_swap_that_brings_the_route_along_misses_no_write(conn: Connection, declared: Declared) -> None:
    conn.execute("CREATE TABLE orders_new (LIKE orders INCLUDING ALL)")
    with conn.transaction():
        conn.execute("ALTER TABLE orders RENAME TO orders_old")
        conn.execute("ALTER TABLE orders_new RENAME TO orders")
        conn.execute((declared.out / "routes" / "orders.sql").read_bytes())
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    assert fetch(conn, "SELECT count(*) FROM pgmq.q_events") == 1
    conn.execute("DROP TABLE orders_old")
    assert find_wrong(conn, declared) == []


def test_a_listed_queue_without_its_table_is_brought_back_as_is_said(
    conn: Connection, declared: Declared, run_changelane: RunChangelane
) -> None:
    conn.execute("DROP TABLE pgmq.q_events")
    conn.execute("DROP TABLE pgmq.q_events_dlq, pgmq.a_events_dlq")
    peeked = run_changelane("peek", "events")
    assert "pgmq.meta lists queue events, but its table is gone" in peeked.stderr
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    for queue in ("events", "events_dlq"):
        fix = f"SELECT pgmq.create('{queue}')"
        assert fix in refused.stderr
        conn.execute(fix.encode())
    assert run_changelane("apply", "--yes").returncode == 0
    assert find_wrong(conn, declared) == []
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    assert fetch(conn, "SELECT count(*) FROM pgmq.q_events") == 1


def test_a_dump_loaded_with_disabled_triggers_leaves_them_as_ordinary_ones(
    conn: Connection, database: str, tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    rows = tmp_path / "rows.dump"
    run_program(
        "pg_dump", "--dbname", database, "--data-only", "--schema=public", "--format=custom", "--file", rows
    )
    conn.execute("TRUNCATE orders")
    declared = declare(conn, tmp_path, SPEC.replace("queue: events}", "queue: events, fire: always}"))
    bring(conn, declared)
    run_program("pg_restore", "--dbname", database, "--disable-triggers", rows)
    assert fetch(conn, "SELECT count(*) FROM pgmq.q_events") == 0
    assert {line.split()[0] for line in find_wrong(conn, declared)} == {"disabled"}
    bring(conn, declared)
    assert find_wrong(conn, declared) == []


@pytest.fixture
def extension(bare_database: str) -> Iterator[Connection]:
    """A connection to a database whose server offers pgmq as an extension, made of the package's SQL."""
    package = find_spec("pgmq")
    assert package is not None
    assert package.submodule_search_locations
    source = Path(package.submodule_search_locations[0]) / "sql" / "pgmq.sql"
    folder = Path(subprocess.check_output(["mktemp", "--directory", "--tmpdir=/var/tmp"], text=True).strip())
    folder.chmod(0o755)
    scripts = folder / "extension"
    scripts.mkdir()
    (scripts / "pgmq.control").write_text("default_version = '1.13.0'\nschema = pgmq\nrelocatable = false\n")
    shutil.copy(source, scripts / "pgmq--1.13.0.sql")
    try:
        with connect(bare_database) as conn:
            conn.execute(f"SET extension_control_path = '{folder}:$system'".encode())
            conn.execute("CREATE EXTENSION pgmq")
            yield conn
    finally:
        shutil.rmtree(folder)


def test_a_dump_leaves_out_the_queues_that_belong_to_the_extension(
    extension: Connection, bare_database: str, tmp_path: Path
) -> None:
    extension.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    bring(extension, declare(extension, tmp_path, SPEC))
    extension.execute("INSERT INTO orders VALUES (1, 'new')")
    (listing,) = (part.partition("\n")[2] for part in PAGE.split("```sql ")[1:] if part.startswith("members"))
    listing = listing.partition("```")[0]
    whole = run_program("pg_dump", "--dbname", bare_database)
    assert "COPY pgmq.q_events " in whole
    assert "COPY pgmq.meta " in whole
    assert extension.execute(listing.encode()).fetchall() == []

    # As pgmq.create did up to version 1.5.
    members = ["TABLE pgmq.a_events", "SEQUENCE pgmq.q_events_msg_id_seq", "TABLE pgmq.q_events"]
    for member in members:
        extension.execute(f"ALTER EXTENSION pgmq ADD {member}".encode())
    partial = run_program("pg_dump", "--dbname", bare_database)
    assert "pgmq.q_events " not in partial.replace("pgmq.q_events_dlq", "")
    removals = [row[0] for row in extension.execute(listing.encode())]
    assert sorted(removals) == sorted(f"ALTER EXTENSION pgmq DROP {member};" for member in members)
    for removal in removals:
        extension.execute(removal.encode())
    assert "COPY pgmq.q_events " in run_program("pg_dump", "--dbname", bare_database)
