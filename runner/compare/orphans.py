"""Finds objects with a project's marker that are no longer declared, and the messages that they still
send.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from changelane.contract.manifest import Manifest
from changelane.contract.marker import SCHEMA, hash_place
from changelane.runner.compare.compare_access import find_withdrawn
from changelane.runner.compare.compare_api import find_api
from changelane.runner.compare.compare_schedule import find_schedules
from changelane.runner.compare.object import Object
from changelane.runner.compare.renames import read_queues
from changelane.runner.compare.statement import drop_trigger
from changelane.runner.live.observe import Observed, Trigger
from changelane.text import spell, spell_name

Place = tuple[str, str, str]
"""A trigger's schema, table and name."""

_PLACE = re.compile("_([0-9a-f]{8})$")


def find_orphans(manifest: Manifest, observed: Observed, *, blocked: Collection[str]) -> Iterator[Object]:
    """Objects with the project's marker that are not declared. ``blocked`` are names of blocked captures,
    whose tables were renamed together with their triggers; those are reported there.
    """
    triggers = {(*capture.identity, capture.trigger_name) for capture in manifest.captures}
    functions = {capture.name for capture in manifest.captures}
    for thing in _find_marked(manifest.project, observed, declared=(triggers, functions)):
        if thing.table is None:
            yield thing
        elif thing.name not in blocked:
            trigger = observed.triggers[(*thing.table, thing.name)]
            orphan = _explain_orphan(thing, trigger, observed)
            shared = trigger.function.removeprefix(f"{SCHEMA}.") in functions
            yield _leave_to_owner(orphan, trigger) if shared and not trigger.owned else orphan
    queues = {queue.name for queue in manifest.queues}
    for queue in observed.queues.values():
        if queue.name not in queues and queue.marker and queue.marker.project == manifest.project:
            yield Object(
                kind="queue",
                name=queue.name,
                state="orphaned",
                detail="no longer declared; its messages are kept",
                fix=f"SELECT pgmq.drop_queue('{queue.name}') once it is drained",
            )


def _leave_to_owner(orphan: Object, trigger: Trigger) -> Object:
    """An orphan on a table of another role, whose function a declared capture needs."""
    drop = drop_trigger(trigger.name, table=(trigger.schema, trigger.table))
    return replace(
        orphan, action="", fix=f"only {spell_name(trigger.owner)}, who owns the table, may: {drop}"
    )


def _explain_orphan(thing: Object, trigger: Trigger, observed: Observed) -> Object:
    """The orphan with the messages that it still sends. If it sends under another table's name, a person must
    decide.
    """
    if trigger.enabled == "D":
        return replace(thing, detail="no longer declared, and disabled")
    queues = read_queues(observed.functions.get(trigger.function.removeprefix(f"{SCHEMA}.")))
    if trigger.marker and trigger.marker.kind == "retired":
        return replace(thing, detail="no longer declared, and its function does nothing")
    sends = f"route {thing.route} still sends changes of {thing.place}"
    sends += f" to {', '.join(sorted(queues))}" if queues else ""
    if not is_misplaced(trigger):
        return replace(thing, detail=sends)
    return replace(
        thing,
        detail=f"{sends} under the name of another table: this one was renamed, moved or swapped",
        fix=f"--prune {'drops it' if trigger.owned else 'ends it'}; or name the table in a route",
    )


def is_misplaced(trigger: Trigger) -> bool:
    """Whether a trigger of a project sends its table's changes under another table's name."""
    named = _PLACE.search(trigger.function)
    if trigger.marker is None or named is None:
        return False
    return named[1] != hash_place(project=trigger.marker.project, schema=trigger.schema, table=trigger.table)


def find_remains(project: str, observed: Observed) -> Iterator[Object]:
    """All objects with the project's marker except queues: triggers, functions, access, the API,
    schedules.
    """
    yield from _find_marked(project, observed)
    yield from find_withdrawn(project, observed)
    yield from find_api(project, observed)
    yield from find_schedules(project, observed.schedules)


def _find_marked(
    project: str, observed: Observed, *, declared: tuple[Collection[Place], Collection[str]] = ((), ())
) -> Iterator[Object]:
    """Every trigger, then every function, with the project's marker, and without the ``declared`` ones."""
    triggers, functions = declared
    retired = {trigger.identity for trigger in list_retired(project, observed)}
    held = {trigger.function for trigger in observed.triggers.values() if not trigger.owned}
    for identity, trigger in observed.triggers.items():
        if identity in triggers or identity in retired:
            continue
        if trigger.marker and trigger.marker.project == project:
            yield Object(
                kind="trigger",
                name=trigger.name,
                table=(trigger.schema, trigger.table),
                route=trigger.marker.name,
                state="orphaned",
                action="drop" if trigger.owned else "retire",
                relation=trigger.relation,
                marker=trigger.marker,
            )
    for name, function in observed.functions.items():
        if name in functions:
            continue
        kept = f"{SCHEMA}.{function.name}" in held
        marker = function.marker
        if marker and marker.project == project and not (kept and marker.kind == "retired"):
            yield Object(
                kind="function",
                name=function.name,
                route=marker.name,
                state="orphaned",
                action="retire" if kept else "drop",
                marker=marker,
            )


def list_retired(project: str, observed: Observed) -> list[Trigger]:
    """Triggers of the project that call a function that does nothing, and that the role may not drop."""
    return [
        trigger
        for trigger in observed.triggers.values()
        if trigger.marker
        and (trigger.marker.project, trigger.marker.kind) == (project, "retired")
        and not trigger.owned
    ]


def explain_retired(trigger: Trigger) -> str:
    """The remaining triggers, and the statements by which the table's owner drops them."""
    place = (trigger.schema, trigger.table)
    return (
        f"trigger {spell_name(trigger.name)} on {spell(place)} stays, and its function does nothing: only "
        f"{spell_name(trigger.owner)}, who owns the table, may: {drop_trigger(trigger.name, table=place)}"
    )
