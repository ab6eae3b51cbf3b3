"""Compares manifest and Observed: the state of every object, and the action of apply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from changelane.contract.manifest import Capture, Manifest
from changelane.contract.marker import SCHEMA, read_anchor
from changelane.contract.queue_name import fold
from changelane.runner.compare.compare_access import compare_access, find_withdrawn
from changelane.runner.compare.compare_api import compare_api
from changelane.runner.compare.compare_owner import compare_owner, find_lack
from changelane.runner.compare.compare_queue import compare_queue
from changelane.runner.compare.compare_relation import find_block
from changelane.runner.compare.compare_schedule import compare_schedules
from changelane.runner.compare.compare_schema import compare_schemas
from changelane.runner.compare.compare_tables import (
    compare_tables,
    find_unmatched_tables,
    list_selected_tables,
)
from changelane.runner.compare.object import Object
from changelane.runner.compare.orphans import find_orphans
from changelane.runner.compare.renames import find_queues
from changelane.runner.compare.statement import drop_trigger
from changelane.runner.compare.undeclared_rights import find_undeclared
from changelane.runner.live.observe import Function, Observed, Relation, Trigger
from changelane.runner.live.partman import find_obstacle
from changelane.text import spell

ENABLED = {"origin": "O", "always": "A", "replica": "R"}
"""``fire`` to ``pg_trigger.tgenabled``."""


def compare(manifest: Manifest, observed: Observed) -> tuple[Object, ...]:
    """Every object with its state: schemas, queues, functions, triggers by table, tables that differ from
    ``sql_out/``, then orphans.
    """
    captures = sorted(manifest.captures, key=lambda capture: (*capture.identity, capture.name))
    functions, triggers, relations = observed.functions, observed.triggers, observed.relations
    project = manifest.project
    moved = {
        trigger.function.removeprefix(f"{SCHEMA}."): (trigger.schema, trigger.table)
        for trigger in triggers.values()
        if trigger.marker and trigger.marker.project == project
    }
    selections = {route.name: route.selection for route in manifest.routes}
    selected = list_selected_tables(manifest, observed)
    strays = find_unmatched_tables(manifest, observed, selected=selected)
    blocks = [
        (capture, found if found[0] or not functions.get(capture.name) else find_lack(capture, observed))
        for capture in captures
        for found in (
            find_block(
                capture,
                relations.get(capture.identity),
                selection=selections.get(capture.route),
                moved=moved.get(capture.name),
                stray=strays.get((capture.route, capture.identity), ""),
                broken=observed.broken.get(capture.name, ""),
                triggers=observed.foreign.triggers,
            ),
        )
    ]
    owner = manifest.owner.role if manifest.owner else None
    session = observed.session
    obstacle = find_obstacle(observed.partman, role=session.role, has_pgmq=session.has_pgmq)
    inline = {queue for capture in captures if capture.send == "inline" for queue in capture.queues}
    spelled = {fold(name): name for name in observed.queues}
    return (
        *compare_schemas(observed),
        *(
            Object(
                kind="queue", name=queue.name, queue=queue, state="blocked", detail="not visible to this role"
            )
            if session.has_pgmq and not session.reads_queues
            else compare_queue(
                queue,
                observed.queues.get(queue.name),
                project=project,
                inline=queue.name in inline,
                obstacle=obstacle,
                spelled=spelled.get(fold(queue.name), ""),
            )
            for queue in sorted(manifest.queues, key=lambda queue: queue.name)
        ),
        *compare_owner(manifest, observed),
        *(
            _compare_function(
                capture,
                functions.get(capture.name),
                relations.get(capture.identity),
                project=project,
                block=block,
                owner=owner,
            )
            for capture, block in blocks
        ),
        *(
            _compare_trigger(
                capture, triggers.get((*capture.identity, capture.trigger_name)), project=project, block=block
            )
            for capture, block in blocks
        ),
        *compare_tables(manifest, observed, selected=selected),
        *_find_strangers(manifest, observed),
        *compare_access(manifest, observed),
        *find_undeclared(manifest, observed),
        *compare_api(manifest, observed),
        *find_orphans(
            manifest,
            observed,
            blocked={
                name for capture, block in blocks if block[0] for name in (capture.name, capture.trigger_name)
            },
        ),
        *find_withdrawn(project, observed, declared=manifest.access),
        *compare_schedules(manifest, observed.schedules),
    )


def _compare_function(
    capture: Capture,
    live: Function | None,
    relation: Relation | None,
    *,
    project: str,
    block: tuple[str, str],
    owner: str | None,
) -> Object:
    make = partial(
        Object,
        kind="function",
        name=capture.name,
        table=capture.identity,
        route=capture.route,
        capture=capture,
    )

    if block[0]:
        return make(state="blocked", detail=block[0], fix=block[1])
    if live is None:
        return make(state="missing", action="create")
    found = live.live
    right = found == capture.function_live
    owned = owner is None or live.owner == owner
    # The body holds the table's oid, which changes with a restore.
    kept = relation is None or read_anchor(live.body) in (None, relation.oid)
    marker = live.marker
    if marker is None:
        if right:
            return make(
                state="drifted",
                detail="its comment was removed",
                action="comment" if owned and kept else "replace",
            )
        if _is_capture(capture, live):
            return make(state="drifted", detail="its comment was removed, and more", action="replace")
        return make(
            state="foreign",
            detail=f"changelane.{capture.name} exists and is not Changelane's",
            fix=f'DROP FUNCTION changelane."{capture.name}"() if nothing needs it',
        )
    if marker.project != project:
        return make(
            state="foreign",
            detail=f"changelane.{capture.name} belongs to project {marker.project}",
            fix=_part(marker.project),
        )
    if found != marker.live:
        return make(
            state="drifted",
            detail=_explain(live),
            action="comment" if right and owned and kept else "replace",
        )
    if not owned and marker.spec == capture.spec:
        return make(
            state="drifted",
            detail=f"its owner became {live.owner}, declared is {owner}",
            action="own" if right else "replace",
        )
    if not owner and not live.owner_creates:
        return make(
            state="drifted",
            detail=f"its owner became {live.owner}, who may not create in schema changelane",
            action="own" if right and marker.spec == capture.spec else "replace",
        )
    if not right:
        return make(state="outdated", detail="its definition changes", action="replace")
    if not owned:
        return make(state="outdated", detail=f"its owner is to be {owner}", action="replace")
    if not kept:
        return make(
            state="outdated", detail="its table has another number, as after a restore", action="replace"
        )
    if marker.spec != capture.spec:
        return make(state="outdated", detail="only its comment", action="comment")
    return make(state="ok")


def _is_capture(capture: Capture, live: Function) -> bool:
    """Whether a function without a comment came from us. Its body says so, whoever may execute it; or its
    name, which holds project, table and route, together with a body that sends to queues as older captures
    do.
    """
    bare = replace(live, public_execute=False)
    return bare.live == capture.function_live or (live.security_definer and bool(find_queues(live.body)))


def _part(project: str) -> str:
    return f"rename the route; or, if that project is no more, changelane destroy --project {project}"


def _explain(live: Function) -> str:
    if live.public_execute:
        return "PUBLIC may execute it"
    if not live.security_definer:
        return "it is no longer SECURITY DEFINER"
    if not any(setting.startswith("search_path=") for setting in live.config):
        return "its search_path is no longer pinned"
    return "its body or settings were changed"


def _compare_trigger(
    capture: Capture, live: Trigger | None, *, project: str, block: tuple[str, str]
) -> Object:
    name = capture.trigger_name
    make = partial(
        Object,
        kind="trigger",
        name=name,
        table=capture.identity,
        route=capture.route,
        capture=capture,
    )

    if block[0]:
        return make(state="blocked", detail=block[0], fix=block[1])
    if live is None:
        return make(state="missing", action="create")
    place = spell(capture.identity)
    if live.constraint:
        return make(
            state="foreign",
            detail=f"trigger {name} on {place} is a constraint trigger, which Changelane never makes",
            fix=drop_trigger(name, table=capture.identity),
        )
    right = live.live == capture.trigger_live
    # The hash does not cover the text of a WHEN, nor the columns of an UPDATE OF.
    transparent = right and not live.conditional and not live.columns
    fires = live.enabled == ENABLED[capture.fire] and not live.strays
    marker = live.marker
    if marker is None and not right:
        return make(
            state="foreign",
            detail=f"trigger {name} on {place} exists and is not Changelane's",
            fix=f"{drop_trigger(name, table=capture.identity)} if nothing needs it",
        )
    if marker and marker.project != project:
        return make(
            state="foreign",
            detail=f"trigger {name} on {place} belongs to project {marker.project}",
            fix=_part(marker.project),
        )
    if right and not live.owned:
        # The trigger's owner alone can change its comment.
        if fires:
            return make(state="ok")
        return make(state="disabled", detail=_explain_disabled(capture, live), action="replace")
    if right and not live.own_marker:
        return make(
            state="drifted",
            detail="its comment was removed",
            action="comment" if transparent and fires else "replace",
        )
    assert marker is not None
    changed = live.live != marker.live if live.own_marker else marker.spec == capture.spec
    if changed:
        return make(
            state="drifted",
            detail="its definition was changed",
            action="comment" if transparent and fires else "replace",
        )
    same = right and marker.spec == capture.spec
    if live.enabled == "D" or (same and not fires):
        return make(
            state="disabled",
            detail=_explain_disabled(capture, live),
            action="enable" if same else "replace",
        )
    if not right or not fires:
        return make(state="outdated", detail="its definition changes", action="replace")
    if not same:
        if transparent:
            return make(state="outdated", detail="only its comment", action="comment")
        return make(state="outdated", detail="its condition may change", action="replace")
    return make(state="ok")


def _explain_disabled(capture: Capture, live: Trigger) -> str:
    if live.enabled == "D":
        return "it is disabled"
    if live.strays:
        return f"it is disabled, or fires otherwise, on {', '.join(live.strays)}"
    return f"it does not fire {capture.fire}"


def _find_strangers(manifest: Manifest, observed: Observed) -> Iterator[Object]:
    """Unmarked triggers that call a function of the project, and so send its messages a second time."""
    known = {(*capture.identity, capture.trigger_name) for capture in manifest.captures}
    declared = {capture.name: capture.route for capture in manifest.captures}
    for trigger in observed.triggers.values():
        name = trigger.function.removeprefix(f"{SCHEMA}.")
        function = observed.functions.get(name) if name != trigger.function else None
        marker = function.marker if function else None
        ours = marker.project == manifest.project if marker else name in declared
        marked = trigger.marker is not None and trigger.marker.project == manifest.project
        if function is None or not ours or marked or trigger.identity in known:
            continue
        place = (trigger.schema, trigger.table)
        yield Object(
            kind="trigger",
            name=trigger.name,
            table=place,
            state="foreign",
            route=marker.name if marker else declared[name],
            detail=f"it calls {trigger.function} and does not have this project's marker: made by hand, or "
            "renamed without its comment, it sends the same messages again",
            fix=drop_trigger(trigger.name, table=place),
        )


def list_other_projects(manifest: Manifest, observed: Observed) -> Iterator[tuple[Trigger, str]]:
    """Triggers of other projects on tables that this one captures, each with its project."""
    captured = {capture.identity for capture in manifest.captures}
    for trigger in observed.triggers.values():
        function = observed.functions.get(trigger.function.removeprefix(f"{SCHEMA}."))
        marker = (function.marker if function else None) or trigger.marker
        if marker and marker.project != manifest.project and (trigger.schema, trigger.table) in captured:
            yield trigger, marker.project
