"""Routes over globs: tables that come, go, move, are swapped, attached and detached after a generate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.deployment import Declared, bring, declare, find_wrong
from support.globs import ATTACH, NAMED, SPEC, Connection, apply_glob, read, tell

from changelane.errors import IncompleteError, PreflightError
from changelane.runner.doctor.examine import examine


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    return apply_glob(conn, tmp_path)


def test_a_new_table_that_a_glob_matches_is_a_difference_for_every_command(
    conn: Connection, declared: Declared, run_changelane: Any
) -> None:
    conn.execute("CREATE TABLE app.fresh (id int PRIMARY KEY); CREATE TABLE attic.other (id int)")
    assert list(tell(conn, declared)) == ["missing table app.fresh of route all"]
    verified = run_changelane("verify")
    assert verified.returncode == 2
    said = "app.fresh matches app.* of route all, and sql_out/ has no capture for it: its writes send nothing"
    assert said in verified.stdout
    assert "missing  table" in run_changelane("status").stdout
    planned = run_changelane("plan")
    assert planned.returncode == 1
    assert said in planned.stdout
    assert "run `changelane inspect`, then `changelane generate`" in planned.stdout
    doctor = run_changelane("doctor")
    assert doctor.returncode == 2
    assert "table-uncaptured" in doctor.stdout
    applied = run_changelane("apply", "--yes")
    assert applied.returncode == 1
    assert said in applied.stderr
    for command in (["inspect"], ["generate"], ["apply", "--yes"], ["verify"]):
        result = run_changelane(*command)
        assert result.returncode == 0, result.stdout + result.stderr
    conn.execute("INSERT INTO app.fresh VALUES (7)")
    assert read(conn) == [("insert", "fresh", "7")]


@pytest.mark.parametrize(
    ("change", "wrong", "says"),
    [
        ("ALTER TABLE app.p DETACH PARTITION app.p1", "missing table app.p1 of route all", "matches app.*"),
        ("CREATE TABLE app.kid () INHERITS (app.a)", "missing table app.kid of route all", "matches app.*"),
        (
            "CREATE TABLE attic.kid () INHERITS (app.b)",
            "missing table attic.kid of route all",
            "inherits from app.b",
        ),
        ("ALTER TABLE attic.out SET SCHEMA app", "missing table app.out of route all", "matches app.*"),
        ("ALTER TABLE app.a DROP CONSTRAINT a_pkey", "outdated table app.a of route all", "went away"),
        (
            "ALTER TABLE app.a DROP CONSTRAINT a_pkey, ADD PRIMARY KEY (id, v)",
            "outdated table app.a of route all",
            "was (id) and is (id, v)",
        ),
        (
            "ALTER TABLE app.p ADD PRIMARY KEY (id)",
            "outdated table app.p of route all",
            "was none and is (id)",
        ),
    ],
)
def test_globs_are_matched_against_the_live_database(
    conn: Connection, declared: Declared, tmp_path: Path, change: str, wrong: str, says: str
) -> None:
    conn.execute("CREATE TABLE attic.out (id int PRIMARY KEY)")
    conn.execute(change.encode())
    found = tell(conn, declared)
    assert says in found[wrong]
    assert any(
        finding.code in ("table-uncaptured", "key-changed") for finding in examine(conn, declared.manifest)
    )
    again = declare(conn, tmp_path, SPEC)
    bring(conn, again)
    assert find_wrong(conn, again) == []


def test_a_key_of_the_routes_own_does_not_change_with_the_primary_key(
    conn: Connection, tmp_path: Path
) -> None:
    conn.execute("CREATE SCHEMA app; CREATE TABLE app.a (id int PRIMARY KEY, v text)")
    declared = declare(conn, tmp_path, SPEC.replace("    queue: ", "    key: [v]\n    queue: "))
    bring(conn, declared)
    conn.execute("ALTER TABLE app.a DROP CONSTRAINT a_pkey")
    assert tell(conn, declared) == {}


def test_a_detached_partition_of_a_named_table_is_no_difference(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    named = declare(conn, tmp_path, SPEC.replace('tables: ["app.*"]', "table: app.p"))
    bring(conn, named, prune=True)
    conn.execute("ALTER TABLE app.p DETACH PARTITION app.p1")
    assert tell(conn, named) == {}


@pytest.mark.parametrize("spec", [SPEC, NAMED])
@pytest.mark.parametrize("change", ["DROP TABLE app.a", "ALTER TABLE app.a RENAME TO z"])
def test_the_fix_differs_for_named_and_matched_tables_and_the_rest_is_applied(
    conn: Connection, declared: Declared, tmp_path: Path, spec: str, change: str
) -> None:
    more = spec + "  - {name: more, table: app.b, events: [insert], queue: events}\n"
    stale = declare(conn, tmp_path, more)
    conn.execute(change.encode())
    with pytest.raises(IncompleteError) as caught:
        bring(conn, stale, prune=True)
    (problem,) = {
        problem.what: problem for problem in caught.value.problems if "app.a" in problem.what
    }.values()
    assert "table app.a does not exist" in problem.what
    assert ("route all; then run" in problem.fix) == (spec == NAMED)
    assert "changelane inspect" in problem.fix
    read(conn)
    conn.execute("INSERT INTO app.b VALUES (1)")
    assert ("insert", "b", "1") in read(conn)
    if "RENAME" in change:
        conn.execute("INSERT INTO app.z VALUES (1)")
        assert read(conn) == [("insert", "a", "1")], "the trigger goes along and goes on sending"
    if spec == SPEC:
        again = declare(conn, tmp_path, SPEC)
        bring(conn, again, prune=True)
        assert find_wrong(conn, again) == []


def test_all_in_one_transaction_means_all_or_nothing(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    stale = declare(
        conn, tmp_path, SPEC + "  - {name: more, table: app.b, events: [insert], queue: events}\n"
    )
    conn.execute("DROP TABLE app.a")
    with pytest.raises(PreflightError):
        bring(conn, stale, together=True)
    assert "missing trigger" in " ".join(tell(conn, stale))
    with pytest.raises(IncompleteError):
        bring(conn, stale)
    assert "missing trigger" not in " ".join(tell(conn, stale))


@pytest.mark.parametrize("capture", ["row", "statement"])
def test_a_captured_table_that_becomes_a_partition_sends_each_change_once_again_without_a_prune(
    conn: Connection, declared: Declared, tmp_path: Path, capture: str
) -> None:
    spec = SPEC.replace("    queue:", f"    capture: {capture}\n    queue:")
    before = declare(conn, tmp_path, spec)
    bring(conn, before)
    conn.execute(ATTACH)
    conn.execute("INSERT INTO app.a VALUES (11)")
    assert {table for _, table, _ in read(conn)} == {"a", "p"}
    found = tell(conn, before)
    assert any("app.a is a partition of app.p now" in detail for detail in found.values())
    assert any(
        "app.a is a partition of app.p now" in finding.what for finding in examine(conn, before.manifest)
    )
    with pytest.raises(IncompleteError):
        bring(conn, before)

    after = declare(conn, tmp_path, spec)
    planned = bring(conn, after)
    assert [step.action for step in planned.steps] == ["destroy"] * 6
    assert "is a partition of app.p" in planned.steps[0].reason
    conn.execute("INSERT INTO app.a VALUES (12)")
    conn.execute("INSERT INTO app.p VALUES (13)")
    assert read(conn) == [("insert", "p", "12"), ("insert", "p", "13")]
    assert find_wrong(conn, after) == []


def test_a_table_that_is_partitioned_under_its_own_name_changes_triggers_in_one_transaction(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    conn.execute(
        "ALTER TABLE app.a RENAME TO a_old;"
        "CREATE TABLE app.a (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
        "ALTER TABLE app.a ATTACH PARTITION app.a_old FOR VALUES FROM (0) TO (1000)"
    )
    after = declare(conn, tmp_path, SPEC)
    planned = bring(conn, after)
    steps = [step for step in planned.steps if step.kind == "trigger"]
    assert {step.action for step in steps} == {"rename"}
    assert {step.transaction for step in steps} == {"table app.a"}
    conn.execute("INSERT INTO app.a VALUES (1); UPDATE app.a_old SET v = 'x'; DELETE FROM app.a")
    assert read(conn) == [("insert", "a", "1"), ("update", "a", "1"), ("delete", "a", "1")]
    assert find_wrong(conn, after) == []


def test_an_orphan_on_a_partition_that_sends_elsewhere_takes_a_prune(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    spec = SPEC.replace("queues: {events: {}}", "queues: {events: {}, others: {}}")
    extra = "  - {name: extra, table: app.a, events: [insert], queues: [events, others]}\n"
    before = declare(conn, tmp_path, spec + extra)
    bring(conn, before)
    conn.execute(ATTACH)
    after = declare(conn, tmp_path, spec)
    with pytest.raises(IncompleteError) as caught:
        bring(conn, after)
    (problem,) = caught.value.problems
    assert "is a partition of app.p, whose trigger of route all sends the same changes" in problem.what
    assert "--prune" in problem.fix
    bring(conn, after, prune=True)
    assert find_wrong(conn, after) == []


@pytest.mark.parametrize("spec", [SPEC, NAMED])
def test_a_table_that_left_the_route_sends_and_is_reported_until_pruned(
    conn: Connection, declared: Declared, tmp_path: Path, spec: str
) -> None:
    bring(conn, declare(conn, tmp_path, spec), prune=True)
    conn.execute("ALTER TABLE app.a SET SCHEMA attic; CREATE TABLE app.a (id int PRIMARY KEY, v text)")
    after = declare(conn, tmp_path, spec)
    with pytest.raises(IncompleteError) as caught:
        bring(conn, after)
    assert len(caught.value.problems) == 3
    for problem in caught.value.problems:
        assert "route all still sends changes of attic.a to events under the name of another" in problem.what
        assert "--prune drops it" in problem.fix
    codes = {finding.code for finding in examine(conn, after.manifest)}
    assert codes == {"trigger-misnamed"}
    bring(conn, after, prune=True)
    conn.execute("INSERT INTO attic.a VALUES (1); INSERT INTO app.a VALUES (2)")
    assert read(conn) == [("insert", "a", "2")]
    assert find_wrong(conn, after) == []
    assert examine(conn, after.manifest) == []


def test_swapped_tables_are_told_from_the_outside_and_from_sql_out(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    conn.execute(
        "ALTER TABLE app.a RENAME TO tmp; ALTER TABLE app.b RENAME TO a; ALTER TABLE app.tmp RENAME TO b"
    )
    conn.execute("INSERT INTO app.a VALUES (1)")
    assert read(conn) == [("insert", "b", "1")], "the trigger came along"
    codes = {finding.code for finding in examine(conn, declared.manifest)}
    assert codes == {"capture-missing", "trigger-misnamed"}
    assert all(state.startswith(("missing trigger", "orphaned trigger")) for state in tell(conn, declared))
    planned = bring(conn, declared)
    assert {step.action for step in planned.steps} == {"rename"}
    conn.execute("INSERT INTO app.a VALUES (2); INSERT INTO app.b VALUES (3)")
    assert read(conn) == [("insert", "a", "2"), ("insert", "b", "3")]
    assert find_wrong(conn, declared) == []
    assert examine(conn, declared.manifest) == []


def test_a_route_that_is_gone_goes_on_sending_and_doctor_says_so(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    after = declare(conn, tmp_path, SPEC.replace("    events:", '    except: ["app.b"]\n    events:'))
    planned = bring(conn, after)
    assert any("route all still sends changes of app.b to events" in note for note in planned.notes)
    assert {finding.code for finding in examine(conn, after.manifest)} == {"still-sending"}
    bring(conn, after, prune=True)
    conn.execute("INSERT INTO app.b VALUES (1)")
    assert read(conn) == []
    assert examine(conn, after.manifest) == []


def test_a_dropped_trigger_is_missing_for_doctor(conn: Connection, declared: Declared) -> None:
    name = next(c.trigger_name for c in declared.manifest.captures if c.table == "a" and c.event == "insert")
    conn.execute(f'DROP TRIGGER "{name}" ON app.a'.encode())
    (finding,) = examine(conn, declared.manifest)
    assert finding.code == "capture-missing"
    assert "app.a" in finding.what
    assert finding.fix == "changelane apply"


def test_a_backfill_of_a_glob_skips_tables_without_a_key_and_says_so(
    conn: Connection, declared: Declared, run_changelane: Any
) -> None:
    conn.execute(
        "INSERT INTO app.a VALUES (1); INSERT INTO app.p VALUES (2); CREATE TABLE app.fresh (id int)"
    )
    read(conn)
    done = run_changelane("backfill", "all")
    assert done.returncode == 0, done.stderr
    assert "skipped: app.p, which has no primary key to go by" in done.stderr
    assert read(conn) == [("snapshot", "a", "1")]
    assert run_changelane("backfill", "all", "--table", "app.p").returncode == 1
