"""Obstacles to partitioned queues on a server."""

from __future__ import annotations

from typing import Any

import pytest

from changelane.runner.live.partman import Partman, find_obstacle

GOOD: dict[str, Any] = {
    "server": 17,
    "version": "5.2.4",
    "schema": "partman",
    "offered": True,
    "readable": True,
    "writable": True,
    "creates": True,
    "asks_version": True,
}


@pytest.mark.parametrize("version", ["4.0.0", "4.7.2", "5.0.0", "5.2.4"])
def test_versions_that_pgmq_knows_are_no_obstacle(version: str) -> None:
    assert find_obstacle(Partman(**{**GOOD, "version": version}), role="app", has_pgmq=True) == ("", "")


@pytest.mark.parametrize(
    ("facts", "what", "fix"),
    [
        (
            {"version": None, "offered": False},
            "the server does not offer pg_partman",
            "postgresql-17-partman",
        ),
        ({"version": None}, "is not installed in the database", "CREATE EXTENSION pg_partman SCHEMA partman"),
        ({"version": "3.2.1"}, "pg_partman 3.2.1 is too old for pgmq", "ALTER EXTENSION pg_partman UPDATE"),
        ({"version": "6.0.0"}, "the installed pgmq does not know pg_partman 6.0.0", "EXTENSION pgmq UPDATE"),
        ({"asks_version": False}, "does not know pg_partman 5.2.4", "ALTER EXTENSION pgmq UPDATE"),
        ({"creates": False}, "pgmq has no create_partitioned", "ALTER EXTENSION pgmq UPDATE"),
        ({"writable": False}, "role app may not use pg_partman", 'ON SCHEMA "partman" TO "app"'),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_obstacles_are_reported_with_their_fix(facts: dict[str, Any], what: str, fix: str) -> None:
    found = find_obstacle(Partman(**{**GOOD, **facts}), role="app", has_pgmq=True)
    assert what in found[0]
    assert fix in found[1]


def test_an_old_partman_is_known_to_a_pgmq_that_does_not_ask_for_its_version() -> None:
    partman = Partman(**{**GOOD, "version": "4.7.2", "asks_version": False})
    assert find_obstacle(partman, role="app", has_pgmq=True) == ("", "")


def test_before_pgmq_is_installed_only_pg_partman_counts() -> None:
    partman = Partman(**{**GOOD, "creates": False, "asks_version": False})
    assert find_obstacle(partman, role="app", has_pgmq=False) == ("", "")
