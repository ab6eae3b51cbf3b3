"""A role without rights: hidden objects are not called missing, and the printed GRANTs are enough."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.api_roles import lend_roles
from support.deployment import bring, declare

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  jobs: {archive: {keep: 1 day}}
routes:
  - {name: things, table: public.things, events: [insert], queue: jobs}
consumers:
  jobs: {handler: "handlers:handle", ordering: key, retry: {attempts: 1}}
"""
HANDLER = """
from changelane import Change

def handle(change: Change) -> None:
    if change.new["id"] == 2:
        raise ValueError("two")
"""


@pytest.fixture
def role(conn: Connection, tmp_path: Path) -> Iterator[str]:
    """A role that may do nothing, in a database with a queue of two messages."""
    (tmp_path / "handlers.py").write_text(HANDLER)
    conn.execute("CREATE TABLE things (id int PRIMARY KEY)")
    bring(conn, declare(conn, tmp_path, SPEC))
    conn.execute("INSERT INTO things VALUES (1), (2), (3)")
    conn.execute("SELECT pgmq.archive('jobs', 3)")
    with lend_roles(conn, ["nobody"]) as roles:
        yield roles["nobody"]


COMMANDS = {
    "peek": ["peek", "jobs"],
    "send": ["send", "jobs", "{}"],
    "purge": ["purge", "jobs", "--yes"],
    "dead-letter": ["dead-letter", "list", "jobs"],
    "redrive": ["dead-letter", "redrive", "jobs"],
    "discard": ["dead-letter", "discard", "jobs", "--yes"],
    "pause": ["pause", "jobs"],
    "resume": ["resume", "jobs"],
    "replay": ["replay", "jobs", "--since", "1h", "--yes"],
    "maintain": ["maintain"],
    "work": ["work", "--drain"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_grants_that_an_error_prints_are_all_that_a_command_takes(
    conn: Connection, role: str, run_changelane: Any, name: str
) -> None:
    as_role = {"PGOPTIONS": f"-c role={role}"}
    refused = run_changelane(*COMMANDS[name], env=as_role)
    assert refused.returncode == 1
    assert role in refused.stderr
    assert "does not exist" not in refused.stderr
    grants = re.findall(r'GRANT [^;\n]*? TO "\w+"', refused.stderr)
    assert grants
    for grant in grants:
        conn.execute(grant.encode())
    done = run_changelane(*COMMANDS[name], env=as_role)
    assert done.returncode == 0, done.stderr
    # None of them gives more than another refusal would ask for.
    for grant in grants:
        if "SCHEMA" not in grant and "meta" not in grant:
            assert "ALL" not in grant


def test_a_missing_queue_is_not_reported_as_hidden(conn: Connection, role: str, run_changelane: Any) -> None:
    gone = run_changelane("peek", "nothing", env={"PGOPTIONS": f"-c role={role}"})
    assert gone.returncode == 1
    assert "queue nothing does not exist" in gone.stderr
    assert f'GRANT SELECT ON pgmq.meta TO "{role}"' in gone.stderr


def test_the_doctor_says_what_it_did_not_look_at(conn: Connection, role: str, run_changelane: Any) -> None:
    conn.execute(f"GRANT USAGE ON SCHEMA pgmq TO {role}; GRANT SELECT ON pgmq.meta TO {role}".encode())
    as_role = {"PGOPTIONS": f"-c role={role}"}
    looked = run_changelane("doctor", env=as_role)
    assert "queue-gone" not in looked.stdout
    assert f'GRANT SELECT ON pgmq.q_jobs TO "{role}"' in looked.stderr
    assert f'GRANT USAGE ON SCHEMA changelane TO "{role}"' in looked.stderr
    conn.execute(f"REVOKE USAGE ON SCHEMA pgmq FROM {role}".encode())
    looked = run_changelane("doctor", env=as_role)
    assert "queue-gone" not in looked.stdout
    assert f'GRANT USAGE ON SCHEMA pgmq TO "{role}"' in looked.stderr


def test_a_queue_that_row_security_empties_is_not_taken_for_drained(
    conn: Connection, role: str, run_changelane: Any
) -> None:
    conn.execute(f"GRANT USAGE ON SCHEMA pgmq, changelane TO {role}".encode())
    conn.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA pgmq TO {role}".encode())
    conn.execute("ALTER TABLE pgmq.q_jobs ENABLE ROW LEVEL SECURITY")
    as_role = {"PGOPTIONS": f"-c role={role}"}
    worked = run_changelane("work", "--drain", env=as_role)
    assert worked.returncode == 1
    assert f"row security shows role {role} no message of queue jobs" in worked.stderr
    assert "row security shows role" in run_changelane("doctor", env=as_role).stderr


def test_a_hidden_schema_is_reported_as_blocked_and_not_as_missing(
    conn: Connection, role: str, run_changelane: Any
) -> None:
    as_role = {"PGOPTIONS": f"-c role={role}"}
    for command in ("status", "verify"):
        looked = run_changelane(command, env=as_role)
        assert "missing" not in looked.stdout
        assert re.search(f"blocked +schema +pgmq .*not visible to role {role}", looked.stdout)
        for grant in re.findall(r'GRANT [^;\n]*? TO "\w+"', looked.stderr):
            conn.execute(grant.encode())
        looked = run_changelane(command, env=as_role)
        assert looked.returncode == 0, looked.stdout
        conn.execute(f"REVOKE ALL ON pgmq.meta FROM {role}; REVOKE ALL ON SCHEMA pgmq FROM {role}".encode())
