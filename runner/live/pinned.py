"""A connection whose statements find functions, operators and types in ``pg_catalog`` alone.

Whoever may create a function in a schema of the session's path can write one that suits our arguments better
than the built-in of that name, and it would run with our rights.
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
    """``pin`` is to be called once, first of all.

    A session of our own is pinned as a whole. Behind a pooler a session is others', too, so each transaction
    is pinned, and a statement in autocommit becomes a transaction, at two more round trips.
    """

    pooled = False

    def pin(self) -> Self:
        """Pin the session, or learn that a pooler is between. Raises psycopg.Error."""
        self.cursor_factory = PinnedCursor
        self.pooled = is_pooled(self)
        if self.pooled:
            # What one statement prepared may be sought in another session by the next.
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
    """A plain ``psycopg.Cursor(connection)`` pins nothing, for statements that no transaction may hold."""

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
    """Whether a pooler is between: it tells clients process numbers of its own, to route cancel requests."""
    row = Cursor(connection).execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    return row is not None and row[0] != connection.info.backend_pid
