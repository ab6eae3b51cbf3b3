from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.manifest_by_hand import Sample, with_function, with_trigger
from support.plans import actions, make_plan, states

from changelane.contract.manifest import Step as Slice
from changelane.runner.apply.destroy import plan_destroy
from changelane.runner.apply.plan_text import render_json, render_sql, render_text
from changelane.runner.compare.fingerprint import find_differences
from changelane.text import spell


def test_an_empty_database_gets_everything_in_order(sample: Sample) -> None:
    planned = make_plan(sample, sample.empty)
    assert actions(planned) == [
        "add schema changelane",
        "add queue events",
        "add function shop_paid_orders_insert",
        "add trigger shop_paid_orders_insert",
    ]
    assert [step.lock for step in planned.steps[:3]] == ["none"] * 3
    assert planned.steps[3].lock == "SHARE ROW EXCLUSIVE on public.orders"
    assert render_text(planned).splitlines()[-1] == "Plan: 4 to add, 0 to change, 0 to destroy."


def test_without_pgmq_its_installation_comes_first(sample: Sample) -> None:
    empty = sample.empty
    planned = make_plan(sample, replace(empty, session=replace(empty.session, has_pgmq=False)))
    assert actions(planned)[:2] == ["add schema pgmq", "add schema changelane"]
    assert "apply installs it first" in render_sql(planned, sample.contents)


def test_nothing_is_planned_where_all_is_right(sample: Sample) -> None:
    planned = make_plan(sample, sample.applied)
    assert planned.steps == ()
    assert planned.differences == ()
    assert render_text(planned) == "No changes. Database matches sql_out/."


def test_the_same_input_gives_the_same_plan_in_whatever_order_it_is_declared() -> None:
    routes = [("b", "public.z"), ("a", "public.z"), ("c", "public.a")]
    one, other = Sample().queue("y").queue("x"), Sample().queue("x").queue("y")
    for route, table in routes:
        one.capture(route, table=table)
    for route, table in reversed(routes):
        other.capture(route, table=table)
    planned = make_plan(one, one.empty)
    assert actions(planned) == actions(make_plan(other, other.empty))
    assert [step.transaction for step in planned.steps if step.kind == "trigger"] == [
        "table public.a",
        "table public.z",
        "table public.z",
    ]


def test_a_new_body_replaces_the_function_and_only_marks_the_trigger(sample: Sample) -> None:
    newer = Sample().queue("events").capture(body=" BEGIN RETURN NULL; END ")
    planned = make_plan(newer, sample.applied)
    assert actions(planned) == [
        "change function shop_paid_orders_insert",
        "comment trigger shop_paid_orders_insert",
    ]
    assert [step.lock for step in planned.steps] == ["none", "ACCESS SHARE on public.orders"]
    assert states(newer, sample.applied)["function"] == "outdated"


def test_a_function_and_trigger_that_change_together_share_the_tables_transaction(sample: Sample) -> None:
    newer = Sample().queue("events").capture(level="statement", body=" BEGIN RETURN NULL; END ")
    planned = make_plan(newer, sample.applied)
    assert actions(planned) == [
        "change function shop_paid_orders_insert",
        "change trigger shop_paid_orders_insert",
    ]
    assert {step.transaction for step in planned.steps} == {"table public.orders"}


def test_a_new_condition_replaces_the_trigger_though_its_hash_is_the_same() -> None:
    old = Sample().capture(when="new.id > 1")
    new = Sample().capture(when="new.id > 2")
    observed = with_trigger(old.applied, lambda trigger: replace(trigger, conditional=True))
    planned = make_plan(new, observed)
    assert actions(planned) == [
        "comment function shop_paid_orders_insert",
        "change trigger shop_paid_orders_insert",
    ]


def test_another_fire_replaces_the_trigger_and_not_the_function(sample: Sample) -> None:
    newer = Sample().queue("events").capture(fire="always")
    planned = make_plan(newer, sample.applied)
    assert actions(planned) == [
        "comment function shop_paid_orders_insert",
        "change trigger shop_paid_orders_insert",
    ]


def test_a_body_changed_by_hand_is_drift_and_is_put_right(sample: Sample) -> None:
    observed = with_function(sample.applied, lambda function: replace(function, body=" BEGIN END "))
    assert states(sample, observed)["function"] == "drifted"
    planned = make_plan(sample, observed)
    assert actions(planned) == ["change function shop_paid_orders_insert"]
    assert render_text(planned).startswith(
        "Changed outside Changelane:\n  ! function shop_paid_orders_insert: its body or settings were changed"
    )


@pytest.mark.parametrize(
    ("facts", "detail"),
    [
        ({"public_execute": True}, "PUBLIC may execute it"),
        ({"security_definer": False}, "it is no longer SECURITY DEFINER"),
        ({"config": ()}, "its search_path is no longer pinned"),
    ],
)
def test_drift_of_a_functions_rights_says_which(
    sample: Sample, facts: dict[str, object], detail: str
) -> None:
    observed = with_function(
        sample.applied,
        lambda function: replace(function, **facts),  # type: ignore[arg-type]
    )
    (drifted,) = make_plan(sample, observed).drift
    assert drifted.detail == detail


def test_a_removed_comment_on_what_is_right_is_only_written_again(sample: Sample) -> None:
    observed = with_function(sample.applied, lambda function: replace(function, comment=None))
    observed = with_trigger(observed, lambda trigger: replace(trigger, comment=None))
    planned = make_plan(sample, observed)
    assert actions(planned) == [
        "comment function shop_paid_orders_insert",
        "comment trigger shop_paid_orders_insert",
    ]
    assert [thing.detail for thing in planned.drift] == ["its comment was removed"] * 2
    statements = [sql for step in planned.steps for sql in step.sql]
    assert statements == [
        'COMMENT ON FUNCTION "changelane"."shop_paid_orders_insert"() IS '
        f"'{sample.applied.functions['shop_paid_orders_insert'].comment}';",
        'COMMENT ON TRIGGER "shop_paid_orders_insert" ON "public"."orders" IS '
        f"'{sample.applied.triggers['public', 'orders', 'shop_paid_orders_insert'].comment}';",
    ]


def test_a_dropped_trigger_is_missing_and_added(sample: Sample) -> None:
    planned = make_plan(sample, with_trigger(sample.applied, lambda trigger: None))
    assert actions(planned) == ["add trigger shop_paid_orders_insert"]


@pytest.mark.parametrize(
    ("fire", "enabled", "statement"),
    [
        ("origin", "D", "ENABLE TRIGGER"),
        ("always", "O", "ENABLE ALWAYS TRIGGER"),
        ("replica", "D", "ENABLE REPLICA TRIGGER"),
    ],
)
def test_a_trigger_that_does_not_fire_as_declared_is_enabled(fire: str, enabled: str, statement: str) -> None:
    sample = Sample().capture(fire=fire)
    observed = with_trigger(sample.applied, lambda trigger: replace(trigger, enabled=enabled))
    assert states(sample, observed)["trigger"] == "disabled"
    (step,) = make_plan(sample, observed).steps
    assert step.action == "enable"
    assert step.sql == (f'ALTER TABLE "public"."orders" {statement} "shop_paid_orders_insert";',)


def test_a_disabled_trigger_that_also_changes_is_replaced(sample: Sample) -> None:
    newer = Sample().queue("events").capture(level="statement")
    observed = with_trigger(sample.applied, lambda trigger: replace(trigger, enabled="D"))
    assert states(newer, observed)["trigger"] == "disabled"
    assert "change trigger shop_paid_orders_insert" in actions(make_plan(newer, observed))


def test_the_json_begins_with_its_version_and_holds_every_statement(sample: Sample) -> None:
    text = render_json(make_plan(sample, sample.empty), sample.contents)
    assert text.startswith('{\n  "format_version": 2,')
    content = json.loads(text)
    assert content["summary"] == {"add": 4, "change": 0, "destroy": 0}
    assert all(step["sql"] for step in content["steps"])


def test_the_sql_holds_the_statements_as_reviewed(sample: Sample) -> None:
    planned = make_plan(sample, sample.empty)
    text = render_sql(planned, sample.contents)
    slices = [sql for step in planned.steps for sql in step.sql if isinstance(sql, Slice)]
    assert len(slices) == 4
    for part in slices:
        assert sample.contents[part.file][part.start : part.end].decode().strip() in text
    assert text.count("BEGIN;\nSET LOCAL lock_timeout = '1s';") == 2
    assert text.count("COMMIT;") == 2


def test_destroy_drops_the_schema_only_when_nothing_else_is_in_it(sample: Sample) -> None:
    observed = sample.applied
    destroyed = plan_destroy("shop", observed, drop_queues=False, discard=(), messages={})
    assert actions(destroyed)[-1] == "destroy schema changelane"
    shared = replace(observed, session=replace(observed.session, schema_objects=2))
    kept = plan_destroy("shop", shared, drop_queues=False, discard=(), messages={})
    assert "destroy schema changelane" not in actions(kept)


def test_destroy_refuses_a_queue_with_messages_that_is_not_named(sample: Sample) -> None:
    for messages in ((3, 0), (0, 2)):
        refused = plan_destroy(
            "shop", sample.applied, drop_queues=True, discard=(), messages={"events": messages}
        )
        assert (
            refused.problems[0][0] == f"queue events holds {messages[0]} messages and {messages[1]} archived"
        )
        named = plan_destroy(
            "shop", sample.applied, drop_queues=True, discard=["events"], messages={"events": messages}
        )
        assert named.problems == ()


def test_destroy_refuses_a_queue_that_another_projects_function_sends_to(sample: Sample) -> None:
    other = Sample(project="billing").queue("events").capture(queue="events")
    observed = replace(sample.applied, functions={**sample.applied.functions, **other.applied.functions})
    refused = plan_destroy("shop", observed, drop_queues=True, discard=(), messages={"events": (0, 0)})
    ((what, _),) = refused.problems
    assert "changelane.billing_paid_orders_insert, not of project shop, sends to queue events" in what


def test_a_renamed_route_takes_the_place_of_the_old_one_in_its_tables_transaction() -> None:
    old, new = Sample().queue("events").capture("paid"), Sample().queue("events").capture("settled")
    observed = replace(old.applied, relations=new.empty.relations)
    planned = make_plan(new, observed)
    assert actions(planned) == [
        "rename function shop_settled_orders_insert",
        "rename trigger shop_settled_orders_insert",
    ]
    drop_trigger, drop_function, create = planned.steps[1].sql
    assert drop_trigger == 'DROP TRIGGER "shop_paid_orders_insert" ON "public"."orders";'
    assert drop_function == 'DROP FUNCTION "changelane"."shop_paid_orders_insert"();'
    assert isinstance(create, Slice)
    assert planned.steps[1].lock == "ACCESS EXCLUSIVE on public.orders"
    assert planned.counts == (0, 2, 0)
    text = render_text(planned)
    assert (
        "~ rename trigger shop_settled_orders_insert on public.orders  (was shop_paid_orders_insert" in text
    )
    assert planned.notes == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"route": "paid", "event": "delete"}, {"route": "settled", "event": "insert"}),
        ({"route": "paid", "table": "public.parcels"}, {"route": "settled"}),
        ({"route": "paid", "queue": "past", "spec": "0"}, {"route": "settled"}),
    ],
)
def test_an_orphan_of_another_event_table_or_queue_is_no_rename(
    old: dict[str, str], new: dict[str, str]
) -> None:
    before, after = Sample().queue("events").capture(**old), Sample().queue("events").capture(**new)  # type: ignore[arg-type]
    observed = replace(before.applied, relations={**before.applied.relations, **after.empty.relations})
    planned = make_plan(after, observed)
    assert {step.action for step in planned.steps} == {"add"}
    assert len(planned.notes) == 2
    pruned = make_plan(after, observed, prune=True)
    assert [step.action for step in pruned.steps[-2:]] == ["destroy", "destroy"]


def test_a_queue_of_another_kind_comes_with_the_steps_of_its_change(sample: Sample) -> None:
    for kind, steps in (
        ("unlogged", "UPDATE pgmq.meta SET is_unlogged = false"),
        ("partitioned", "work events off"),
    ):
        queue = replace(sample.applied.queues["events"], kind=kind)
        ((_, fix),) = make_plan(sample, replace(sample.applied, queues={"events": queue})).problems
        assert steps in fix


def test_a_queues_table_that_pgmq_did_not_make_so_is_drift(sample: Sample) -> None:
    live = sample.applied.queues["events"]
    columns = {name: type for name, type in live.columns.items() if name != "headers"}
    for changed in (replace(live, columns=columns), replace(live, demands=("more",))):
        planned = make_plan(sample, replace(sample.applied, queues={"events": changed}))
        assert [thing.state for thing in planned.drift] == ["drifted"]
        assert planned.steps == ()
        assert len(planned.problems) == 1


def test_an_owner_who_may_not_create_there_is_drift(sample: Sample) -> None:
    observed = with_function(
        sample.applied, lambda function: replace(function, owner="mallory", owner_creates=False)
    )
    (step,) = make_plan(sample, observed).steps
    assert (step.action, step.lock) == ("own", "none")
    assert step.sql == ('ALTER FUNCTION "changelane"."shop_paid_orders_insert"() OWNER TO CURRENT_USER;',)


def test_the_fingerprint_changes_only_with_facts_that_the_plan_reads(sample: Sample) -> None:
    before = make_plan(sample, sample.applied).observed
    other = Sample(project="billing").queue("bills").capture("bill", table="public.parcels").applied
    more = replace(
        sample.applied,
        functions={**sample.applied.functions, **other.functions},
        triggers={**sample.applied.triggers, **other.triggers},
    )
    assert find_differences(before, make_plan(sample, more).observed) == []
    changed = with_trigger(sample.applied, lambda trigger: replace(trigger, enabled="D"))
    assert find_differences(before, make_plan(sample, changed).observed) == [
        "trigger shop_paid_orders_insert on public.orders"
    ]


def test_a_name_is_shown_on_one_line_and_never_as_another() -> None:
    assert spell(("public", "orders")) == "public.orders"
    assert spell(("a.b", "c")) == '"a.b".c' != spell(("a", "b.c"))
    assert spell(("public", 'x\n"; DROP')) == 'public."x\\n""; DROP"'


def test_the_sql_locks_partitions_with_their_parent_and_no_children_otherwise(sample: Sample) -> None:
    text = render_sql(make_plan(sample, sample.empty), sample.contents)
    assert 'LOCK TABLE ONLY "public"."orders" IN SHARE ROW EXCLUSIVE MODE;' in text
    relation = replace(sample.empty.relations["public", "orders"], kind="p")
    partitioned = replace(sample.empty, relations={("public", "orders"): relation})
    text = render_sql(make_plan(sample, partitioned), sample.contents)
    assert 'LOCK TABLE "public"."orders" IN SHARE ROW EXCLUSIVE MODE;' in text
