"""The page of access: the rights of each role on each queue, as the database has them."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changelane.contract.access import OPERATIONS
from changelane.runner.dashboard.data.samples import read_session
from changelane.runner.dashboard.web.page import Page
from changelane.runner.dashboard.web.render import get_site, show
from changelane.runner.operate.access import QueueAccess, read_access


def show_access(request: Request) -> Response:
    """Queue by role by operation, with the access that the spec declares beside it."""
    site = get_site(request)
    queues: list[QueueAccess] = []
    with site.pool.lend() as conn:
        session = read_session(conn)
        if session.has_meta and session.reads_meta:
            queues = [_leave_out_idle(queue) for queue in read_access(conn)]
    manifest = site.project.read().manifest
    entries = {(entry.queue, entry.role): entry for entry in manifest.access} if manifest else {}
    present = {(queue.queue, role.role) for queue in queues for role in queue.roles}
    return show(
        request,
        "access.html",
        session=session,
        queues=queues,
        operations=OPERATIONS,
        entries=entries,
        missing=[pair for pair in sorted(entries) if pair not in present],
    )


def _leave_out_idle(queue: QueueAccess) -> QueueAccess:
    """Leave out the roles of Postgres that can do nothing with the queue. pgmq grants pg_monitor SELECT on
    every queue.
    """
    kept = [role for role in queue.roles if role.role[:3] != "pg_" or set(role.operations.values()) != {"no"}]
    return replace(queue, roles=tuple(kept))


PAGE = Page(
    title="Access",
    href="/access",
    rank=60,
    routes=[
        Route("/access", show_access),
    ],
)
