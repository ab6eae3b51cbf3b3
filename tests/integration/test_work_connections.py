"""Connections that are lost, refused, read-only or silent: work goes on at once, at no attempt's cost."""

from __future__ import annotations

import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from support.databases import SETTINGS
from support.pgbouncer import run_pooler
from support.tcp_proxy import run_proxy
from support.workers import Bench

from changelane.contract.manifest import Retry
from changelane.runner.live import database as databases
from changelane.runner.live import pgmq
from changelane.runner.local import server as servers

SOON = 10.0
"""Seconds allowed for an event that takes less than one on an idle machine."""

INSERT = """
    {kind}def handle(change: Change, tx) -> None:
        {wait}tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
"""
KINDS = ["", "async "]


def declare(bench: Bench, kind: str, **consumer: Any) -> None:
    source = INSERT.format(kind=kind, wait="await " if kind else "")
    consumer = {"mode": "transactional", "retry": Retry(attempts=1), **consumer}
    bench.declare(source, **consumer)


def end_sessions(bench: Bench) -> int:
    rows = bench.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'changelane work%'"
    )
    return len(rows)


def handle_one(bench: Bench, value: int) -> float:
    """Seconds until a new message has taken effect."""
    began = time.monotonic()
    bench.send(str(value))
    bench.wait(lambda: bench.rows(f"SELECT FROM effects WHERE value = {value}"), seconds=60)
    return time.monotonic() - began


def fill(bench: Bench, count: int) -> None:
    """Have each slot of the worker open its connection."""
    bench.send(*map(str, range(1000, 1000 + count)))
    bench.wait(lambda: not bench.queued)


def assert_nobody_was_blamed(bench: Bench) -> None:
    assert bench.dead == []
    assert "released; no attempt" not in bench.log
    assert bench.rows("SELECT count(*) = count(DISTINCT msg_id) FROM effects") == [(True,)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_does_not_wait_for_sessions_that_ended_while_idle(bench: Bench, kind: str) -> None:
    declare(bench, kind, concurrency=20, batch=20)
    with bench.worker():
        fill(bench, 100)
        assert end_sessions(bench) >= 10
        assert handle_one(bench, 1) < SOON
    assert_nobody_was_blamed(bench)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bench]:
    """A bench on a server of its own, which a test may stop."""
    folder = tmp_path / "server"
    url = servers.start(folder, settings=SETTINGS)
    try:
        with databases.connect(url) as conn:
            pgmq.install(conn)
            yield Bench(conn=conn, url=url, folder=tmp_path)
    finally:
        servers.remove(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_does_not_wait_after_a_restart_of_the_server(own: Bench, kind: str) -> None:
    declare(own, kind, concurrency=20, batch=20)
    with own.worker():
        fill(own, 100)
        own.conn.close()
        servers.stop(own.folder / "server")
        servers.start(own.folder / "server", settings=SETTINGS)
        own.conn = databases.connect(own.url)
        assert handle_one(own, 1) < SOON
        own.conn.close()
    with databases.connect(own.url) as own.conn:
        assert_nobody_was_blamed(own)


@pytest.mark.parametrize("limit", [5, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_of_connections_makes_it_slower_and_hands_no_message_around(
    bench: Bench, server: str, kind: str, limit: int
) -> None:
    role = f"few_{bench.conn.info.dbname}"
    with psycopg.connect(server, autocommit=True) as admin:
        name = sql.Identifier(role)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {}").format(name, limit))
        try:
            for schema in ("pgmq", "public"):
                grant = sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA {} TO {}")
                bench.conn.execute(grant.format(sql.Identifier(schema), name))
            bench.conn.execute(sql.SQL("GRANT USAGE ON SCHEMA pgmq TO {}").format(name))
            bench.conn.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC")
            wait = "await " if kind else ""
            bench.declare(
                f"""
                {kind}def handle(change: Change, tx) -> None:
                    if change.attempt == 1 and change.new["value"] % 20 == 0:
                        raise ValueError("has to be written down, on another connection")
                    {wait}tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
                """,
                mode="transactional",
                concurrency=20,
                batch=20,
                retry=Retry(attempts=2, first=0.05),
            )
            own_url, bench.url = bench.url, make_conninfo(bench.url, user=role)
            bench.send(*map(str, range(200)))
            bench.drain(timeout=60)
            bench.url = own_url
            assert bench.rows("SELECT count(*), count(DISTINCT msg_id) FROM effects") == [(200, 200)]
            assert_nobody_was_blamed(bench)
        finally:
            bench.conn.execute(sql.SQL("DROP OWNED BY {}").format(name))
            admin.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_time_leaves_no_read_only_session_behind(bench: Bench, kind: str) -> None:
    declare(bench, kind, concurrency=4)
    database = sql.Identifier(bench.conn.info.dbname)
    with bench.worker():
        fill(bench, 20)
        bench.conn.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(database)
        )
        end_sessions(bench)
        # This session is older than the setting, so it may write.
        bench.send("1")
        bench.wait(lambda: "database unavailable" in bench.log)
        bench.conn.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(database))
        bench.wait(lambda: bench.rows("SELECT FROM effects WHERE value = 1"), seconds=SOON)
        for value in range(2, 12):
            assert handle_one(bench, value) < SOON
    assert_nobody_was_blamed(bench)


@pytest.mark.parametrize("kind", KINDS)
def test_a_handlers_connection_is_made_anew_after_a_transient_error(bench: Bench, kind: str) -> None:
    wait = "await " if kind else ""
    bench.declare(
        f"""
        {kind}def handle(change: Change, tx) -> None:
            note(tx.info.backend_pid)
            if not Path("once").exists():
                Path("once").touch()
                {wait}tx.execute("SET TRANSACTION READ ONLY")
                {wait}tx.execute("INSERT INTO effects VALUES (1, 1)")
        """,
        mode="transactional",
        concurrency=1,
        retry=Retry(attempts=1),
    )
    bench.send("1")
    bench.drain()
    assert len(set(bench.notes)) == 2
    assert bench.dead == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_pooler_that_ends_idle_connections_delays_nothing(bench: Bench, tmp_path: Path, kind: str) -> None:
    declare(bench, kind, concurrency=20, batch=20)
    (tmp_path / "pooler").mkdir()
    with run_pooler(bench.url, tmp_path / "pooler", size=20) as pooled:
        bench.url = f"{pooled}?application_name=changelane+work"
        with bench.worker():
            fill(bench, 100)
            end_sessions(bench)
            assert handle_one(bench, 1) < SOON
    assert bench.dead == []


def find_url(bench: Bench) -> str:
    bench.wait(lambda: '"working"' in bench.log)
    found = re.search(r'"url": "(http://127\.0\.0\.1:\d+)/metrics"', bench.log)
    assert found, bench.log
    return found[1]


def fetch(url: str) -> tuple[int, str, float]:
    """Status, text, and the seconds that they took."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.status, response.read().decode(), time.monotonic() - began
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), time.monotonic() - began


@pytest.mark.parametrize("kind", KINDS)
def test_connections_that_fall_silent_are_given_up_and_work_goes_on(bench: Bench, kind: str) -> None:
    declare(bench, kind, concurrency=3)
    with run_proxy(bench.url) as proxy:
        bench.url = proxy.url
        with bench.worker("--grace", "1") as process:
            fill(bench, 20)
            proxy.silence(new=False)
            bench.send("1")
            bench.wait(lambda: bench.rows("SELECT FROM effects WHERE value = 1"), seconds=120)
            assert "the database does not answer; giving up the connection" in bench.log
            process.terminate()
            assert process.wait(20) == 0
    assert bench.dead == []


def test_a_silent_database_shows_and_the_end_is_bounded(bench: Bench) -> None:
    declare(bench, "", concurrency=3)
    with run_proxy(bench.url) as proxy:
        bench.url = proxy.url
        with bench.worker("--grace", "1", "--metrics-port", "0") as process:
            url = find_url(bench)
            bench.wait(lambda: fetch(f"{url}/readyz")[0] == 200)
            fill(bench, 20)
            proxy.silence()
            slowest = 0.0

            def unhealthy() -> bool:
                nonlocal slowest
                answers = [fetch(f"{url}/{path}") for path in ("healthz", "readyz", "metrics")]
                slowest = max(slowest, *(seconds for _, _, seconds in answers))
                return [status for status, _, _ in answers] == [503, 503, 200]

            bench.wait(unhealthy, seconds=120)
            assert slowest < SOON / 2
            metrics = fetch(f"{url}/metrics")[1]
            (seconds,) = re.findall(r'changelane_last_claim_seconds{queue="jobs"} ([0-9.]+)', metrics)
            assert float(seconds) > 10
            process.terminate()
            began = time.monotonic()
            assert process.wait(60) == 0
            assert time.monotonic() - began < 1 + 5 + SOON
        assert '"stopping"' in bench.log


def test_a_second_signal_ends_a_worker_at_once_whose_database_is_silent(bench: Bench) -> None:
    declare(bench, "", concurrency=3)
    with run_proxy(bench.url) as proxy:
        bench.url = proxy.url
        with bench.worker("--grace", "600") as process:
            fill(bench, 20)
            proxy.silence()
            bench.send("1")
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(SOON) == 130


@pytest.mark.parametrize("timeout", [3, None])
@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_whose_statement_meets_silence_is_free_again(
    bench: Bench, kind: str, timeout: float | None
) -> None:
    wait = "await " if kind else ""
    bench.declare(
        f"""
        {kind}def handle(change: Change, tx) -> None:
            {wait}tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            if change.attempt == 1 and change.new["value"] == 1:
                Path("began").touch()
                while not Path("silent").exists():
                    {"await asyncio" if kind else "time"}.sleep(0.02)
                {wait}tx.execute("SELECT 1")
        """,
        mode="transactional",
        concurrency=1,
        timeout=timeout,
        retry=Retry(attempts=3, first=0.1),
    )
    with run_proxy(bench.url) as proxy:
        bench.url = proxy.url
        with bench.worker("--grace", "1"):
            bench.send("1")
            bench.wait(lambda: (bench.folder / "began").exists())
            proxy.silence(new=False)
            (bench.folder / "silent").touch()
            bench.wait(lambda: bench.rows("SELECT FROM effects WHERE value = 1"), seconds=120)
    assert timeout or "waits for an answer that the server gave" in bench.log
    assert bench.dead == []
