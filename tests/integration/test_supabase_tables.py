"""Tables of another role, as ``auth.users`` is for ``postgres`` on Supabase."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.deployment import Declared, bring, declare, find_wrong
from support.supabase import Project, lend_project

from changelane.errors import PreflightError
from changelane.runner.apply.destroy import destroy
from changelane.runner.apply.plan import Plan, plan
from changelane.runner.apply.plan_text import render_sql
from changelane.runner.compare.orphans import find_remains
from changelane.runner.doctor.examine import examine
from changelane.runner.live.observe import observe

SPEC = """
version: 1
project: members
queues:
  user_events: {{}}
routes:
  - name: {route}
    table: {table}
    events: [insert, update, delete]
    queue: user_events
    {more}
consumers:
  user_events: {{handler: handlers:on_user}}
"""
TRIGGERS = "SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'auth.users'::regclass"
ADD = "SET ROLE {owner}; INSERT INTO auth.users (id, email) VALUES (gen_random_uuid(), 'a@b.c'); RESET ROLE"


@pytest.fixture
def project(database: str) -> Iterator[Project]:
    with lend_project(database) as project:
        yield project


def write(project: Project, folder: Path, **values: str) -> Declared:
    values = {"route": "users", "table": "auth.users", "more": "", **values}
    return declare(project.conn, folder, SPEC.format(**values))


def add_user(project: Project) -> None:
    project.run(ADD.replace("{owner}", "{supabase_auth_admin}"))


def count(project: Project) -> int:
    ((messages,),) = project.rows("SELECT count(*) FROM pgmq.q_user_events")
    return int(messages)


def look(project: Project, declared: Declared, **options: Any) -> Plan:
    return plan(declared.manifest, observe(project.conn, declared.manifest), **options)


def end(project: Project, declared: Declared, **options: Any) -> Plan:
    silent = {"confirm": lambda planned: None, "report": lambda step: None, "notify": lambda message: None}
    return destroy(project.conn, declared.manifest, **{**silent, **options})


def list_codes(project: Project, declared: Declared) -> set[str]:
    return {finding.code for finding in examine(project.conn, declared.manifest)}


@pytest.mark.parametrize("grants", ["ALL", "TRIGGER"])
@pytest.mark.parametrize("capture", ["statement", "row"])
def test_a_table_of_another_role_is_captured_the_whole_way(
    project: Project, tmp_path: Path, grants: str, capture: str
) -> None:
    project.run(f"REVOKE ALL ON auth.users FROM {{postgres}}; GRANT {grants} ON auth.users TO {{postgres}}")
    declared = write(project, tmp_path, more=f"capture: {capture}")
    bring(project.conn, declared)
    add_user(project)
    project.run("UPDATE auth.users SET email = 'x'; DELETE FROM auth.users")
    assert count(project) == 3
    # Nothing marks the triggers, and nothing is missing.
    assert project.rows("SELECT count(obj_description(oid, 'pg_trigger')) FROM pg_trigger") == [(0,)]
    assert find_wrong(project.conn, declared) == []
    assert look(project, declared).steps == ()
    assert list_codes(project, declared) & {"capture-missing", "still-sending", "route-blocked"} == set()

    # A change of the route is a change of functions, or of the trigger's definition.
    other = write(project, tmp_path, more=f"capture: {'row' if capture == 'statement' else 'statement'}")
    assert {step.action for step in look(project, other).steps} == {"change"}
    bring(project.conn, other)
    add_user(project)
    assert count(project) == 4
    assert find_wrong(project.conn, other) == []


def test_the_printed_sql_runs_as_that_role(project: Project, tmp_path: Path) -> None:
    declared = write(project, tmp_path)
    script = render_sql(look(project, declared), declared.files)
    subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", project.url],
        input=script, text=True, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert find_wrong(project.conn, declared) == []
    add_user(project)
    assert count(project) == 1


def test_a_disabled_or_changed_trigger_is_seen_and_fixed(project: Project, tmp_path: Path) -> None:
    declared = write(project, tmp_path)
    bring(project.conn, declared)
    ((name, function),) = project.rows(
        "SELECT tgname, proname FROM pg_trigger, pg_proc WHERE pg_proc.oid = tgfoid AND tgname ~ '_insert_'"
    )
    project.run(f'ALTER TABLE auth.users DISABLE TRIGGER "{name}"')
    assert [item.split()[0] for item in find_wrong(project.conn, declared)] == ["disabled"]
    assert "trigger-disabled" in list_codes(project, declared)
    bring(project.conn, declared)
    add_user(project)
    assert count(project) == 1
    project.run(
        f'CREATE OR REPLACE TRIGGER "{name}" AFTER INSERT ON auth.users'
        " REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT WHEN (false)"
        f' EXECUTE FUNCTION changelane."{function}"()'
    )
    assert [item.split()[0] for item in find_wrong(project.conn, declared)] == ["drifted"]
    bring(project.conn, declared)
    add_user(project)
    assert (count(project), find_wrong(project.conn, declared)) == (2, [])


def test_triggers_that_the_role_may_not_drop_send_nothing_any_more(project: Project, tmp_path: Path) -> None:
    declared = write(project, tmp_path)
    bring(project.conn, declared)
    done = end(project, declared)
    assert {(step.action, step.kind) for step in done.steps} == {("retire", "function")}
    assert len(done.notes) == 4  # the queues, too
    owner = project.roles["supabase_auth_admin"]
    assert all(f"only {owner}, who owns the table, may: DROP TRIGGER" in note for note in done.notes[:3])
    add_user(project)
    assert count(project) == 0
    assert list(find_remains("members", observe(project.conn, declared.manifest))) == []
    assert "trigger-retired" in list_codes(project, declared)

    # Applied again, the same triggers send again.
    assert {step.action for step in look(project, declared).steps} == {"change"}
    bring(project.conn, declared)
    add_user(project)
    assert (count(project), find_wrong(project.conn, declared)) == (1, [])

    # Once the owner dropped them, the functions go, too.
    done = end(project, declared)
    for note in done.notes[:3]:
        project.run("SET ROLE {supabase_auth_admin}; " + note.partition("may: ")[2] + " RESET ROLE")
    again = end(project, declared)
    assert [step.kind for step in again.steps if step.action == "destroy"].count("function") == 3
    assert project.rows(TRIGGERS) == []


def test_a_renamed_route_takes_over_and_nothing_is_sent_twice(project: Project, tmp_path: Path) -> None:
    bring(project.conn, write(project, tmp_path))
    declared = write(project, tmp_path, route="members")
    bring(project.conn, declared)
    add_user(project)
    assert count(project) == 1
    assert find_wrong(project.conn, declared) == []
    assert look(project, declared).steps == ()
    assert any("stays, and its function does nothing" in note for note in look(project, declared).notes)
    # Without a route for the table, prune ends it.
    other = write(project, tmp_path, route="files", table="storage.objects")
    bring(project.conn, other, prune=True)
    add_user(project)
    assert count(project) == 1
    assert (find_wrong(project.conn, other), look(project, other, prune=True).steps) == ([], ())


def test_missing_rights_are_reported_before_anything_is_done(project: Project, tmp_path: Path) -> None:
    project.run("REVOKE TRIGGER ON auth.users FROM {postgres}")
    declared = write(project, tmp_path)
    with pytest.raises(PreflightError) as refused:
        bring(project.conn, declared)
    (problem,) = refused.value.problems
    assert "may not make triggers on auth.users" in problem.what
    assert 'GRANT TRIGGER ON "auth"."users" TO' in problem.fix
    project.run("GRANT TRIGGER ON auth.users TO {postgres}")
    always = write(project, tmp_path, more="fire: always")
    with pytest.raises(PreflightError) as refused:
        bring(project.conn, always)
    assert all(
        "only its owner may have a trigger fire always" in error.what for error in refused.value.problems
    )
    assert project.rows("SELECT FROM pg_namespace WHERE nspname = 'changelane'") == []
    bring(project.conn, declared)


def test_a_member_of_the_owner_marks_and_drops_as_the_owner(project: Project, tmp_path: Path) -> None:
    project.run("GRANT {supabase_auth_admin} TO {postgres}")
    declared = write(project, tmp_path)
    bring(project.conn, declared)
    assert project.rows("SELECT count(obj_description(oid, 'pg_trigger')) FROM pg_trigger") == [(3,)]
    # It is no member any more: what its mark says of the triggers is true still.
    project.run("REVOKE {supabase_auth_admin} FROM {postgres}")
    assert (find_wrong(project.conn, declared), look(project, declared).steps) == ([], ())
    other = write(project, tmp_path, more="payload: {columns: [id]}")
    bring(project.conn, other)
    assert (find_wrong(project.conn, other), look(project, other).steps) == ([], ())
    project.run("GRANT {supabase_auth_admin} TO {postgres}")
    bring(project.conn, other)
    assert find_wrong(project.conn, other) == []
    end(project, other)
    assert project.rows(TRIGGERS) == []


def test_a_partitioned_table_of_another_role(project: Project, tmp_path: Path) -> None:
    project.run(
        "CREATE TABLE auth.sessions (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE auth.low PARTITION OF auth.sessions FOR VALUES FROM (0) TO (10);"
        "ALTER TABLE auth.sessions OWNER TO {supabase_auth_admin};"
        "ALTER TABLE auth.low OWNER TO {supabase_auth_admin};"
        "GRANT TRIGGER ON auth.sessions TO {postgres}"
    )
    declared = write(project, tmp_path, table="auth.sessions")
    with pytest.raises(PreflightError) as refused:
        bring(project.conn, declared)
    assert "may not make triggers on partitions of auth.sessions: auth.low" in refused.value.problems[0].what
    project.run("GRANT TRIGGER ON auth.low TO {postgres}")
    bring(project.conn, declared)
    project.run("INSERT INTO auth.low VALUES (1); INSERT INTO auth.sessions VALUES (2)")
    assert (count(project), find_wrong(project.conn, declared)) == (2, [])
    project.run("ALTER TABLE auth.low DISABLE TRIGGER USER")
    assert {item.split()[0] for item in find_wrong(project.conn, declared)} == {"disabled"}
    bring(project.conn, declared)
    project.run("DELETE FROM auth.low")
    assert (count(project), find_wrong(project.conn, declared)) == (4, [])
