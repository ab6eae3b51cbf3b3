"""People release a key that a failed message blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.workers import Bench

from changelane.contract.manifest import Retry

INDEX = """
    CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)
"""
HANDLER = """
    def handle(change: Change) -> None:
        if change.new["value"] == 1 and not Path("fixed").exists():
            raise ValueError("not yet")
        note(f"{change.headers['x-pgmq-group']} {change.new['value']} {change.attempt}")
"""


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    """Key a holds 1, which is blocked, and 2, which waits; key b has been handled."""
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    conn.execute(INDEX)
    bench.declare(
        HANDLER, ordering="key", on_exhausted="block", retry=Retry(attempts=2, first=0.05, max=0.05)
    )
    for key, value in (("a", "1"), ("a", "2"), ("b", "3")):
        bench.send(value, headers={"route": "things", "x-pgmq-group": key})
    work_until_blocked(bench)
    assert bench.notes == ["b 3 1"]
    return bench


def work_until_blocked(bench: Bench) -> None:
    with bench.worker("--drain") as process:
        assert process.wait(30) == 1
    assert "changelane unblock" in bench.log


def test_a_blocked_message_is_seen_with_its_error(bench: Bench, run_changelane: RunChangelane) -> None:
    shown = run_changelane("peek", "jobs", "--state", "blocked", "--id", "1").stdout
    assert "message 1: blocked" in shown
    assert "failed attempts: 2" in shown
    assert "ValueError: not yet" in shown


def test_tried_again_it_has_all_its_attempts_and_its_key_goes_on(
    bench: Bench, run_changelane: RunChangelane
) -> None:
    done = run_changelane("unblock", "jobs")
    assert done.stdout == "1 blocked message of jobs to be tried again.\n"
    work_until_blocked(bench)
    assert bench.notes == ["b 3 1"]
    (bench.folder / "fixed").touch()
    assert run_changelane("unblock", "jobs", "--id", "1").returncode == 0
    bench.drain()
    assert bench.notes == ["b 3 1", "a 1 1", "a 2 1"]


@pytest.mark.parametrize(("way", "letters"), [("--dead-letter", 1), ("--discard", 0)])
def test_without_it_its_key_goes_on(
    bench: Bench, run_changelane: RunChangelane, way: str, letters: int
) -> None:
    done = run_changelane("unblock", "jobs", way, "--yes")
    assert done.returncode == 0, done.stderr
    bench.drain()
    assert bench.notes == ["b 3 1", "a 2 1"]
    assert bench.count("pgmq.q_jobs_dlq") == letters
    assert run_changelane("unblock", "jobs").stdout == "0 blocked messages of jobs to be tried again.\n"


def test_keys_that_are_not_blocked_are_left_alone(bench: Bench, run_changelane: RunChangelane) -> None:
    refused = run_changelane("unblock", "jobs", "--id", "2")
    assert refused.returncode == 1
    assert "queue jobs has no blocked message 2; nothing was changed" in refused.stderr
    asked = run_changelane("unblock", "jobs", "--discard")
    assert asked.returncode == 1
    assert "--yes" in asked.stderr
    assert bench.queued == 2
