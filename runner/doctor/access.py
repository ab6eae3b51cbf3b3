"""Roles that can use queues without declared access."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.manifest import Manifest
from changelane.contract.queue_name import fold
from changelane.contract.sql_text import load_sql
from changelane.runner.compare.undeclared_rights import SENDING, find_undeclared, list_senders
from changelane.runner.doctor.finding import Finding
from changelane.runner.live.observe import Observed
from changelane.runner.live.queue_tables import spell_archive, spell_queue
from changelane.runner.live.rights import Grant
from changelane.text import spell_name

_MEMBERS = load_sql(__name__, "members")
_BYPASSING = load_sql(__name__, "bypassing")
_PGMQ_OPEN = load_sql(__name__, "pgmq_open")
_GIVEN_BY_DEFAULT = load_sql(__name__, "given_by_default")

_UNFILTERED = {"TRUNCATE", "TRIGGER"}
"""Privileges on a table that row security does not restrict."""

_SHOWN = 10
"""Roles or queues named in one finding, at most."""


def find_access(conn: psycopg.Connection[Any], manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    if not observed.session.has_pgmq:
        return
    for thing in find_undeclared(manifest, observed):
        yield Finding(
            code="rights-undeclared",
            what=f"{thing}: {thing.detail}",
            why="the queue declares its access, and this role has none",
            fix="changelane apply --prune, which revokes it; or declare it under `access`",
        )
    yield from _find_open_queues(conn, manifest, observed)
    for place, role, privileges in conn.execute(_PGMQ_OPEN).fetchall():
        yield Finding(
            code="pgmq-open",
            what=f"{_name(role)} may {', '.join(privileges)} on {_spell_place(place)}",
            why="the right covers all queues at once, whatever access each of them declares",
            fix=f"REVOKE {', '.join(privileges)} ON {place} FROM {_quote(role)}; or let it be the role that "
            "applies, and owns the queues",
        )
    if manifest.access:
        yield from _find_defaults(conn)


def _find_open_queues(
    conn: psycopg.Connection[Any], manifest: Manifest, observed: Observed
) -> Iterator[Finding]:
    """Queues without declared access, grouped by the roles that can use them and how."""
    declared = {access.queue for access in manifest.access}
    names = {queue.name for queue in manifest.queues} - declared
    senders = list_senders(observed)
    grants = [
        grant
        for grant in observed.rights.grants
        if grant.queue in names
        and not (
            (fold(grant.queue), grant.role) in senders and not grant.archive and grant.privilege in SENDING
        )
    ]
    members: dict[str, list[str]] = {"": [""]}
    holders = sorted({grant.role for grant in grants if grant.role})
    for holder, role in conn.execute(_MEMBERS, {"roles": holders}).fetchall():
        members.setdefault(holder, []).append(role)
    bypassing = {name for (name,) in conn.execute(_BYPASSING).fetchall()}
    found: dict[tuple[str, str], set[str]] = {}
    for grant in grants:
        for role in members.get(grant.role, ()):
            owner = observed.rights.tables[grant.queue, False].owner
            if role != owner and _reaches(grant, role, observed, bypassing=bypassing):
                ability = "read" if grant.privilege == "SELECT" else "write"
                found.setdefault((grant.queue, role), set()).add(ability)
    alike: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for role in sorted({role for _, role in found}):
        for can in ("read", "write", "read and write"):
            wanted = set(can.split(" and "))
            queues = tuple(
                sorted(queue for (queue, other), able in found.items() if other == role and able == wanted)
            )
            if queues:
                alike.setdefault((queues, can), []).append(role)
    for (queues, can), roles in sorted(alike.items()):
        yield Finding(
            code="queue-open",
            what=f"{_list([_name(role) for role in roles])} can {can} "
            f"{'queue' if len(queues) == 1 else 'queues'} {_list(queues)}",
            why="the queue declares no access, so nothing checks these rights",
            fix=f"declare queues.{queues[0]}.access in the spec; or REVOKE ALL ON {spell_queue(queues[0])}, "
            f"{spell_archive(queues[0])} FROM {_quote(roles[0])}",
        )


def _reaches(grant: Grant, role: str, observed: Observed, *, bypassing: Collection[str]) -> bool:
    """Whether row security lets the role use the granted privilege at all."""
    rights = observed.rights
    table = rights.tables.get((grant.queue, grant.archive))
    if grant.part or table is None or not table.row_security or role in bypassing:
        return True
    # pg_policy does not list members of a role that has a policy, so any policy counts.
    return grant.privilege in _UNFILTERED or any(
        policy.permissive and (policy.queue, policy.archive) == (grant.queue, grant.archive)
        for policy in rights.policies
    )


def _find_defaults(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    for owner, narrow, kind, role in conn.execute(_GIVEN_BY_DEFAULT).fetchall():
        schema = " IN SCHEMA pgmq" if narrow else ""
        yield Finding(
            code="default-privileges",
            what=f"{kind.lower()} that role {spell_name(owner)} makes are opened to {_name(role)} from the "
            f"beginning{', in schema pgmq' if narrow else ''}",
            why="new partitions of queues get these rights, which nothing declares",
            fix=f"ALTER DEFAULT PRIVILEGES FOR ROLE {_quote(owner)}{schema} REVOKE ALL ON {kind} "
            f"FROM {_quote(role)}",
        )


def _name(role: str) -> str:
    return f"role {spell_name(role)}" if role else "PUBLIC"


def _quote(role: str) -> str:
    return sql.Identifier(role).as_string() if role else "PUBLIC"


def _spell_place(place: str) -> str:
    kind, _, name = place.partition(" ")
    return f"{kind.lower()} {name}" + (", which runs as its owner" if kind == "FUNCTION" else "")


def _list(names: Collection[str]) -> str:
    shown = list(names)[:_SHOWN]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
