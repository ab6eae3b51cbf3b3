"""The page of the audit log: all changes by people, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.contract.sql_text import load_sql
from changelane.runner.dashboard.data.samples import read_session
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_site, show

LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change, done or failed. ``arguments`` is JSON as text, without the content of messages."""

    id: int
    at: datetime
    who: str
    remote: str
    action: str
    queue: str | None
    arguments: str
    outcome: str


def show_audit(request: Request) -> Response:
    """Show the newest changes first."""
    site = get_site(request)
    before = request.query_params.get("before", "")
    values = {"before": int(before) if before.isdecimal() and len(before) < 19 else None, "limit": LENGTH + 1}
    entries: list[Entry] = []
    with site.pool.read() as conn:
        session = read_session(conn)
        if session.reads_audit:
            with conn.cursor(row_factory=class_row(Entry)) as cursor:
                entries = cursor.execute(load_sql(__name__, "audit_read"), values).fetchall()
    return show(
        request,
        "audit.html",
        session=session,
        entries=entries[:LENGTH],
        before=entries[LENGTH - 1].id if len(entries) > LENGTH else None,
    )


PAGE = Page(
    title="Audit",
    href="/audit",
    rank=80,
    routes=[
        Route("/audit", show_audit),
    ],
)
