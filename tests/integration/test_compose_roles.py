"""The roles of docker-compose.yml: each has the rights for its task, and no others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from support.command_line import RunChangelane

from changelane.runner.live import database as databases
from changelane.runner.local import server as local

ROOT = Path(__file__).parent.parent.parent
ROLES = ("shop_owner", "shop_application", "shop_worker")


@pytest.fixture
def shop(server: str) -> Iterator[str]:
    """A database without pgmq, made as the image's entrypoint makes it; yields its URL."""
    name = sql.Identifier(f"changelane_compose_{os.getpid()}")
    with databases.connect(server) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        url = make_conninfo(server, dbname=name.as_string().strip('"'))
        try:
            run_psql(url, ROOT / "examples" / "database.sql")
            yield url
        finally:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            for role in ROLES:
                conn.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def run_psql(url: str, script: Path) -> None:
    environment = {f"{role}_PASSWORD": "x" for role in ("OWNER", "APPLICATION", "WORKER")}
    command = [str(local.find_binary("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), url]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_owner_application_and_worker_do_their_parts_and_no_more(
    shop: str, run_changelane: RunChangelane
) -> None:
    urls = {role: make_conninfo(shop, user=role) for role in ROLES}
    applied = run_changelane("--database-url", urls["shop_owner"], "apply", "--yes", cwd=ROOT)
    assert applied.returncode == 0, applied.stderr
    run_psql(urls["shop_owner"], ROOT / "examples" / "grants.sql")
    run_psql(urls["shop_owner"], ROOT / "examples" / "grants.sql")
    with databases.connect(urls["shop_application"]) as conn:
        conn.execute("INSERT INTO shop.customers (email, name) VALUES ('a@x.example', 'Ann')")
        conn.execute("INSERT INTO shop.orders (customer_id, status, total) VALUES (1, 'paid', 5)")
        conn.execute("INSERT INTO shop.order_items VALUES (1, 1, 'tea', 2, 2.50)")
        for forbidden in (
            "SELECT FROM pgmq.q_paid_orders",
            "SELECT FROM shop.receipts",
            "CREATE TABLE shop.x ()",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                conn.execute(forbidden.encode())
    worked = run_changelane("--database-url", urls["shop_worker"], "work", "--drain", cwd=ROOT)
    assert worked.returncode == 0, worked.stderr
    with databases.connect(urls["shop_worker"]) as conn:
        assert conn.execute("SELECT total FROM shop.receipts").fetchall() == [(5,)]
        for forbidden in (
            "SELECT FROM shop.orders", "CREATE SCHEMA mine", "SELECT pgmq.create('mine')",
            "DROP TABLE pgmq.q_paid_orders", "DELETE FROM pgmq.meta",
        ):  # fmt: skip
            with pytest.raises((errors.InsufficientPrivilege, psycopg.errors.RaiseException)):
                conn.execute(forbidden.encode())
