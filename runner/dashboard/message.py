"""One message, whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

_SQL = Path(__file__).parent / "sql"

SHOWN = 200_000
"""Characters of a payload that a page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """``message`` and ``headers`` are indented JSON as text, so that numbers stay exact, cut at SHOWN.

    ``size`` is the payload's in bytes; ``due`` seconds until vt.
    """

    msg_id: int
    read_ct: int
    enqueued_at: datetime
    vt: datetime
    archived_at: datetime | None
    due: float
    size: int
    message: str
    headers: str | None

    @property
    def is_cut(self) -> bool:
        return len(self.message) >= SHOWN


def read_message(
    conn: psycopg.Connection[Any], table: sql.Identifier, msg_id: int, archived: bool
) -> Whole | None:
    """The message, or None where it is gone."""
    query = sql.SQL((_SQL / "message.sql").read_text()).format(
        table=table, archived_at=sql.SQL("archived_at" if archived else "NULL::timestamptz")
    )
    with conn.cursor(row_factory=class_row(Whole)) as cursor:
        return cursor.execute(query, {"msg_id": msg_id, "shown": SHOWN}).fetchone()
