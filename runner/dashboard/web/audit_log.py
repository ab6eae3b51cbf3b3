"""The audit log: each change by a person, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import psycopg

from changelane.contract.schema import SCHEMA_SQL, parse_schema_comment
from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.dashboard.web.sessions import Visit
from changelane.text import spell_name


def prepare(conn: psycopg.Connection[Any]) -> None:
    """Create the table if it is missing, within the transaction of ``conn``, as ``apply`` does.

    Raises DatabaseError if it cannot be created: without a log, no change is made.
    """
    facts = conn.execute(load_sql(__name__, "audit_ready")).fetchone()
    assert facts is not None
    ready, has_schema, comment, role = facts
    if ready:
        return
    if has_schema and parse_schema_comment(comment or "") is None:
        raise DatabaseError(
            "schema changelane has no table for the audit log, and its comment is not Changelane's",
            fix="run `changelane apply`; nothing was changed",
        )
    try:
        conn.execute(SCHEMA_SQL.encode())
    except psycopg.errors.InsufficientPrivilege:
        raise DatabaseError(
            "the database has no audit log, without which nothing is changed, and role "
            f"{spell_name(role)} may not make it",
            fix="let a role that may run `changelane apply`",
        ) from None


def write(
    conn: psycopg.Connection[Any],
    visit: Visit,
    *,
    action: str,
    queue: str | None,
    arguments: Mapping[str, object],
    outcome: str,
) -> None:
    """Write an entry. Raises DatabaseError if the role may not write."""
    try:
        conn.execute(
            load_sql(__name__, "audit_write"),
            {
                "who": visit.who,
                "remote": visit.remote,
                "action": action,
                "queue": queue,
                "arguments": orjson.dumps(dict(arguments)).decode(),
                "outcome": outcome,
            },
        )
    except psycopg.errors.InsufficientPrivilege:
        role = spell_name(conn.info.user)
        raise DatabaseError(
            f"role {role} may not write the audit log, without which nothing is changed",
            fix=f"GRANT USAGE ON SCHEMA changelane TO {role}; "
            f"GRANT SELECT, INSERT ON changelane.audit TO {role}",
        ) from None
