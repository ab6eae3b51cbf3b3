from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.deployment import Declared, bring, declare, find_wrong

from changelane.errors import PreflightError
from changelane.runner.apply.plan import Plan, plan
from changelane.runner.compare.renames import read_queues
from changelane.runner.live.observe import observe

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {}
  others: {}
routes:
  - name: paid
    table: public.orders
    events: [insert, update]
    queue: events
"""


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    return declared


def read_routes(conn: Connection, queue: str = "events") -> list[str]:
    rows = conn.execute(f"SELECT headers->>'route' FROM pgmq.q_{queue} ORDER BY msg_id".encode()).fetchall()
    return [row[0] for row in rows]


def actions(planned: Plan) -> list[tuple[str, str]]:
    return [(step.action, step.kind) for step in planned.steps]


@pytest.mark.usefixtures("declared")
def test_a_renamed_route_keeps_its_messages_and_captures_each_change_once(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    renamed = declare(conn, tmp_path, SPEC.replace("name: paid", "name: settled"))
    text = run_changelane("plan").stdout
    assert text.count("~ rename trigger !settled_") == 2
    assert "was !paid_insert_" in text
    assert "lock ACCESS EXCLUSIVE on public.orders" in text
    assert text.endswith("Plan: 0 to add, 4 to change, 0 to destroy.\n")
    assert "orphaned" not in text
    applied = run_changelane("apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    conn.execute("INSERT INTO orders VALUES (2, 'new')")
    assert read_routes(conn) == ["paid", "settled"]
    assert find_wrong(conn, renamed) == []
    assert conn.execute("SELECT FROM pg_proc WHERE proname ~ '^paid_'").fetchone() is None


@pytest.mark.usefixtures("declared")
def test_a_route_renamed_and_edited_at_once_takes_the_old_ones_place(
    conn: Connection, tmp_path: Path
) -> None:
    edited = SPEC.replace("name: paid", "name: settled\n    when: new.id > 1").replace(
        "queue: events", "queues: [events, others]"
    )
    renamed = declare(conn, tmp_path, edited)
    assert {action for action, _ in actions(bring(conn, renamed))} == {"rename"}
    conn.execute("INSERT INTO orders VALUES (2, 'new')")
    assert read_routes(conn) == read_routes(conn, "others") == ["settled"]


def test_a_renamed_table_takes_its_trigger_along_and_its_route_too(
    conn: Connection, declared: Declared, tmp_path: Path, run_changelane: Any
) -> None:
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    conn.execute("CREATE SCHEMA sales; ALTER TABLE orders RENAME TO purchases")
    conn.execute("ALTER TABLE purchases SET SCHEMA sales")
    conn.execute("INSERT INTO sales.purchases VALUES (2, 'new')")
    verified = run_changelane("verify")
    assert verified.returncode == 2
    assert "table public.orders does not exist; its trigger is on sales.purchases" in verified.stdout
    refused = run_changelane("apply", "--yes")
    assert refused.returncode == 1
    assert "name sales.purchases in route paid" in refused.stderr

    renamed = declare(conn, tmp_path, SPEC.replace("public.orders", "sales.purchases"))
    assert {action for action, _ in actions(bring(conn, renamed))} == {"rename"}
    conn.execute("INSERT INTO sales.purchases VALUES (3, 'new')")
    tables = conn.execute("SELECT message->>'table' FROM pgmq.q_events ORDER BY msg_id").fetchall()
    assert tables == [("orders",), ("orders",), ("purchases",)]
    assert find_wrong(conn, renamed) == []


@pytest.mark.usefixtures("declared")
def test_a_renamed_route_applied_alone_replaces_its_old_name(conn: Connection, tmp_path: Path) -> None:
    extra = "  - name: more\n    table: public.orders\n    events: [delete]\n    queue: others\n"
    renamed = declare(conn, tmp_path, SPEC.replace("name: paid", "name: settled") + extra)
    bring(conn, renamed, only="settled")
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    assert read_routes(conn) == ["settled"]
    assert len(find_wrong(conn, renamed)) == 2


@pytest.mark.usefixtures("declared")
def test_an_orphan_that_sends_elsewhere_stays_until_pruned(conn: Connection, tmp_path: Path) -> None:
    elsewhere = SPEC.replace("name: paid", "name: settled").replace("queue: events", "queue: others")
    other = declare(conn, tmp_path, elsewhere)
    bring(conn, other)
    conn.execute("INSERT INTO orders VALUES (1, 'new')")
    assert read_routes(conn, "events") == ["paid"]
    assert read_routes(conn, "others") == ["settled"]
    bring(conn, other, prune=True)
    assert find_wrong(conn, other) == []


def test_an_orphan_with_unknown_queues_takes_a_prune_and_goes_in_the_same_transaction(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    for capture in declared.manifest.captures:
        conn.execute(
            f"CREATE OR REPLACE FUNCTION changelane.{capture.name}() RETURNS trigger LANGUAGE plpgsql "
            "AS 'begin return null; end'".encode()
        )
    renamed = declare(conn, tmp_path, SPEC.replace("name: paid", "name: settled\n    when: new.id > 1"))
    with pytest.raises(PreflightError) as caught:
        bring(conn, renamed)
    assert len(caught.value.problems) == 2
    assert all("--prune drops it" in problem.fix for problem in caught.value.problems)
    planned = bring(conn, renamed, prune=True)
    assert {step.action for step in planned.steps} == {"rename"}
    assert find_wrong(conn, renamed) == []


def test_an_orphans_trigger_of_another_name_without_its_marker_is_a_problem_and_never_dropped(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    capture = declared.manifest.captures[0]
    conn.execute(f'COMMENT ON TRIGGER "{capture.trigger_name}" ON orders IS NULL'.encode())
    conn.execute(f'ALTER TRIGGER "{capture.trigger_name}" ON orders RENAME TO by_hand'.encode())
    renamed = declare(conn, tmp_path, SPEC.replace("name: paid", "name: settled"))
    with pytest.raises(PreflightError) as caught:
        bring(conn, renamed)
    assert "does not have this project's marker" in caught.value.problems[0].what
    assert conn.execute("SELECT FROM pg_trigger WHERE tgname = 'by_hand'").fetchone() is not None


def test_another_projects_trigger_of_the_same_kind_is_never_replaced(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = declare(conn, folder, SPEC.replace("project: shop", "project: billing"))
    assert {action for action, _ in actions(bring(conn, other))} == {"add"}
    assert find_wrong(conn, declared) == find_wrong(conn, other) == []


def test_the_queues_of_a_generated_function_are_read_from_the_database(
    conn: Connection, tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    routes = [
        f"  - {{name: r{number}, table: public.orders, events: [insert, update, delete, truncate], "
        f"capture: {capture}, send: {send}, queues: [{queues}]}}\n"
        for number, (capture, send, queues) in enumerate(
            (capture, send, queues)
            for capture in ("statement", "row")
            for send in ("pgmq", "inline")
            for queues in ("events", "events, others")
        )
    ]
    spec = SPEC[: SPEC.index("routes:")] + "routes:\n" + "".join(routes)
    declared = declare(conn, tmp_path, spec)
    bring(conn, declared)
    functions = observe(conn, declared.manifest).functions
    assert len(functions) >= 28
    for capture in declared.manifest.captures:
        assert read_queues(functions[capture.name]) == set(capture.queues)


def test_the_plan_of_a_rename_is_the_same_every_time(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    renamed = declare(conn, tmp_path, SPEC.replace("name: paid", "name: settled"))
    observed = observe(conn, renamed.manifest)
    assert plan(renamed.manifest, observed) == plan(renamed.manifest, observed)
