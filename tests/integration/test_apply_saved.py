from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.deployment import Declared, declare, find_wrong

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
  - name: paid
    table: public.orders
    events: [insert]
    queue: events
  - name: sent
    table: public.parcels
    events: [insert]
    queue: events
"""


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    conn.execute("CREATE TABLE parcels (id int PRIMARY KEY)")
    return declare(conn, tmp_path, SPEC)


def test_a_saved_plan_is_applied_as_it_was_saved(
    conn: Connection, declared: Declared, tmp_path: Path, run_changelane: Any
) -> None:
    saved = run_changelane("plan", "--save", "plan.json")
    assert saved.stdout.endswith("Plan: 7 to add, 0 to change, 0 to destroy.\n")
    text = (tmp_path / "plan.json").read_text()
    assert text.startswith('{\n  "format_version": 2,')
    printed = json.loads(run_changelane("plan", "--format", "json").stdout)
    assert printed.pop("warnings") == [], "a saved plan holds none"
    assert json.loads(text) == printed
    applied = run_changelane("apply", "plan.json")
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout.endswith("Applied and verified: 7 added, 0 changed, 0 destroyed.\n")
    assert find_wrong(conn, declared) == []

    again = run_changelane("apply", "plan.json")
    assert again.returncode == 1
    assert "the saved plan is stale: not found as when it was saved: function paid_insert_" in again.stderr


@pytest.mark.usefixtures("declared")
def test_a_saved_plan_is_refused_once_the_database_or_sql_out_changed(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    run_changelane("plan", "--save", "plan.json")
    conn.execute("SELECT pgmq.create('events')")
    stale = run_changelane("apply", "plan.json")
    assert stale.returncode == 1
    assert "not found as when it was saved: queue events; nothing was changed" in stale.stderr
    assert "plan --save" in stale.stderr

    run_changelane("plan", "--save", "plan.json")
    declare(conn, tmp_path, SPEC.replace("events: [insert]", "events: [delete]", 1))
    stale = run_changelane("apply", "plan.json")
    assert stale.returncode == 1
    assert "sql_out/ was generated anew since" in stale.stderr
    assert conn.execute("SELECT FROM pg_namespace WHERE nspname = 'changelane'").fetchone() is None


def test_a_saved_plan_holds_its_options_and_asks_no_more(
    conn: Connection, declared: Declared, tmp_path: Path, run_changelane: Any
) -> None:
    assert run_changelane("apply", "--yes").returncode == 0
    fewer = declare(conn, tmp_path, SPEC[: SPEC.index("  - name: sent")])
    run_changelane("plan", "--prune", "--save", "plan.json")
    assert run_changelane("apply", "--prune", "plan.json").returncode == 1
    pruned = run_changelane("apply", "plan.json")
    assert pruned.returncode == 0, pruned.stderr
    assert find_wrong(conn, fewer) == []
    assert fewer.manifest.captures != declared.manifest.captures


@pytest.mark.usefixtures("declared")
def test_a_plan_with_other_steps_than_follow_is_refused(tmp_path: Path, run_changelane: Any) -> None:
    run_changelane("plan", "--save", "plan.json")
    path = tmp_path / "plan.json"
    content = json.loads(path.read_text())
    content["steps"][0]["sql"] = "DROP TABLE orders;"
    path.write_text(json.dumps(content))
    refused = run_changelane("apply", "plan.json")
    assert refused.returncode == 1
    assert "its steps are not those that follow" in refused.stderr


@pytest.mark.parametrize("content", [None, "", "[]", '{"format_version": 1}'])
@pytest.mark.usefixtures("declared")
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, run_changelane: Any, content: str | None) -> None:
    if content is not None:
        (tmp_path / "plan.json").write_text(content)
    refused = run_changelane("apply", "plan.json")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "plan.json" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_edited_file_is_refused_with_a_diff(
    declared: Declared, tmp_path: Path, run_changelane: Any
) -> None:
    route = declared.out / "routes/paid.sql"
    route.write_text(route.read_text().replace("SECURITY DEFINER", "SECURITY INVOKER"))
    (declared.out / "queues/events.sql").unlink()
    for command in ("plan", "apply"):
        refused = run_changelane(command)
        assert refused.returncode == 1
        assert re.search(r"\n-(.*)SECURITY DEFINER\b.*\n\+\1SECURITY INVOKER\b", refused.stderr)
        assert "--- sql_out/queues/events.sql as generated\n+++ missing" in refused.stderr
        assert "run `changelane generate`" in refused.stderr
    (tmp_path / "pipelines.yaml").unlink()
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    assert "pipelines.yaml is not here" in refused.stderr


def test_no_diff_is_made_up_where_the_spec_changed_too(
    declared: Declared, tmp_path: Path, run_changelane: Any
) -> None:
    (declared.out / "routes/paid.sql").write_text("")
    (tmp_path / "pipelines.yaml").write_text(SPEC.replace("events: [insert]", "events: [delete]"))
    refused = run_changelane("apply", "--yes")
    assert "pipelines.yaml changed since sql_out was generated from it" in refused.stderr


@pytest.mark.usefixtures("declared")
def test_events_are_one_json_object_a_line(conn: Connection, run_changelane: Any) -> None:
    applied = run_changelane("apply", "--yes", "--format", "json")
    events = [json.loads(line) for line in applied.stdout.splitlines()]
    assert [event["event"] for event in events] == ["plan", *["step"] * 7, "end"]
    assert all(event["format_version"] == 2 for event in events)
    assert events[-1]["summary"] == {"add": 7, "change": 0, "destroy": 0}
    assert events[0]["steps"][-1]["lock"] == "SHARE ROW EXCLUSIVE on public.parcels"
    conn.execute("DROP TABLE parcels")
    refused = run_changelane("apply", "--yes", "--format", "json")
    assert refused.returncode == 1
    planned, event = [json.loads(line) for line in refused.stdout.splitlines()]
    assert planned["left"] == event["problems"]
    assert (event["event"], event["exit_code"]) == ("error", 1)
    assert event["problems"][0]["what"] == "table public.parcels does not exist"


def test_the_progress_of_a_long_plan_goes_to_stderr(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    for number in range(60):
        conn.execute(f"CREATE TABLE t{number} (id int)".encode())
    glob = SPEC.replace("public.orders", "public.*")
    declare(conn, tmp_path, glob[: glob.index("  - name: sent")])
    applied = run_changelane("apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert applied.stderr.splitlines()[-1] == "123 of 123 steps are done"
    assert len(applied.stderr.splitlines()) == 10
