"""Reads the rights on tables of queues, their policies, and schema ``pgmq_public``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from changelane.contract.access import API_NAMES, Place, Right
from changelane.contract.marker import API_LIVE, FUNCTION_LIVE, POLICY_LIVE, Marker, parse_marker
from changelane.contract.queue_name import archive_table, queue_table
from changelane.contract.sql_text import load_sql

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The table of a queue, or of its archive. ``forced``: row security applies to its owner, too.
    ``notifies``: pgmq notifies of messages, which writes a table of pgmq with the sender's rights.
    """

    queue: str
    archive: bool
    owner: str
    row_security: bool
    forced: bool
    notifies: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy on such a table. ``command`` may be ``all``; an empty role is PUBLIC; ``unlimited``: it lets
    all rows through; ``live`` is the hash of its definition in the catalog.
    """

    queue: str
    archive: bool
    name: str
    command: str
    permissive: bool
    roles: Sequence[str]
    unlimited: bool
    live: str
    comment: str | None

    @property
    def marker(self) -> Marker | None:
        found = parse_marker(self.comment)
        return found if found and found.kind == "access" else None

    @property
    def table(self) -> str:
        return archive_table(self.queue) if self.archive else queue_table(self.queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One privilege of a role, or of PUBLIC if ``role`` is empty; an empty ``column`` is the whole table.

    ``part`` is SQL of the partition or sequence that it is on, empty for the table of the queue or archive
    itself. Row security of the table does not apply to access by a partition. ``grantable``: the role may
    grant it to others.
    """

    queue: str
    archive: bool
    part: str = ""
    role: str
    privilege: str
    grantable: bool = False
    column: str

    @property
    def right(self) -> Right:
        place: Place = "archive" if self.archive else "queue"
        return Right(place, self.privilege, self.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """``bypasses``: row security never applies to the role. ``memberships`` are the roles whose rights it
    inherits; ``barred`` the functions of pgmq that it may not execute. ``members`` may become it, and own no
    queue.
    """

    name: str
    bypasses: bool
    memberships: Sequence[str]
    uses_pgmq: bool
    uses_changelane: bool
    barred: Sequence[str]
    logs_in: bool = False
    members: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFunction:
    """A function in schema ``changelane_access``, by its SQL ``signature``. ``live`` is the hash of its
    definition in the catalog, with its owner and ``callers``.
    """

    name: str
    signature: str
    owner: str
    callers: Sequence[str]
    live: str
    comment: str | None

    @property
    def marker(self) -> Marker | None:
        found = parse_marker(self.comment)
        return found if found and found.kind == "access" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSchema:
    """Schema ``changelane_access``. ``acts_as`` are the roles that its owner is or may become, ``creators``
    the other roles that may create in it; ``open``: PUBLIC may use it.
    """

    owner: str
    acts_as: Sequence[str]
    open: bool
    creators: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Schema ``pgmq_public``. ``grants`` are (role, privilege, function), function empty for the schema.
    ``complete``: it has every function of our API; Supabase's has not.
    """

    comment: str | None
    live: str
    owned: bool
    complete: bool = False
    grants: Sequence[tuple[str, str, str]]

    @property
    def marker(self) -> Marker | None:
        found = parse_marker(self.comment)
        return found if found and found.kind == "api" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Tables by (queue, whether its archive), roles by name; ``api`` is None if there is no such schema."""

    tables: Mapping[tuple[str, bool], Table] = field(default_factory=dict)
    policies: Sequence[Policy] = ()
    grants: Sequence[Grant] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    api: Api | None = None
    access_schema: AccessSchema | None = None
    functions: Sequence[AccessFunction] = ()


def observe_rights(conn: psycopg.Connection[Any], roles: Collection[str], *, has_pgmq: bool = True) -> Rights:
    """Read all rights, those of ``roles`` included. Changes settings of the transaction. Raises
    psycopg.Error.
    """
    conn.execute(load_sql(__name__, "rights/settings"))
    tables = _fetch(conn, Table, "tables") if has_pgmq else []
    policies = _fetch(conn, Policy, "policies", live=POLICY_LIVE) if has_pgmq else []
    grants = _fetch(conn, Grant, "grants") if has_pgmq else []
    functions = _fetch(conn, AccessFunction, "functions", live=FUNCTION_LIVE)
    schemas = _fetch(conn, AccessSchema, "access_schema")
    named = {
        *roles,
        *(grant.role for grant in grants),
        *(role for policy in policies for role in policy.roles),
    }
    found = _fetch(conn, Role, "roles", values={"roles": sorted(named)})
    apis = _fetch(conn, Api, "api", live=API_LIVE, values={"names": list(API_NAMES)})
    return Rights(
        tables={(table.queue, table.archive): table for table in tables},
        policies=policies,
        grants=grants,
        roles={role.name: role for role in found},
        api=apis[0] if apis else None,
        access_schema=schemas[0] if schemas else None,
        functions=functions,
    )


def _fetch(
    conn: psycopg.Connection[Any],
    row: type[_Row],
    query: str,
    *,
    live: str = "",
    values: Mapping[str, Any] | None = None,
) -> list[_Row]:
    text = load_sql(__name__, f"rights/{query}")
    composed = sql.SQL(text).format(live=sql.SQL(live)) if live else sql.SQL(text)
    with conn.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(composed, values).fetchall()
