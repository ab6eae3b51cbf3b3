"""Databases, roles and environments with other encodings and other formats of times."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.command_line import RunChangelane
from support.dashboard import open_panel
from support.databases import address, drop
from support.pgbouncer import run_pooler
from support.workers import Bench

from changelane.contract.manifest import Retry
from changelane.runner.live import database as databases
from changelane.runner.live import pgmq

STRANGE = {
    "client_encoding": "LATIN1",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kolkata",
    "standard_conforming_strings": "off",
}


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    for name, value in STRANGE.items():
        setting = sql.SQL("ALTER DATABASE {} SET {} = {}")
        conn.execute(
            setting.format(sql.Identifier(conn.info.dbname), sql.Identifier(name), sql.Literal(value))
        )
    return Bench(conn=conn, url=database, folder=tmp_path)


def show(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    return {name: value for name in databases.PINNED for (value,) in conn.execute(f"SHOW {name}".encode())}


def test_every_connection_is_pinned_and_stays_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=77s -c TimeZone=Asia/Tokyo")
    with databases.connect(bench.url) as conn:
        assert show(conn) == databases.PINNED
        assert conn.execute("SHOW statement_timeout").fetchone() == ("77s",)
        # A handler may do that.
        conn.execute("DISCARD ALL")
        assert show(conn) == databases.PINNED
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.setenv("PGDATESTYLE", "SQL")
    with databases.connect(bench.url) as conn:
        assert show(conn) == databases.PINNED
    with psycopg.connect(bench.url, autocommit=True) as conn:
        assert show(conn) != databases.PINNED


def test_options_of_the_url_hold_but_for_those_that_are_pinned(bench: Bench) -> None:
    options = "-c lock_timeout=7s -c datestyle=German -c timezone=Asia/Tokyo"
    url = psycopg.conninfo.make_conninfo(bench.url, options=options, client_encoding="LATIN1")
    with databases.connect(url, autocommit=False) as conn:
        assert not conn.autocommit
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert show(conn) == databases.PINNED
        assert conn.execute("SHOW lock_timeout").fetchone() == ("7s",)


def test_options_of_a_service_hold(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(bench.url)
    lines = "".join(f"{name}={value}\n" for name, value in parts.items())
    (tmp_path / "services").write_text(f"[shop]\n{lines}options=-c lock_timeout=7s\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    with databases.connect("service=shop") as conn:
        assert show(conn) == databases.PINNED
        assert conn.execute("SHOW lock_timeout").fetchone() == ("7s",)


def test_a_pooler_that_refuses_options_is_told_afterwards(bench: Bench, tmp_path: Path) -> None:
    with run_pooler(bench.url, tmp_path, size=2) as pooled, databases.connect(pooled) as conn:
        assert show(conn) == databases.PINNED


@pytest.mark.parametrize("kind", ["", "async "])
@pytest.mark.parametrize("mode", ["transactional", "at_least_once"])
def test_a_worker_hands_over_and_writes_down_any_character(bench: Bench, kind: str, mode: str) -> None:
    wait = "await " if kind else ""
    body = (
        f"""
            shown = [({wait}({wait}tx.execute(f"SHOW {{name}}")).fetchone())[0] for name in NAMES]
            note(shown)
        """
        if mode == "transactional"
        else ""
    )
    bench.declare(
        f"""
        NAMES = {list(databases.PINNED)!r}

        {kind}def handle(change: Change{", tx" if body else ""}) -> None:
            {body.strip()}
            raise ValueError(change.new["value"] + " \\\\ 😀")
        """,
        mode=mode,
        retry=Retry(attempts=2, first=0.05),
    )
    bench.send('"€"')
    bench.drain()
    assert [headers["dead_letter"]["error"] for headers in bench.dead] == ["ValueError: € \\ 😀"]
    assert bench.notes == ([str(list(databases.PINNED.values()))] * 2 if body else [])


def test_commands_and_pages_read_times_however_the_database_writes_them(
    bench: Bench, run_changelane: RunChangelane, tmp_path: Path
) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            raise ValueError("€")
        """,
        retry=Retry(attempts=1),
    )
    bench.send("1")
    bench.drain()
    listed = run_changelane("dead-letter", "list", "jobs", env={"PGCLIENTENCODING": "LATIN1"})
    assert listed.returncode == 0, listed.stderr
    assert "ValueError: €" in listed.stdout
    bench.send("2", delay=3600)
    assert run_changelane("peek", "jobs").returncode == 0
    with open_panel(tmp_path, bench.url, env={"PGCLIENTENCODING": "LATIN1"}) as panel:
        assert "ValueError: €" in panel.open("/dead-letters/jobs").words
        for path in ("/dead-letters/jobs/1", "/queues/jobs", "/queues/jobs/messages/2", "/doctor", "/audit"):
            panel.open(path)


@pytest.fixture
def latin(server: str) -> Iterator[str]:
    """The URL of a database whose own encoding is LATIN1, with pgmq."""
    yield from lend_encoded(server, "LATIN1")


def lend_encoded(server: str, encoding: str) -> Iterator[str]:
    name = f"changelane_test_{uuid.uuid4().hex[:16]}"
    create = sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0")
    with databases.connect(server) as conn:
        conn.execute(create.format(sql.Identifier(name), sql.Literal(encoding)))
    yield address(server, name)
    with databases.connect(server) as conn:
        drop(conn, name)


def test_errors_that_a_databases_encoding_lacks_are_written_down_as_escapes(
    latin: str, tmp_path: Path
) -> None:
    with databases.connect(latin) as conn:
        pgmq.install(conn)
        bench = Bench(conn=conn, url=latin, folder=tmp_path)
        bench.declare(
            """
            def handle(change: Change) -> None:
                raise ValueError(change.new["value"] + r" € \\u20ac \\ 😀" + "\\n")
            """,
            retry=Retry(attempts=2, first=0.05),
        )
        bench.send('"ü"')
        bench.drain()
        (headers,) = bench.dead
        assert headers["dead_letter"]["error"].strip() == (r"ValueError: \u00fc \u20ac \u20ac \ \ud83d\ude00")
        assert "in handle" in headers["dead_letter"]["traceback"]


def test_a_database_in_which_text_has_no_meaning_is_refused_in_one_line(
    server: str, run_changelane: RunChangelane
) -> None:
    for url in lend_encoded(server, "SQL_ASCII"):
        for arguments in (["inspect"], ["peek", "jobs"]):
            refused = run_changelane("--database-url", url, *arguments)
            assert refused.returncode == 1
            assert "has the encoding SQL_ASCII" in refused.stderr.splitlines()[0]
            assert "Traceback" not in refused.stderr
