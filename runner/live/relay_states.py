"""Reads how the relays of all workers are, as the workers last told it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql
from changelane.runner.live.history import can_read_column


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayState:
    """The relay of one queue in one worker process.

    ``state``: ``connecting`` until the engine was first reached, ``running``, ``paused`` while the engine
    does not answer, ``stopped`` by a wrong configuration. ``since``: the time when it came into that state.
    ``error``: the engine's last words, said at ``error_at``, which may be long ago. The counts are messages
    since the process began: handed to the engine, stored by it, refused for their own fault.
    """

    queue: str
    process: str
    destination: str
    engine: str
    state: str
    since: datetime
    error: str | None
    error_at: datetime | None
    published: int
    confirmed: int
    refused: int
    told_at: datetime


def list_relay_states(conn: psycopg.Connection[Any]) -> list[RelayState]:
    """The relays by destination, queue and process. Empty where no worker relays, where the database has no
    such table yet, and where the role may not read it. Raises psycopg.Error.
    """
    if not can_read_column(conn, "relays", "told_at"):
        return []
    with conn.cursor(row_factory=class_row(RelayState)) as cursor:
        return cursor.execute(load_sql(__name__, "relay_states")).fetchall()
