"""Removes the objects that carry a project's marker from the database, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from shlex import quote
from typing import Any

import psycopg

from changelane.contract.manifest import Manifest
from changelane.contract.queue_name import queue_table
from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError, PreflightError
from changelane.runner.apply.executor import run
from changelane.runner.apply.give_back import give_back
from changelane.runner.apply.plan import Plan
from changelane.runner.apply.preflight import check
from changelane.runner.apply.step import Step, drop
from changelane.runner.apply.steps_access import change_access, drop_api
from changelane.runner.apply.steps_schedule import drop_schedules
from changelane.runner.compare.object import Object
from changelane.runner.compare.orphans import explain_retired, find_remains
from changelane.runner.compare.statement import count_messages, drop_owner, drop_queue, drop_trigger
from changelane.runner.live.lock_wait import hold_project
from changelane.runner.live.observe import LiveQueue, Observed, observe
from changelane.text import spell, spell_name

Messages = Mapping[str, tuple[int, int]]
"""Queue to the number of messages in it and in its archive."""


def destroy(
    conn: psycopg.Connection[Any],
    manifest: Manifest,
    *,
    drop_queues: bool = False,
    discard: Collection[str] = (),
    max_wait: float = 60.0,
    confirm: Callable[[Plan], object],
    report: Callable[[Step], None],
    notify: Callable[[str], None],
) -> Plan:
    """Drop the project's triggers, its functions and, on request, its own queues; returns the plan carried
    out.

    ``discard`` names the queues whose messages, archived ones included, may be lost. ``conn`` is in
    autocommit. ``confirm``, ``report``, ``notify``, ``max_wait`` and the errors raised are as for ``apply``.
    """
    with hold_project(conn, project=manifest.project, max_wait=max_wait, notify=notify):
        observed = observe(conn, manifest)
        owned = find_owned(manifest.project, observed) if drop_queues else {}
        messages = {name: _count(conn, name) for name, queue in owned.items() if queue.owned}
        planned = plan_destroy(
            manifest.project, observed, drop_queues=drop_queues, discard=discard, messages=messages
        )
        if problems := check(planned, observed):
            raise PreflightError(problems)
        confirm(planned)
        run(conn, planned.steps, files={}, max_wait=max_wait, report=report, notify=notify)
        after = observe(conn, manifest)
        left = [str(thing) for thing in find_remains(manifest.project, after)]
        left += [f"queue {name} (a message came meanwhile)" for name in owned if name in after.queues]
        if left:
            raise DatabaseError(f"still there: {', '.join(left)}", fix="run `changelane destroy` again")
    return planned


def find_owned(project: str, observed: Observed) -> dict[str, LiveQueue]:
    """The queues that carry the project's marker, by name."""
    return {
        name: queue
        for name, queue in observed.queues.items()
        if queue.marker and queue.marker.project == project
    }


def _count(conn: psycopg.Connection[Any], queue: str) -> tuple[int, int]:
    row = conn.execute(count_messages(queue)).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def plan_destroy(
    project: str,
    observed: Observed,
    *,
    drop_queues: bool,
    discard: Collection[str],
    messages: Messages,
) -> Plan:
    """The plan of destroy: triggers by table, functions, queues, then the schema if it is empty."""
    remains = tuple(find_remains(project, observed))
    owned = find_owned(project, observed)
    restored, missing = give_back(project, observed, dropped=owned if drop_queues else ())
    steps = [
        *drop_schedules(remains, project=project),
        *change_access(remains, observed, project=project, api=None),
        *restored,
        *drop(remains, server=observed.session.server),
        *_drop_owners(project, observed),
    ]
    steps += [drop_api(thing) for thing in remains if thing.kind == "api"]
    problems = _find_dependents(remains, observed)
    notes = [
        explain_retired(trigger)
        for trigger in observed.triggers.values()
        if trigger.marker and trigger.marker.project == project and not trigger.owned
    ]
    notes += missing
    if drop_queues:
        steps += [_drop_queue(queue, discard=name in discard) for name, queue in owned.items()]
        problems += _find_queue_problems(project, observed, discard=discard, messages=messages)
        notes += [
            f"queue {name}: {_describe(*messages[name])} will be lost"
            for name in owned
            if name in discard and any(messages.get(name, ()))
        ]
    elif owned:
        notes.append(f"kept: queues {', '.join(owned)}; --drop-queues drops them")
    projects = {row.project for row in observed.schedules.values()}
    projects |= {right.project for right in observed.found_rights}
    shared = not projects <= {project}
    functions = sum(thing.kind == "function" and thing.action == "drop" for thing in remains)
    session = observed.session
    ours = (session.schema_comment or "").startswith("changelane:schema ")
    if ours and session.schema_objects == functions and not shared:
        # Another role made the schema for this role, which could not create it again.
        if session.owns_schema and session.creates_schemas:
            steps.append(_drop_schema())
        else:
            notes.append(f"kept: schema changelane, which role {session.role} could not create anew")
    return Plan(
        project=project, objects=remains, steps=tuple(steps), problems=tuple(problems), notes=tuple(notes)
    )


def _drop_owners(project: str, observed: Observed) -> Iterator[Step]:
    """Revoke the rights of roles that own functions of this project and serve no other project."""
    owners: dict[str, set[str]] = {}
    for function in observed.functions.values():
        if function.marker and not function.owner_creates:
            owners.setdefault(function.owner, set()).add(function.marker.project)
    for role in sorted(role for role, projects in owners.items() if projects == {project}):
        yield Step(
            action="destroy",
            kind="owner",
            name=role,
            table=None,
            reason="its rights in this database; the role stays",
            transaction="drop functions",
            sql=(drop_owner(role),),
        )


def _find_dependents(dropped: Iterable[Object], observed: Observed) -> list[tuple[str, str]]:
    """Triggers that still call a function to be dropped: (what, fix) of each."""
    dropped = tuple(dropped)
    functions = {f"changelane.{thing.name}" for thing in dropped if thing.kind == "function"}
    triggers = {(*thing.table, thing.name) for thing in dropped if thing.kind == "trigger" and thing.table}
    return [
        (
            f"trigger {spell_name(trigger.name)} on {spell((trigger.schema, trigger.table))} calls "
            f"{trigger.function}, and does not have this project's marker",
            drop_trigger(trigger.name, table=(trigger.schema, trigger.table)),
        )
        for trigger in observed.triggers.values()
        if trigger.function in functions and trigger.identity not in triggers
    ]


def _find_queue_problems(
    project: str, observed: Observed, *, discard: Collection[str], messages: Messages
) -> Iterator[tuple[str, str]]:
    owned = find_owned(project, observed)
    for name in discard:
        if name not in owned:
            yield f"project {project} owns no queue {name}", f"its queues are: {', '.join(owned) or 'none'}"
    for name in owned:
        if name not in discard and any(messages.get(name, ())):
            yield (
                f"queue {name} holds {_describe(*messages[name])}",
                f"work them off, or add --discard-messages {quote(name)} to lose them",
            )
        for function in observed.functions.values():
            ours = function.marker is not None and function.marker.project == project
            if not ours and re.search(
                rf"(?<!\w)(?:q_)?{re.escape(name)}(?!\w)", function.body, re.IGNORECASE
            ):
                yield (
                    f"function changelane.{function.name}, not of project {project}, sends to queue {name}: "
                    "dropping the queue would fail the writes to its table",
                    "destroy that project first, or leave out --drop-queues",
                )


def _describe(queued: int, archived: int) -> str:
    message = "message" if queued == 1 else "messages"
    return f"{queued} {message} and {archived} archived"


def _drop_queue(queue: LiveQueue, *, discard: bool) -> Step:
    name, cut = queue.name, queue.partitioning
    templates = [table for table in (cut.template, cut.archive_template) if table] if cut else []
    return Step(
        action="destroy",
        kind="queue",
        name=name,
        table=("pgmq", queue_table(name)),
        mode="ACCESS EXCLUSIVE",
        relation="p" if queue.kind == "partitioned" else "r",
        reason="",
        transaction=f"drop queue {name}",
        sql=(drop_queue(name, discard=discard, templates=templates),),
    )


def _drop_schema() -> Step:
    return Step(
        action="destroy",
        kind="schema",
        name="changelane",
        table=None,
        reason="nothing is left in it; kept while its audit log holds entries",
        transaction="drop schema",
        sql=(load_sql(__name__, "drop_schema", whole=True),),
    )
