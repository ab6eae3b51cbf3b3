"""Archived messages, sent again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane

from changelane.contract.schema import SCHEMA_SQL

Connection = psycopg.Connection[Any]


@pytest.fixture
def archive(conn: Connection) -> Connection:
    """3,000 messages in the archive of ``jobs``, one a minute until now."""
    conn.execute("SELECT pgmq.create('jobs')")
    conn.execute(SCHEMA_SQL.encode())
    conn.execute(
        "INSERT INTO pgmq.a_jobs (msg_id, read_ct, enqueued_at, archived_at, vt, message, headers)"
        " SELECT n, 1, now(), now() - (3000 - n) * interval '1 minute', now(), jsonb_build_object('n', n),"
        """ '{"route": "r", "x-pgmq-group": "g", "changelane": {"attempts": 3}}'"""
        " FROM generate_series(1, 3000) AS n"
    )
    return conn


def list_origins(conn: Connection) -> list[int]:
    rows = conn.execute("SELECT (headers->>'replayed_from')::int FROM pgmq.q_jobs ORDER BY msg_id").fetchall()
    return [row[0] for row in rows]


def test_messages_archived_since_a_time_are_sent_in_their_order(
    archive: Connection, run_changelane: RunChangelane
) -> None:
    done = run_changelane("replay", "jobs", "--since", "99.5m", "--until", "49.5m", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "50 messages of jobs sent again.\n"
    assert list_origins(archive) == list(range(2901, 2951))
    row = archive.execute(
        "SELECT message, headers, read_ct FROM pgmq.q_jobs ORDER BY msg_id LIMIT 1"
    ).fetchone()
    assert row == ({"n": 2901}, {"route": "r", "x-pgmq-group": "g", "replayed_from": 2901}, 0)
    assert archive.execute("SELECT count(*) FROM pgmq.a_jobs").fetchone() == (3000,)
    assert archive.execute("SELECT FROM changelane.progress").fetchall() == []


def test_some_are_chosen_by_an_expression(archive: Connection, run_changelane: RunChangelane) -> None:
    where = "(message->>'n')::int % 1000 = 0"
    assert run_changelane("replay", "jobs", "--since", "60h", "--where", where, "--yes").returncode == 0
    assert list_origins(archive) == [1000, 2000, 3000]
    for wrong in ("true) OR (true", "", "nothing > 1"):
        refused = run_changelane("replay", "jobs", "--since", "60h", "--where", wrong, "--yes")
        assert refused.returncode == 1
        assert "--where" in refused.stderr
    # A refused call does not block the next one.
    where = "(message->>'n')::int = 7"
    assert run_changelane("replay", "jobs", "--since", "60h", "--where", where, "--yes").returncode == 0
    assert list_origins(archive) == [1000, 2000, 3000, 7]


def test_a_replay_asks_first_and_wants_an_end_after_its_beginning(
    archive: Connection, run_changelane: RunChangelane
) -> None:
    unasked = run_changelane("replay", "jobs", "--since", "1h")
    assert unasked.returncode == 1
    assert "sending again asks for confirmation" in unasked.stderr
    backwards = run_changelane("replay", "jobs", "--since", "1h", "--until", "2h", "--yes")
    assert backwards.returncode == 1
    assert "'2h' is not after --since 1h" in backwards.stderr
    assert list_origins(archive) == []


def test_a_killed_replay_goes_on_and_doubles_nothing(
    archive: Connection, database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    command = [sys.executable, "-m", "changelane", "replay", "jobs", "--since", "60h", "--yes"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": database},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # Hold the second batch back, so that the kill falls between two.
    archive.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'"
    )
    archive.execute(
        "CREATE TRIGGER slow AFTER INSERT ON pgmq.q_jobs FOR EACH STATEMENT EXECUTE FUNCTION slow()"
    )
    while process.poll() is None and len(list_origins(archive)) < 1000:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    archive.execute("DROP TRIGGER slow ON pgmq.q_jobs")
    assert 1000 <= len(list_origins(archive)) <= 3000
    done = run_changelane("replay", "jobs", "--since", "60h", "--yes")
    assert done.returncode == 0, done.stderr
    assert Counter(list_origins(archive)) == Counter(range(1, 3001))


def test_an_empty_archive_is_refused_with_the_reason(conn: Connection, run_changelane: RunChangelane) -> None:
    conn.execute("SELECT pgmq.create('jobs')")
    refused = run_changelane("replay", "jobs", "--since", "1h", "--yes")
    assert refused.returncode == 1
    assert "the archive of queue jobs is empty" in refused.stderr


@pytest.mark.parametrize("moment", ["yesterday", "2026-01-01T00:00:00", "", "1e9h"])
def test_a_moment_is_a_time_with_its_zone_or_a_duration(
    archive: Connection, run_changelane: RunChangelane, moment: str
) -> None:
    refused = run_changelane("replay", "jobs", "--since", moment, "--yes")
    assert refused.returncode == 1
    assert "--since" in refused.stderr
