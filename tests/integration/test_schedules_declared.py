"""Schedules in plan, verify, destroy and the commands for people."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.deployment import bring, declare, find_wrong
from support.schedules import (
    EVERY_SECOND,
    ROW,
    YEARLY,
    apply_spec,
    list_runs,
    one,
    open_clock,
    set_next,
)

from changelane.errors import PreflightError
from changelane.runner.apply.destroy import destroy


@pytest.fixture
def apply(conn: psycopg.Connection[Any], tmp_path: Path) -> Callable[..., Any]:
    return partial(apply_spec, conn, tmp_path)


@pytest.fixture
def clock(database: str) -> Iterator[Callable[[], None]]:
    with open_clock(database) as look:
        yield look


def test_it_is_planned_verified_pruned_and_destroyed_like_the_rest(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], tmp_path: Path, clock: Callable[[], None]
) -> None:
    declared = apply(EVERY_SECOND)
    assert find_wrong(conn, declared) == []
    conn.execute("UPDATE changelane.schedules SET every = 7")
    assert find_wrong(conn, declared) == ["drifted schedule beat"]
    bring(conn, declared)
    assert one(conn, "SELECT every FROM changelane.schedules") == (1,)
    conn.execute("DELETE FROM changelane.schedules")
    assert find_wrong(conn, declared) == ["missing schedule beat"]
    bring(conn, declared)
    gone = apply(YEARLY)
    assert find_wrong(conn, gone) == ["orphaned schedule beat"]
    apply(YEARLY, prune=True)
    assert find_wrong(conn, gone) == []
    assert one(conn, "SELECT array_agg(name) FROM changelane.schedules") == (["new_year"],)
    # A worker of the old manifest asks the database, which knows of none.
    clock()
    assert list_runs(conn) == []
    other = declare(conn, tmp_path, YEARLY.replace("shop", "other"))
    bring(conn, other)
    silent: dict[str, Any] = {
        "confirm": lambda planned: False, "report": lambda step: None, "notify": lambda message: None
    }  # fmt: skip
    destroy(conn, gone.manifest, **silent)
    assert one(conn, "SELECT array_agg(project) FROM changelane.schedules") == (["other"],)
    destroy(conn, other.manifest, **silent)
    assert one(conn, "SELECT to_regnamespace('changelane')") == (None,)


def test_a_role_that_may_not_declare_is_told_before_anything_is_done(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    apply(YEARLY)
    changed = declare(conn, tmp_path, EVERY_SECOND)
    role = f"applier_{os.getpid()}_{time.time_ns()}"
    conn.execute(
        f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA changelane, pgmq TO {role}; "
        f"GRANT SELECT ON ALL TABLES IN SCHEMA pgmq TO {role}".encode()
    )
    try:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute(f"SET ROLE {role}".encode())
            with pytest.raises(PreflightError) as caught:
                bring(other, changed)
        assert f"role {role} may not write table changelane.schedules" in "".join(
            str(problem) for problem in caught.value.problems
        )
    finally:
        conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_a_person_pauses_resumes_and_runs_a_schedule(
    apply: Callable[..., Any], conn: psycopg.Connection[Any], clock: Callable[[], None],
    run_changelane: RunChangelane,
) -> None:  # fmt: skip
    apply(EVERY_SECOND)
    clock()
    done = run_changelane("schedule", "pause", "beat")
    assert (done.returncode, done.stdout) == (0, "Schedule beat is paused.\n")
    assert run_changelane("schedule", "pause", "beat").stdout == "Schedule beat was paused already.\n"
    set_next(conn, "-1 hour")
    clock()
    assert list_runs(conn) == []
    listed = json.loads(run_changelane("schedule", "list", "--format", "json").stdout)
    assert [(entry["name"], entry["paused"], entry["runs"]) for entry in listed["schedules"]] == [
        ("beat", True, 0)
    ]
    done = run_changelane("schedule", "run", "beat")
    assert (done.returncode, done.stdout) == (0, "Sent as message 1 to queue beats.\n")
    assert len(list_runs(conn)) == 1
    assert run_changelane("schedule", "resume", "beat").stdout == "Schedule beat runs again.\n"
    clock()
    # What would have run meanwhile does not run later.
    following, _, runs, *_ = one(conn, ROW)
    assert runs == 1
    assert following > one(conn, "SELECT now() - interval '1 minute'")[0]
    assert "beat" in run_changelane("schedule", "list").stdout
    wrong = run_changelane("schedule", "run", "beet")
    assert wrong.returncode == 1
    assert "did you mean `beat`?" in wrong.stderr
    assert "last run" in run_changelane("status").stdout
