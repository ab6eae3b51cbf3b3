"""A connection for one command. Its failures are one line, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.rows import TupleRow

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.database import connect, resolve
from changelane.runner.live.missing_rights import LISTING, Need, explain_lack
from changelane.runner.live.pinned import PinnedConnection

_SNAPSHOT = load_sql(__name__, "snapshot")


@contextmanager
def reach(
    database_url: str | None,
    *,
    doing: str,
    kind: type[Connection[TupleRow]] = PinnedConnection,
    needs: Sequence[Need] = LISTING,
) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection. ``doing`` names the command in errors; ``needs`` are the rights that it
    needs. ``kind`` is as for ``connect``.

    Raises DatabaseError when it cannot be opened, is lost, or a statement fails.
    """
    conn = connect(resolve(database_url), kind=kind)
    # Behind a pooler, the next statement may run in another session, which lacks the prepared statement.
    conn.prepare_threshold = None
    try:
        yield conn
    except psycopg.Error as error:
        raise _explain(conn, error, doing=doing, needs=needs) from error
    finally:
        conn.close()


@contextmanager
def snapshot(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """A read-only snapshot of the whole catalog, independent of settings of the role or the database.

    ``conn`` is in autocommit and in no transaction. Raises psycopg.Error.
    """
    with conn.transaction():
        conn.execute(_SNAPSHOT)
        yield


def _explain(
    conn: psycopg.Connection[Any], error: psycopg.Error, *, doing: str, needs: Sequence[Need]
) -> DatabaseError:
    if isinstance(error, errors.InsufficientPrivilege) and not conn.closed:
        with suppress(psycopg.Error):
            if lack := explain_lack(conn, error, doing=doing, needs=needs):
                return lack
    return explain(error, doing=doing)


def explain(error: psycopg.Error, *, doing: str) -> DatabaseError:
    """One line with the failure and its fix."""
    message = error.diag.message_primary or " ".join(str(error).split())
    lost = isinstance(error, psycopg.OperationalError) and (error.sqlstate or "57P").startswith("57P")
    if lost:
        fix = "see that the server is up, then run again"
    elif isinstance(error, errors.InsufficientPrivilege):
        fix = "run as a role that may, or grant yours what it lacks"
    elif (error.sqlstate or "").startswith("53"):
        fix = "the server lacks disk, memory or connections: make room, then run again"
    elif isinstance(error, errors.ReadOnlySqlTransaction):
        fix = "connect to the primary, with a role whose sessions may write"
    else:
        fix = "fix what the message says, then run again"
    return DatabaseError(f"{doing}: {message}", fix=fix)
