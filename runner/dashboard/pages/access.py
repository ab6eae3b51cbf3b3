"""Who may do what with which queue, as the database has it."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from changelane.contract.access import OPERATIONS
from changelane.runner.dashboard.data.samples import read_session
from changelane.runner.dashboard.web.render import get_site, show
from changelane.runner.operate.access import QueueAccess, read_access


def show_access(request: Request) -> Response:
    """Queue by role by operation; what the spec declares beside it."""
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
    """Without Postgres's own roles that can do nothing with it: pgmq lets pg_monitor look at every queue."""
    kept = [role for role in queue.roles if role.role[:3] != "pg_" or set(role.operations.values()) != {"no"}]
    return replace(queue, roles=tuple(kept))
