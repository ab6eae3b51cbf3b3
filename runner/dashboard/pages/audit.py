"""Who changed what and when: written with each change, and read back page by page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg.rows import class_row
from starlette.requests import Request
from starlette.responses import Response

from changelane.errors import DatabaseError
from changelane.runner.compare.object import spell_name
from changelane.runner.dashboard.data.samples import read_session
from changelane.runner.dashboard.web.render import get_site, show
from changelane.runner.dashboard.web.sessions import Visit

_SQL = Path(__file__).parents[1] / "sql"
_SCHEMA = Path(__file__).parent.parent / "apply" / "sql" / "schema.sql"

PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change, done or not. ``arguments`` is JSON as text, without what messages hold."""

    id: int
    at: datetime
    who: str
    remote: str
    action: str
    queue: str | None
    arguments: str
    outcome: str


def prepare(conn: psycopg.Connection[Any]) -> None:
    """Make the table where it is missing, within the transaction of ``conn``, as ``apply`` makes it.

    Raises DatabaseError where that cannot be, for a change that is not on record is not made.
    """
    facts = conn.execute((_SQL / "audit_ready.sql").read_bytes()).fetchone()
    assert facts is not None
    ready, has_schema, comment, role = facts
    if ready:
        return
    if has_schema and not re.fullmatch(r"changelane:schema \d+", comment or ""):
        raise DatabaseError(
            "schema changelane has no table for the audit log, and its comment is not Changelane's",
            help="run `changelane apply`; nothing was changed",
        )
    try:
        conn.execute(_SCHEMA.read_bytes())
    except psycopg.errors.InsufficientPrivilege:
        raise DatabaseError(
            "the database has no audit log, without which nothing is changed, and role "
            f"{spell_name(role)} may not make it",
            help="let a role that may run `changelane apply`",
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
    """Raises DatabaseError where the role may not."""
    try:
        conn.execute(
            (_SQL / "audit_write.sql").read_bytes(),
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
            help=f"GRANT USAGE ON SCHEMA changelane TO {role}; "
            f"GRANT SELECT, INSERT ON changelane.audit TO {role}",
        ) from None


def show_audit(request: Request) -> Response:
    """The newest changes first."""
    site = get_site(request)
    before = request.query_params.get("before", "")
    values = {"before": int(before) if before.isdecimal() and len(before) < 19 else None, "limit": PAGE + 1}
    entries: list[Entry] = []
    with site.pool.read() as conn:
        session = read_session(conn)
        if session.reads_audit:
            with conn.cursor(row_factory=class_row(Entry)) as cursor:
                entries = cursor.execute((_SQL / "audit_read.sql").read_bytes(), values).fetchall()
    return show(
        request,
        "audit.html",
        session=session,
        entries=entries[:PAGE],
        before=entries[PAGE - 1].id if len(entries) > PAGE else None,
    )
