"""The access of roles to queues as the database has it, whoever granted it and however."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import psycopg

from changelane.contract.access import OPERATIONS, POLICIES, Operation, Right, find_rights
from changelane.runner.live.rights import Policy, Rights, Role, observe_rights

Extent = Literal["no", "none", "some", "all"]
"""Extent of an operation: not granted; granted, but row security shows no message; some messages; all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAccess:
    """``operations`` maps each operation to its extent. ``bypasses``: row security does not restrict the
    role. ``enters``: it may use schema pgmq, without which it can do nothing. An empty ``role`` is PUBLIC.
    ``callers`` have no right themselves, and call functions that run as this role.
    """

    role: str
    operations: Mapping[Operation, Extent]
    bypasses: bool
    enters: bool
    callers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAccess:
    """``row_security`` is that of the queue's table. ``policies`` maps the name of each policy on it to the
    project that declares it, empty for one made by hand. ``owner`` may do everything, and is not among
    ``roles``.
    """

    queue: str
    owner: str
    row_security: bool
    archive_row_security: bool
    policies: Mapping[str, str]
    roles: tuple[RoleAccess, ...]


def read_access(conn: psycopg.Connection[Any]) -> list[QueueAccess]:
    """Every queue by name, with every role that has a right or a policy there, by name.

    ``conn`` is in autocommit and in no transaction; pgmq is installed. Raises psycopg.Error.
    """
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        conn.execute("SET LOCAL search_path = ''")
        rights = observe_rights(conn, ())
    grants, policies = defaultdict(list), defaultdict(list)
    for grant in rights.grants:
        grants[grant.queue].append(grant)
    for policy in rights.policies:
        policies[policy.queue].append(policy)
    return [
        _describe(queue, replace(rights, grants=grants[queue], policies=policies[queue]))
        for queue, archive in rights.tables
        if not archive
    ]


def _describe(queue: str, rights: Rights) -> QueueAccess:
    """``rights`` are the rights on this queue."""
    table, archive = rights.tables[queue, False], rights.tables.get((queue, True))
    policies = rights.policies
    names = {grant.role for grant in rights.grants}
    names |= {role for policy in policies for role in policy.roles}
    return QueueAccess(
        queue=queue,
        owner=table.owner,
        row_security=table.row_security,
        archive_row_security=archive is not None and archive.row_security,
        policies={
            policy.name: policy.marker.project if policy.marker else ""
            for policy in policies
            if not policy.archive
        },
        roles=tuple(_describe_role(name, queue, rights, policies) for name in sorted(names)),
    )


def _describe_role(name: str, queue: str, rights: Rights, policies: Iterable[Policy]) -> RoleAccess:
    role = rights.roles.get(name)
    acting = {"", name, *(role.memberships if role else ())}
    held = {grant.right for grant in rights.grants if grant.role in acting}
    applied = [policy for policy in policies if acting & set(policy.roles)]
    return RoleAccess(
        role=name,
        operations={
            operation: _measure(operation, queue, held, applied, role, rights) for operation in OPERATIONS
        },
        bypasses=role is not None and _bypasses(role, rights.tables[queue, False].owner),
        enters=role is not None and role.uses_pgmq,
        callers=tuple(
            sorted(
                {
                    caller
                    for function in rights.functions
                    if function.marker and (function.marker.name, function.owner) == (queue, name)
                    for caller in function.callers
                }
            )
        ),
    )


def _bypasses(role: Role, owner: str) -> bool:
    return role.bypasses or owner in role.memberships


def _measure(
    operation: Operation,
    queue: str,
    held: Iterable[Right],
    policies: Iterable[Policy],
    role: Role | None,
    rights: Rights,
) -> Extent:
    held = set(held)
    for right in find_rights((operation,), columns=()):
        if not {right, Right(right.place, right.privilege)} & held:
            return "no"
    extent: Extent = "all"
    for needed in POLICIES:
        table = rights.tables.get((queue, needed.place == "archive"))
        if needed.operation != operation or needed.restrictive or table is None or not table.row_security:
            continue
        if role is not None and _bypasses(role, table.owner):
            continue
        found = [
            policy
            for policy in policies
            if policy.archive == (needed.place == "archive") and policy.command in (needed.command, "all")
        ]
        if not any(policy.permissive for policy in found):
            return "none"
        # A policy that only shows a role the rows it has just written does not restrict its operations.
        own = needed.using == "new" or needed.check in ("moved", "none")
        if not own and not any(policy.permissive and policy.unlimited for policy in found):
            extent = "some"
        if any(not policy.permissive and policy.marker is None for policy in found):
            extent = "some"
    return extent
