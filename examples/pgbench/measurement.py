"""The progress of capture and handling, by the database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row
from tables import TABLES

_MEASURE = (Path(__file__).parent / "sql" / "measure.sql").read_bytes()


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one queue, or of all: ``queue`` is empty then. Latencies in milliseconds, None before the first."""

    queue: str
    captured: int
    handled: int
    backlog: int
    retries: int
    dead_letters: int
    p50: float | None
    p99: float | None
    slowest: float | None


@dataclass(frozen=True, slots=True)
class Measurement:
    queues: tuple[Progress, ...]
    total: Progress


def measure(conn: psycopg.Connection[Any]) -> Measurement:
    """Counts and latencies since the start, of one moment."""
    names = [table.replica for table in TABLES]
    with conn.cursor(row_factory=class_row(Progress)) as cursor:
        found = {row.queue: row for row in cursor.execute(_MEASURE, {"queues": names})}
    return Measurement(queues=tuple(found[name] for name in names), total=found[""])
