"""Compares the functions for roles with ``via: functions`` with their declaration."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from changelane.contract.access import ACCESS_SCHEMA
from changelane.contract.manifest import Access
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import Observed
from changelane.runner.live.rights import Rights
from changelane.text import spell_name


def find_wrong_functions(access: Access, rights: Rights, *, project: str) -> Iterator[str]:
    """Problems with the functions of one role on one queue, and with the role that they run as."""
    if not access.caller:
        return
    found = {function.name: function for function in rights.functions}
    for name in access.functions:
        function = found.get(name)
        if function is None:
            yield f"function {ACCESS_SCHEMA}.{name} is gone"
        elif function.marker is None:
            yield f"the comment of function {ACCESS_SCHEMA}.{name} was removed"
        elif function.marker.live != function.live:
            yield f"function {ACCESS_SCHEMA}.{name}, its owner or its rights were changed"
    for function in rights.functions:
        marker = function.marker
        if (
            marker
            and (marker.project, marker.name, function.owner) == (project, access.queue, access.role)
            and function.name not in access.functions
        ):
            yield f"function {spell_name(function.name)} has the project's marker and is not declared"
    if rights.access_schema and not rights.access_schema.open:
        yield f"PUBLIC may not use schema {ACCESS_SCHEMA}"
    if rights.access_schema and rights.access_schema.creators:
        creators = ", ".join(map(spell_name, rights.access_schema.creators))
        yield f"{creators} may create in schema {ACCESS_SCHEMA}"
    role = rights.roles[access.role]
    if role.logs_in:
        yield f"role {role.name}, as which its functions run, may log in"
    if role.members:
        members = ", ".join(map(spell_name, role.members))
        yield f"{members} may become role {role.name}, as which its functions run"


def find_strange(access: Access, observed: Observed, *, known: Collection[str]) -> tuple[str, str]:
    """Objects of other roles in the schema where callers look for their functions, and the fix; empty if
    none.

    ``known`` are the names that the project declares.
    """
    rights = observed.rights
    schema = rights.access_schema
    if not access.caller or schema is None:
        return "", ""
    table = rights.tables.get((access.queue, False))
    trusted = table.owner if table else observed.session.role
    if trusted not in schema.acts_as:
        return (
            f"schema {ACCESS_SCHEMA} belongs to {spell_name(schema.owner)}, who may not act as role "
            f"{spell_name(trusted)} and could replace what {spell_name(access.caller)} calls",
            f'look at its objects, then ALTER SCHEMA {ACCESS_SCHEMA} OWNER TO "{trusted}"',
        )
    strange = [
        function.signature
        for function in rights.functions
        if function.name not in known
        and not (function.marker and function.owner.startswith(f"changelane_{function.marker.project}_"))
    ]
    if strange:
        return (
            f"{', '.join(strange)} in schema {ACCESS_SCHEMA} has no mark of Changelane, and an API might "
            "call it",
            f"DROP FUNCTION {', '.join(strange)}",
        )
    return "", ""


def check_functions(objects: Iterable[Object], observed: Observed) -> Iterator[tuple[str, str]]:
    """The reasons why the session's role cannot create the roles that functions run as, or their schema."""
    session, rights = observed.session, observed.rights
    given = [thing.access for thing in objects if thing.access and thing.access.caller and thing.action]
    for role, access in {access.role: access for access in given}.items():
        if role not in rights.roles and not session.creates_roles:
            yield (
                f"functions of {spell_name(access.caller)} run as role {role}, which does not exist, and "
                f"role {spell_name(session.role)} may not create roles",
                f'let a superuser run CREATE ROLE "{role}" NOLOGIN; GRANT "{role}" TO "{session.role}"; '
                "or declare `via: tables`",
            )
    if given and rights.access_schema is None and not session.creates_schemas:
        yield (
            f"role {spell_name(session.role)} may not create schema {ACCESS_SCHEMA} in database "
            f"{spell_name(session.database)}",
            f'GRANT CREATE ON DATABASE "{session.database}" TO "{session.role}"',
        )


def list_withdrawn(
    project: str, rights: Rights, *, declared: Iterable[Access]
) -> dict[tuple[str, str | None], list[str]]:
    """Signatures of the project's functions that are not declared, by queue and the role that they run as.
    The role is None if somebody changed the owner by hand.
    """
    declared = tuple(declared)
    known = {name for access in declared for name in access.functions}
    pairs = {(access.queue, access.role) for access in declared}
    found: dict[tuple[str, str | None], list[str]] = {}
    for function in rights.functions:
        marker = function.marker
        if marker is None or marker.project != project or function.name in known:
            continue
        if (marker.name, function.owner) not in pairs:
            role = function.owner if function.owner.startswith(f"changelane_{project}_") else None
            found.setdefault((marker.name, role), []).append(function.signature)
    return found


def list_callers(rights: Rights, *, other_than: str) -> set[str]:
    """Roles that may call functions of other projects than ``other_than``."""
    return {
        caller
        for function in rights.functions
        if function.marker and function.marker.project != other_than
        for caller in function.callers
    }
