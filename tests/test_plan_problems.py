"""Objects that a plan leaves alone, refuses or reports as problems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.manifest_by_hand import Sample, with_function, with_trigger
from support.plans import actions, make_plan, states

from changelane.contract.schema import SCHEMA_VERSION
from changelane.errors import ChangelaneError
from changelane.runner.apply.destroy import plan_destroy
from changelane.runner.apply.plan_text import render_text
from changelane.runner.apply.preflight import check
from changelane.runner.compare.compare_relation import find_block


def test_undeclared_objects_are_noted_and_dropped_only_with_prune(sample: Sample) -> None:
    observed = Sample().queue("events").capture().capture("old").applied
    kept = make_plan(sample, observed)
    assert kept.steps == ()
    assert render_text(kept).splitlines()[-1] == "Plan: 0 to add, 0 to change, 0 to destroy."
    assert any("--prune" in note for note in kept.notes)
    pruned = make_plan(sample, observed, prune=True)
    assert [sql for step in pruned.steps for sql in step.sql] == [
        'DROP TRIGGER "shop_old_orders_insert" ON "public"."orders";',
        'DROP FUNCTION "changelane"."shop_old_orders_insert"();',
    ]
    assert pruned.steps[0].lock == "ACCESS EXCLUSIVE on public.orders"


def test_a_queue_no_longer_declared_is_kept_and_is_no_difference(sample: Sample) -> None:
    observed = Sample().queue("events").queue("past").capture().applied
    planned = make_plan(sample, observed, prune=True)
    assert planned.steps == ()
    assert planned.differences == ()
    assert any("past" in note for note in planned.notes)


def test_a_pruned_function_that_a_strange_trigger_calls_is_a_problem(sample: Sample) -> None:
    observed = Sample().queue("events").capture().capture("old").applied
    strange = replace(
        observed.triggers["public", "orders", "shop_old_orders_insert"], name="mine", comment=None
    )
    observed = replace(observed, triggers={**observed.triggers, strange.identity: strange})
    ((what, _),) = make_plan(sample, observed, prune=True).problems
    assert "trigger mine on public.orders: it calls changelane.shop_old_orders_insert" in what


def test_objects_of_another_project_are_left_alone(sample: Sample) -> None:
    other = Sample(project="billing").queue("bills").capture()
    observed = sample.applied
    observed = replace(
        observed,
        queues={**observed.queues, **other.applied.queues},
        functions={**observed.functions, **other.applied.functions},
        triggers={**observed.triggers, **other.applied.triggers},
    )
    planned = make_plan(sample, observed, prune=True)
    (note,) = planned.notes
    assert "of project billing, and captures this table, too" in note
    assert replace(planned, notes=()) == make_plan(sample, sample.applied, prune=True)


@pytest.mark.parametrize("owner", [None, "billing"])
def test_a_foreign_function_or_trigger_of_our_name_is_refused(sample: Sample, owner: str | None) -> None:
    def take(comment: str | None) -> str | None:
        return comment.replace("project=shop", f"project={owner}") if owner and comment else None

    observed = with_function(
        sample.applied,
        lambda function: replace(function, body="begin end", comment=take(function.comment)),
    )
    observed = with_trigger(
        observed,
        lambda trigger: replace(trigger, function="public.f", comment=take(trigger.comment)),
    )
    assert states(sample, observed)["function"] == "foreign"
    assert states(sample, observed)["trigger"] == "foreign"
    planned = make_plan(sample, observed)
    assert planned.steps == ()
    assert len(planned.problems) == 2


def test_a_queue_that_existed_or_that_another_project_owns_is_used_and_not_owned(sample: Sample) -> None:
    observed = sample.applied
    theirs = Sample(project="billing").queue("events").applied.queues["events"].comment
    cases: tuple[dict[str, Any], ...] = ({"comment": None, "autovacuum": ()}, {"comment": theirs})
    for changes in cases:
        queue = replace(observed.queues["events"], **changes)
        shared = replace(observed, queues={"events": queue})
        assert make_plan(sample, shared).differences == ()
        destroyed = plan_destroy("shop", shared, drop_queues=True, discard=(), messages={})
        assert "destroy queue events" not in actions(destroyed)


def test_a_queue_of_another_kind_is_a_problem(sample: Sample) -> None:
    observed = sample.applied
    queue = replace(observed.queues["events"], kind="unlogged")
    planned = make_plan(sample, replace(observed, queues={"events": queue}))
    assert planned.steps == ()
    ((what, fix),) = planned.problems
    assert what == "queue events: it is unlogged, declared logged"
    assert "SET LOGGED" in fix


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"columns": ("id",)}, "public.orders has no column status, which route paid names"),
        ({"kind": "v"}, "public.orders is not a table"),
        ({"kind": "p"}, "public.orders is partitioned, inherited or foreign now"),
        ({"has_children": True}, "public.orders is partitioned, inherited or foreign now"),
    ],
)
def test_a_capture_that_its_table_cannot_bear_is_blocked(facts: dict[str, Any], what: str) -> None:
    sample = Sample().capture(level="statement", columns=("id", "status"))
    observed = sample.applied
    relation = replace(observed.relations["public", "orders"], **facts)
    observed = replace(observed, relations={("public", "orders"): relation})
    assert states(sample, observed) == {"schema": "ok", "function": "blocked", "trigger": "blocked"}
    planned = make_plan(sample, observed)
    assert planned.problems == ()
    ((problem, fix),) = planned.explain_left()
    assert problem.startswith(what)
    assert fix


def test_a_missing_table_is_left_and_said_once(sample: Sample) -> None:
    planned = make_plan(sample, replace(sample.empty, relations={}))
    assert planned.problems == ()
    assert [what for what, _ in planned.explain_left()] == ["table public.orders does not exist"]


def test_row_capture_and_truncate_are_fine_on_a_partitioned_table() -> None:
    row, truncate = Sample().capture(), Sample().capture(event="truncate", level="statement")
    for sample in (row, truncate):
        relation = replace(sample.empty.relations["public", "orders"], kind="p")
        assert find_block(sample.captures[0], relation, triggers={}) == ("", "")


def test_a_changed_function_of_the_schema_is_made_anew(sample: Sample) -> None:
    session = replace(sample.applied.session, schema_live="ba9876543210")
    planned = make_plan(sample, replace(sample.applied, session=session))
    assert actions(planned) == ["change schema changelane"]
    assert [thing.state for thing in planned.drift] == ["drifted"]


def test_a_newer_schema_is_refused_and_a_strange_one_too(sample: Sample) -> None:
    for comment, state in (
        (f"changelane:schema {SCHEMA_VERSION + 1}", "blocked"),
        ("our own", "foreign"),
        (None, "drifted"),
    ):
        session = replace(sample.applied.session, schema_comment=comment)
        observed = replace(sample.applied, session=session)
        assert states(sample, observed)["schema"] == state
        planned = make_plan(sample, observed)
        assert bool(planned.problems) == (comment is not None)
        assert bool(planned.steps) == (comment is None)


def test_an_older_schema_and_one_that_lacks_a_table_are_brought_up(sample: Sample) -> None:
    older = replace(sample.applied.session, schema_comment="changelane:schema 1")
    lacking = replace(sample.applied.session, has_tables=False)
    for session, state in ((older, "outdated"), (lacking, "drifted")):
        observed = replace(sample.applied, session=session)
        assert states(sample, observed)["schema"] == state
        assert actions(make_plan(sample, observed)) == ["change schema changelane"]


def test_only_narrows_to_a_route_and_its_queues() -> None:
    sample = Sample().queue("a", dead_letter="a_dlq").queue("a_dlq").queue("b")
    sample.capture("one", queue="a").capture("two", queue="b")
    assert actions(make_plan(sample, sample.empty, only="one")) == [
        "add schema changelane",
        "add queue a",
        "add queue a_dlq",
        "add function shop_one_orders_insert",
        "add trigger shop_one_orders_insert",
    ]


def test_an_unknown_route_is_an_error_that_names_the_closest(sample: Sample) -> None:
    with pytest.raises(ChangelaneError, match="no route is called payd") as caught:
        make_plan(sample, sample.empty, only="payd")
    assert caught.value.fix == "did you mean `paid`?"


def test_missing_privileges_are_found_all_together(sample: Sample) -> None:
    empty = sample.empty
    session = replace(empty.session, creates_schemas=False, creates_queues=False)
    relations = {
        key: replace(value, owned=False, takes_triggers=False) for key, value in empty.relations.items()
    }
    observed = replace(empty, session=session, relations=relations)
    found = [problem.what for problem in check(make_plan(sample, observed), observed)]
    assert found == [
        "role deploy may not create schema changelane in database app",
        "role deploy may not create queues in schema pgmq",
        "role deploy may not make triggers on public.orders, which belongs to deploy",
    ]
