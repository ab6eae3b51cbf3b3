"""A connection that is made anew after it was lost."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from changelane.runner.database import connect


class Link:
    """Lends one autocommit connection at a time, under this ``application_name``."""

    def __init__(self, conninfo: str, *, name: str) -> None:
        self._conninfo = conninfo
        self._name = name
        self.connection: Connection[Any] | None = None

    def open(self) -> Connection[Any]:
        """The connection, made unless it stands. Raises DatabaseError when it cannot be made."""
        if self.connection is None or self.connection.closed:
            self.connection = None
            self.connection = connect(self._conninfo, application_name=self._name)
        return self.connection

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
