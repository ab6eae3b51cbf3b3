"""Partitioned queues of any interval, time zone and name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import RunChangelane
from support.deployment import find_wrong
from support.pg_partman import install_partman
from test_partitions import ARCHIVED, ORDERED, SPEC, Connection, change, look, one

from changelane.errors import SpecError

BOUNDS = """
    SELECT pg_get_expr(relpartbound, oid) FROM pg_class
    WHERE oid IN (SELECT relid FROM pg_partition_tree('pgmq.q_events') WHERE isleaf)
    ORDER BY relname
"""


@pytest.fixture
def conn(conn: Connection) -> Connection:
    install_partman(conn)
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    conn.execute("CREATE TABLE seen (op text, id int, status text)")
    return conn


@pytest.mark.parametrize(
    ("interval", "retain"),
    [
        ("10s", "1m"),
        ("90 minutes", "1 day"),
        ("1 hour", "3 hours"),
        ("36 hours", "36 hours"),
        ("1 week", "4 weeks"),
    ],
)
def test_any_interval_is_cut_and_kept_and_the_longest_name_fits(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane, interval: str, retain: str
) -> None:
    name = "q" * 47
    spec = ORDERED.replace("1 day, retain: 2 days", f"{interval}, retain: {retain}")
    spec = spec.replace("    kind", "    dead_letter: dead\n    archive: {keep: 90 minutes}\n    kind")
    declared = change(
        conn, tmp_path, spec.replace("  events:", f"  {name}:").replace("queue: events", f"queue: {name}")
    )
    done = run_changelane("maintain")
    assert done.returncode == 0, done.stderr
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    assert run_changelane("work", "--drain").returncode == 0
    assert one(conn, f"SELECT count(*) FROM pgmq.a_{name}") == 1
    assert find_wrong(conn, declared) == []


def test_the_zone_of_a_session_makes_no_gap_between_partitions(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute("SET TimeZone = 'Asia/Tokyo'")
    change(conn, tmp_path, SPEC)
    conn.execute("SET TimeZone = 'UTC'")
    conn.execute("UPDATE partman.part_config SET premake = 6")
    assert run_changelane("maintain", env={"PGTZ": "America/New_York"}).returncode == 0
    bounds = [bound for (bound,) in conn.execute(BOUNDS) if bound != "DEFAULT"]
    assert all("00:00:00+00" in bound for bound in bounds)
    starts, ends = ([bound.split("'")[place] for bound in bounds] for place in (1, 3))
    assert starts[1:] == ends[:-1]


@pytest.mark.parametrize("name", ["My Events", "50% off", "größe", 'say "hi"', "a.b"])
def test_a_partitioned_queue_has_any_name_that_pg_partman_takes(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane, name: str
) -> None:
    spec = ARCHIVED.replace("events:\n    kind", f"{json.dumps(name)}:\n    kind").replace(
        "queue: events", f"queue: {json.dumps(name)}"
    )
    spec = spec.replace("  events: {handler", f"  {json.dumps(name)}: {{handler")
    if "." in name:
        with pytest.raises(SpecError) as refused:
            change(conn, tmp_path, spec)
        assert "pg_partman" in refused.value.diagnostics[0].summary
        return
    declared = change(conn, tmp_path, spec)
    conn.execute("INSERT INTO orders VALUES (1, 'new'), (2, 'new')")
    for arguments in (["work", "--drain"], ["maintain"], ["peek", name], ["verify"]):
        done = run_changelane(*arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    assert one(conn, "SELECT count(*) FROM seen") == 2
    assert look(conn, declared).steps == ()
    done = run_changelane("destroy", "--yes", "--drop-queues", "--discard-messages", name)
    assert done.returncode == 0, done.stderr
    assert one(conn, "SELECT count(*) FROM pgmq.meta") == 0
    assert one(conn, "SELECT count(*) FROM pg_class WHERE relname ~ '^(template_pgmq_)?[qa]_'") == 0
