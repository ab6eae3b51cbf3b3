"""Hashes of observed objects, to compare two observations of a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from changelane.contract.marker import hash_model
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import Observed
from changelane.runner.live.rights import Rights


def take_fingerprint(objects: Iterable[Object], observed: Observed) -> dict[str, str]:
    """Name of each object to the hash of its state as found, and a hash of the database's name."""
    fingerprint = {"database": hash_model(observed.session.database)}
    for thing in objects:
        fingerprint[str(thing)] = hash_model([thing.state, thing.detail, *_describe(thing, observed)])
    return fingerprint


def _describe(thing: Object, observed: Observed) -> list[object]:
    # An object that is ok is as its marker says, so its live hash is left out.
    differs = thing.state != "ok"
    if thing.kind == "trigger" and thing.table:
        trigger = observed.triggers.get((*thing.table, thing.name))
        return [
            trigger and [differs and trigger.live, trigger.comment, trigger.function_comment, trigger.enabled]
        ]
    if thing.kind == "function":
        function = observed.functions.get(thing.name)
        return [function and [differs and function.live, function.comment, function.owner]]
    if thing.kind == "queue":
        queue = observed.queues.get(thing.name)
        return [queue and [queue.live, queue.comment]]
    if thing.kind == "schedule":
        rows = [row for row in observed.schedules.values() if row.name == thing.name]
        return [[row.project, row.spec, *(row.definition if differs else ())] for row in rows]
    if thing.kind == "owner":
        return []
    if thing.kind in ("access", "api"):
        return _describe_rights(thing, observed.rights)
    session = observed.session
    return [session.schema_comment, session.schema_live, session.functions_comment]


def _describe_rights(thing: Object, rights: Rights) -> list[object]:
    if thing.kind == "api":
        return [rights.api and [rights.api.live, rights.api.comment, sorted(rights.api.grants)]]
    entry = thing.access or thing.withdrawal
    if entry is None:
        return []
    policies = [policy for policy in rights.policies if policy.queue == entry.queue]
    grants = [grant for grant in rights.grants if (grant.queue, grant.role) == (entry.queue, entry.role)]
    return [
        [[policy.table, policy.name, policy.live, policy.comment] for policy in policies],
        [[grant.archive, grant.part, grant.privilege, grant.column, grant.grantable] for grant in grants],
        [
            [function.name, function.live, function.comment]
            for function in rights.functions
            if function.owner == entry.role
        ],
    ]


def find_differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Sorted names of the objects that differ between the two."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
