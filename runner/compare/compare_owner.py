"""Compares the declared owner of capture functions with its rights, and notes the powers of all owners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from changelane.contract.manifest import Capture, Manifest
from changelane.contract.marker import SCHEMA
from changelane.contract.queue_name import queue_table
from changelane.runner.compare.object import Object
from changelane.runner.live.definers import Definer, MissingRight
from changelane.runner.live.observe import Observed
from changelane.text import spell, spell_name

_OURS = (f"execute {SCHEMA}.", "SELECT (queue, until)")
DECLARE = "declare `owner: changelane_capture` in pipelines.yaml"


def compare_owner(manifest: Manifest, observed: Observed) -> Iterator[Object]:
    """The state of the role that the spec declares, if any."""
    owner = manifest.owner
    if owner is None:
        return
    make = partial(Object, kind="owner", name=owner.role, owner=owner)
    if owner.role not in observed.definers.roles:
        yield make(state="missing", detail="it may send to the queues, and nothing else", action="create")
        return
    lacks = list_owner_lacks(manifest, observed)
    if barred := [lack for lack in lacks if not lack.fixable]:
        yield make(
            state="blocked",
            detail=f"it may not {'; '.join(lack.what for lack in barred)}, and writes would fail",
            fix="; ".join(lack.fix for lack in barred),
        )
        return
    if lacks:
        used = any(function.owner == owner.role for function in observed.functions.values())
        yield make(
            state="drifted" if used else "outdated",
            detail=f"it may not {'; '.join(lack.what for lack in lacks)}",
            action="replace",
        )
        return
    yield make(state="ok")


def list_owner_lacks(manifest: Manifest, observed: Observed) -> list[MissingRight]:
    """The rights that the declared owner lacks for all captures, each once, without policies that come with
    access.
    """
    assert manifest.owner is not None
    given = {queue_table(access.queue) for access in manifest.access if access.role == manifest.owner.role}
    found = (lack for capture in manifest.captures for lack in observed.definers.find_lacks(capture))
    return [lack for lack in dict.fromkeys(found) if lack.table not in given]


def list_lacks(capture: Capture, observed: Observed) -> list[MissingRight]:
    """The rights that the owner of a capture's function lacks, and that apply does not grant.

    Apply grants a declared owner everything, and every role the rights in schema ``changelane`` that are for
    all.
    """
    if observed.definers.declared:
        return []
    return [
        lack
        for lack in observed.definers.find_lacks(capture)
        if not (observed.session.owns_schema and lack.what.startswith(_OURS))
    ]


def find_lack(capture: Capture, observed: Observed) -> tuple[str, str]:
    """The rights without which the owner's captures fail, in words, and the fix. Empty texts: it has all
    rights.
    """
    lacks = list_lacks(capture, observed)
    if not lacks:
        return "", ""
    role = observed.definers.by_capture[capture.name]
    return (
        f"role {spell_name(role)}, as which capture functions of route {capture.route} run, may not "
        f"{'; '.join(lack.what for lack in lacks)}: writes to {spell(capture.identity)} would fail",
        "; ".join(lack.fix for lack in lacks),
    )


def describe_danger(definer: Definer) -> str:
    """The danger of a capture that runs as this role, empty without one: code of others runs with its
    rights.
    """
    if definer.superuser:
        return "a superuser"
    if definer.makers:
        makers = ", ".join(map(spell_name, definer.makers))
        return f"who holds more than the owners of captured tables and of their types ({makers})"
    return ""


def list_definer_notes(manifest: Manifest, observed: Observed, *, changed: bool) -> Iterator[str]:
    """Notes for a person on the roles that captures run as; ``changed``: the plan changes a function."""
    definers = observed.definers
    if manifest.owner:
        definer = definers.roles.get(manifest.owner.role)
        if definer and definer.powers:
            yield (
                f"owner {spell_name(definer.name)} {' and '.join(definer.powers)}: code of others, such as a "
                "cast of a column's type, runs with these rights in capture functions; a role that may only "
                "send would do"
            )
        return
    for name in sorted(set(definers.by_capture.values())):
        definer = definers.roles.get(name)
        danger = describe_danger(definer) if definer else ""
        if definer and danger and (changed or definer.makers):
            yield (
                f"capture functions run as role {spell_name(name)}, {danger}: what the owner of a column's "
                f"type makes, such as a cast, runs with its rights; {DECLARE}"
            )


def check_owner(objects: Iterable[Object], observed: Observed) -> Iterator[tuple[str, str]]:
    """The reasons why the session's role cannot set up the declared owner."""
    thing = next((thing for thing in objects if thing.kind == "owner" and thing.owner), None)
    if thing is None:
        return
    session = observed.session
    role, name = spell_name(session.role), spell_name(thing.name)
    definer = observed.definers.roles.get(thing.name)
    if definer is None and not session.creates_roles:
        yield (
            f"owner {name} does not exist, and role {role} may not create roles",
            f'let a superuser run CREATE ROLE "{thing.name}" NOLOGIN; GRANT "{thing.name}" TO '
            f'"{session.role}"; or take `owner` out of pipelines.yaml',
        )
    elif definer is not None and not (definer.member or definer.joinable):
        yield (
            f"role {role} is not a member of owner {name}, so it cannot give it functions",
            f'GRANT "{thing.name}" TO "{session.role}"',
        )
