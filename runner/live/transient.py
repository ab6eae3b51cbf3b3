"""Tells transient errors of the database from others, by their SQLSTATE."""

from __future__ import annotations

from changelane.errors import DatabaseError
from changelane.runner.live.causes import follow, get

TRANSIENT_CLASSES = ("08", "40", "53")
TRANSIENT_STATES = frozenset({"25006", "25P03", "25P04", "57P01", "57P02", "57P03", "57P05"})
"""SQLSTATEs of the worker's own statements that it retries: read-only after a failover, timeouts of sessions
and transactions, and shutdown, crash or start of the server. TRANSIENT_CLASSES adds lost connections (08),
rollbacks such as serialization failures and deadlocks (40), and lack of resources (53).
"""

CUT_SHORT = frozenset({"55P03", "57014"})
"""Cancelled statements, timeouts and lock timeouts. In a handler, these are failures like others."""


def is_transient(error: BaseException) -> bool:
    """Whether one of the worker's own statements failed for a transient reason, so that a retry can help.

    Reads ``sqlstate`` through causes. A psycopg OperationalError without one is a lost connection.
    """
    import psycopg

    for link in follow(error):
        if isinstance(link, DatabaseError):
            return True
        state = get(link, "sqlstate")
        if isinstance(state, str):
            return state.startswith(TRANSIENT_CLASSES) or state in TRANSIENT_STATES
        if isinstance(link, psycopg.OperationalError):
            return True
    return False


def is_passing(error: BaseException) -> bool:
    """Whether one of the worker's own statements is worth a retry: it was cut off, or failed transiently."""
    return getattr(error, "sqlstate", None) in CUT_SHORT or is_transient(error)
