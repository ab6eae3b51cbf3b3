"""A connection whose statements find functions, operators and types in ``pg_catalog`` only.

A role that may create functions in a schema of the session's path can shadow a built-in function: its own one
of that name only has to match our arguments better. It would run with our rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus
from psycopg.rows import Row
from psycopg.transaction import Transaction

PATH = "pg_catalog, pg_temp"
_PIN = f"SET search_path = {PATH}".encode()
_PIN_LOCAL = f"SET LOCAL search_path = {PATH}".encode()
_BEGIN = b"BEGIN; " + _PIN_LOCAL


class PinnedConnection(Connection[Row]):
    """A pinned connection. Call ``pin`` once, before anything else.

    A direct session is pinned as a whole. Behind a pooler, other clients share the session, so each
    transaction is pinned; a statement in autocommit becomes a transaction, with two more round trips.
    """

    pooled = False

    def pin(self) -> Self:
        """Pin the session, or find that a pooler is in between. Raises psycopg.Error."""
        self.cursor_factory = PinnedCursor
        self.pooled = is_pooled(self)
        if self.pooled:
            # The next statement may run in another session, which lacks the prepared statement.
            self.prepare_threshold = None
        else:
            Cursor(self).execute(_PIN)
        return self

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[Transaction]:
        """As psycopg's."""
        first = self.pooled and self.info.transaction_status == TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as transaction:
            if first:
                Cursor(self).execute(_PIN_LOCAL)
            yield transaction


class PinnedCursor(Cursor[Row]):
    """A pinned cursor. For statements that cannot run in a transaction, use a plain
    ``psycopg.Cursor(connection)``.
    """

    def execute(self, *arguments: Any, **options: Any) -> Self:
        """As psycopg's."""
        connection = self.connection
        idle = connection.info.transaction_status == TransactionStatus.IDLE
        if not (idle and isinstance(connection, PinnedConnection) and connection.pooled):
            return super().execute(*arguments, **options)
        plain = Cursor(connection)
        plain.execute(_BEGIN)
        try:
            super().execute(*arguments, **options)
        except BaseException:
            if not connection.broken:
                plain.execute(b"ROLLBACK")
            raise
        plain.execute(b"COMMIT")
        return self


def is_pooled(connection: Connection[Any]) -> bool:
    """Whether a pooler is in between. A pooler reports process numbers of its own, to route cancel
    requests.
    """
    row = Cursor(connection).execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    return row is not None and row[0] != connection.info.backend_pid
