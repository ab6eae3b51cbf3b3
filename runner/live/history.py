"""What became of each queue's messages over the last days, as workers told it: counts and times in spans."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql

WAITED = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
WORKED = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Upper bounds in seconds of the counts of waiting times and of handlers' times. One count more is of what
took longer. Stored counts have these bounds, so they stay as they are.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What happened in the ``seconds`` from ``at``, to one queue or to all together. ``failed`` are attempts
    that failed, ``retried`` those of them that are tried again. ``depth`` is of the end. ``sent`` is the rate
    per second since the span before, None for the first.

    ``waited`` counts messages by the time from due to their handler, ``worked`` calls of handlers by their
    time. Both are empty where nothing was handled.
    """

    at: datetime
    seconds: int
    handled: int
    failed: int
    retried: int
    depth: int | None
    sent: float | None
    waited: Sequence[int]
    worked: Sequence[int]


def can_read_column(conn: psycopg.Connection[Any], table: str, column: str) -> bool:
    """Whether schema changelane has this table, and the role may read the column."""
    values = {"table": table, "column": column}
    return conn.execute(load_sql(__name__, "sees_own"), values).fetchone() == (True,)


def read_history(
    conn: psycopg.Connection[Any], *, since: datetime, step: int, queue: str | None = None
) -> list[Span]:
    """The spans since then in steps of so many seconds, by time; of all queues together, or of one.

    Empty where the database has no such table yet, and where the role may not read it. Raises psycopg.Error.
    """
    if not can_read_column(conn, "history", "at"):
        return []
    query = sql.SQL(load_sql(__name__, "spans")).format(
        waited=_sum("waited", WAITED), worked=_sum("worked", WORKED)
    )
    values = {"since": since, "step": step, "queue": queue}
    with conn.cursor(row_factory=class_row(Span)) as cursor:
        return cursor.execute(query, values).fetchall()


def _sum(column: str, bounds: Sequence[float]) -> sql.Composed:
    """The sums of the counts, place by place: a third of the time that it takes to unnest them."""
    count = sql.SQL("coalesce(sum({}[{}]), 0)")
    places = range(1, len(bounds) + 2)
    return sql.SQL(", ").join(count.format(sql.Identifier(column), sql.Literal(place)) for place in places)


def find_quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The time in seconds that this share of the counted took at most, linear within a count's bounds. The
    last bound stands for all beyond. None if nothing was counted.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, below, lower = share * total, 0, 0.0
    for count, upper in zip(counts, bounds, strict=False):
        if count and below + count >= wanted:
            return lower + (upper - lower) * (wanted - below) / count
        below, lower = below + count, upper
    return lower


def find_bucket(seconds: float, bounds: Sequence[float]) -> int | None:
    """Which of the counts a time belongs to; None if it is no time."""
    return bisect_left(bounds, max(seconds, 0.0)) if isfinite(seconds) else None
