"""Rights, policies and API that were changed by hand: what plan and verify say, and what apply sets right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_roles import lend_roles
from support.deployment import Declared, bring, find_wrong
from test_access import ROLES, Connection, apply_access

from changelane.runner.compare.compare import compare
from changelane.runner.live.observe import observe


@pytest.fixture
def roles(conn: Connection) -> Iterator[dict[str, str]]:
    with lend_roles(conn, ROLES) as roles:
        yield roles


@pytest.fixture
def declared(conn: Connection, tmp_path: Path, roles: dict[str, str]) -> Declared:
    return apply_access(conn, tmp_path, roles)


DRIFTS = {
    "DROP POLICY {policy} ON pgmq.q_jobs": "is gone",
    "ALTER POLICY {policy} ON pgmq.q_jobs USING (true)": "was changed",
    "ALTER POLICY {policy} ON pgmq.q_jobs TO PUBLIC": "",
    "COMMENT ON POLICY {policy} ON pgmq.q_jobs IS NULL": "comment of policy",
    "ALTER TABLE pgmq.q_jobs DISABLE ROW LEVEL SECURITY": "row",
    "ALTER TABLE pgmq.a_jobs DISABLE ROW LEVEL SECURITY": "row",
    "GRANT DELETE ON pgmq.q_jobs TO {read}": "may also",
    "GRANT UPDATE (message) ON pgmq.q_jobs TO {read}": "may also",
    "REVOKE SELECT ON pgmq.q_jobs FROM {read}": "may not",
    "GRANT SELECT ON pgmq.q_jobs TO PUBLIC": "PUBLIC",
    "REVOKE USAGE ON SCHEMA pgmq FROM {read}": "schema pgmq",
    "GRANT USAGE ON SCHEMA pgmq_public TO {anon}": "may use it",
    "GRANT CREATE ON SCHEMA pgmq_public TO {read}": "may create in it",
    "GRANT EXECUTE ON FUNCTION pgmq_public.delete TO {read}": "may execute",
    "REVOKE EXECUTE ON FUNCTION pgmq_public.read FROM {read}": "may not execute",
    "ALTER FUNCTION pgmq_public.read SECURITY DEFINER": "functions were changed",
    "ALTER FUNCTION pgmq_public.read RESET search_path": "functions were changed",
    "DROP FUNCTION pgmq_public.pop": "functions were changed",
}


@pytest.mark.parametrize("statement", DRIFTS)
def test_rights_changed_by_hand_are_seen_and_fixed(
    conn: Connection, declared: Declared, roles: dict[str, str], statement: str
) -> None:
    (policy,) = conn.execute(
        "SELECT policyname FROM pg_policies"
        " WHERE tablename = 'q_jobs' AND cmd = 'SELECT' AND %s = ANY (roles)",
        [roles["read"]],
    ).fetchone() or ("",)
    conn.execute(statement.format(policy=policy, **roles).encode())
    wrong = [
        thing for thing in compare(declared.manifest, observe(conn, declared.manifest)) if thing.state != "ok"
    ]
    assert wrong
    assert DRIFTS[statement] in "; ".join(f"{thing.state}: {thing.detail}" for thing in wrong)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []


def test_a_policy_by_hand_that_opens_more_is_for_a_person_to_decide(
    conn: Connection, declared: Declared, roles: dict[str, str], run_changelane: Any
) -> None:
    conn.execute("CREATE POLICY everything ON pgmq.q_jobs USING (true)")
    found = run_changelane("verify")
    assert found.returncode == 2
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    assert "policy everything on queue jobs, made by hand, opens more messages to role" in refused.stderr
    conn.execute(
        "DROP POLICY everything ON pgmq.q_jobs; CREATE POLICY less ON pgmq.q_jobs AS RESTRICTIVE USING (true)"
    )
    assert run_changelane("verify").returncode == 0


def test_rights_granted_by_hand_are_reported(
    conn: Connection, declared: Declared, roles: dict[str, str], run_changelane: Any
) -> None:
    for right in ("SELECT, DELETE ON pgmq.q_jobs", "SELECT ON pgmq.a_jobs"):
        conn.execute(f"GRANT {right} TO {roles['anon']}, pg_monitor".encode())
    told = run_changelane("plan").stdout
    assert f"jobs for {roles['anon']}: it may SELECT on the archive, DELETE, SELECT, and nothing decl" in told
    assert "jobs for pg_monitor: it may DELETE, and nothing declares it" in told


def test_a_schema_that_lost_its_mark_is_adopted(conn: Connection, declared: Declared) -> None:
    conn.execute("COMMENT ON SCHEMA pgmq_public IS NULL")
    assert find_wrong(conn, declared) == ["drifted api pgmq_public"]
    bring(conn, declared)
    assert find_wrong(conn, declared) == []


@pytest.mark.parametrize(
    "change",
    [
        "COMMENT ON SCHEMA pgmq_public IS 'of someone'",
        "COMMENT ON SCHEMA pgmq_public IS NULL; DROP FUNCTION pgmq_public.pop(text)",
    ],
)
def test_a_schema_of_others_is_left_alone(conn: Connection, declared: Declared, change: str) -> None:
    conn.execute(change.encode())
    assert find_wrong(conn, declared) == ["foreign api pgmq_public"]
    assert not bring(conn, declared).steps
