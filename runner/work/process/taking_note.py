"""Notes in the database that this process takes messages, so that a process that is killed leaves a trace.

A take that is rolled back counts nothing. Without the note, a message that kills processes would do so for
ever. Whoever finds the note of a process that is gone marks the time. What was due by then is leased, and the
leases are counted.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from psycopg import Connection, errors, sql

from changelane.contract.sql_text import load_sql
from changelane.runner.live.pinned import PinnedConnection

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

AGAIN = 60.0
"""Seconds until another try where the database refused a note."""

SOON = 1.0
"""Seconds until another try where the last session may not have ended yet."""

_REFUSED = (errors.UndefinedFunction, errors.InvalidSchemaName, errors.InsufficientPrivilege)
"""No schema ``changelane`` of this version, or no right to use it."""


class TakingNote:
    """The note for one queue. It ends with the session that wrote it, whose advisory lock it names.

    ``mark`` is when the last vanished process was found, by the server's clock: text of a time.
    """

    def __init__(self, *, queue: str, wanted: bool, log: FilteringBoundLogger) -> None:
        self.mark = "-infinity"
        self.queue = queue
        self._wanted = wanted
        self._log = log
        self._lock = secrets.randbits(63)
        self._session: Connection[Any] | None = None
        self._again_at = 0.0

    @property
    def stands(self) -> bool:
        return self._session is not None

    def write(self, connection: Connection[Any]) -> bool:
        """Write the note unless this session did; False where it cannot be written, so that nothing may be
        taken. Raises psycopg.Error.
        """
        if self._session is connection:
            return True
        if time.monotonic() < self._again_at:
            return False
        self._session = None
        if isinstance(connection, PinnedConnection) and connection.pooled:
            self._refuse("a pooler is in between")
            return False
        values = {"queue": self.queue, "lock": self._lock}
        try:
            row = connection.execute(load_sql(__name__, "begin_taking"), values).fetchone()
        except _REFUSED as error:
            self._refuse(str(error).partition("\n")[0])
            return False
        if row is None or row[0] is None:
            self._again_at = time.monotonic() + SOON
            return False
        (self.mark,) = row
        self._session = connection
        return True

    def end(self, connection: Connection[Any]) -> None:
        """Remove the note: this process ends in order. Raises psycopg.Error."""
        if self._session is connection:
            connection.execute(load_sql(__name__, "end_taking"), {"lock": self._lock})
            self._session = None

    def _refuse(self, why: str) -> None:
        self._again_at = time.monotonic() + AGAIN
        if self._wanted:
            self._wanted = False
            self._log.warning(
                f"claim: take, but no process can note that it takes: {why}; leasing instead",
                queue=self.queue,
            )


def mark_vanished(
    notes: Iterable[TakingNote], ask: Callable[[sql.Composed], Sequence[tuple[Any, ...]] | None]
) -> None:
    """Look for other processes that vanished while they took messages; ``ask`` fetches rows."""
    standing = {note.queue: note for note in notes if note.stands}
    if standing:
        look = sql.SQL(load_sql(__name__, "find_vanished")).format(queues=sql.Literal(list(standing)))
        for queue, mark in ask(look) or ():
            standing[queue].mark = mark
