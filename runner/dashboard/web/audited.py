"""Makes a change from a page and logs it, both in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
from starlette.requests import Request

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.data.pool import Pool
from changelane.runner.dashboard.web import audit_log
from changelane.runner.dashboard.web.render import get_site, get_visit

TIMEOUT = 30_000
"""Milliseconds that a statement of a change may take."""

Work = Callable[[psycopg.Connection[Any]], str]
"""Makes the change; returns its outcome in a few words."""


def perform(
    request: Request,
    action: str,
    *,
    queue: str | None,
    arguments: Mapping[str, object],
    work: Work,
    pool: Pool | None = None,
) -> str:
    """Make a change and log it in one transaction; returns its outcome. ``pool`` None takes the pool of the
    pages.

    A failed change is logged too, if the database allows it. Raises ChangelaneError and psycopg.Error.
    """
    site, visit = get_site(request), get_visit(request)
    try:
        with (pool or site.pool).change(timeout=TIMEOUT) as conn:
            audit_log.prepare(conn)
            outcome = work(conn)
            audit_log.write(conn, visit, action=action, queue=queue, arguments=arguments, outcome=outcome)
    except (ChangelaneError, psycopg.Error) as error:
        note(request, action, queue=queue, arguments=arguments, outcome=_name(error))
        raise
    return outcome


def perform_batches(
    request: Request,
    action: str,
    *,
    queue: str,
    arguments: Mapping[str, object],
    work: Callable[[psycopg.Connection[Any]], Iterator[int]],
) -> int:
    """Make a change of several transactions, logged when it begins and when it ends; returns the sum.

    Raises ChangelaneError and psycopg.Error.
    """
    site, visit = get_site(request), get_visit(request)
    done = 0
    with site.pool.change() as conn:
        audit_log.prepare(conn)
        audit_log.write(conn, visit, action=action, queue=queue, arguments=arguments, outcome="begun")
    outcome = "ended by the server"
    try:
        with site.pool.lend() as conn:
            for count in work(conn):
                done += count
        outcome = "done"
    except (ChangelaneError, psycopg.Error) as error:
        outcome = _name(error)
        raise
    finally:
        note(request, action, queue=queue, arguments=arguments, outcome=f"{outcome}: {done} messages")
    return done


def note(
    request: Request, action: str, *, queue: str | None, arguments: Mapping[str, object], outcome: str
) -> None:
    """Log an action that changed nothing, or is finished. If the log cannot be written, print it on the
    server's stderr.
    """
    site, visit = get_site(request), get_visit(request)
    try:
        with site.pool.change() as conn:
            audit_log.prepare(conn)
            audit_log.write(conn, visit, action=action, queue=queue, arguments=arguments, outcome=outcome)
    except (ChangelaneError, psycopg.Error) as error:
        site.log(
            f"audit: {visit.who} from {visit.remote}: {action} {queue or ''}: {outcome} ({_name(error)})"
        )


def _name(error: Exception) -> str:
    """Log the class of the error only: its text may quote a payload."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return f"failed: {type(error).__name__}" + (f" {state}" if state else "")
