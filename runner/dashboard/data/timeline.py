"""The points of the charts: of the last half hour as sampled, of longer ranges as workers told them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from changelane.runner.dashboard.data.pool import Pool
from changelane.runner.dashboard.data.samples import Sample, to_record
from changelane.runner.live.history import WAITED, WORKED, Span, find_quantile, read_history

GAP = 2.5
"""Steps without a report after which a line ends."""

HIGH = 0.95

KEPT = 20.0
"""Seconds for which the points of a longer range are shown again."""

MOST = 50
"""Queues and ranges whose points are kept."""

ROWS = 24
"""Rows of the table beside the charts, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """``seconds`` until now, in steps of ``step`` seconds; ``live``: rates and depths are sampled by the
    dashboard.
    """

    title: str
    seconds: int
    step: int
    live: bool = False


RANGES = {
    "": Range(title="30 min", seconds=1800, step=60, live=True),
    "6h": Range(title="6 h", seconds=21_600, step=60),
    "24h": Range(title="24 h", seconds=86_400, step=300),
    "7d": Range(title="7 d", seconds=7 * 86_400, step=900),
}

Point = dict[str, Any]


def find_range(name: str) -> tuple[str, Range]:
    """The range of this name, else the first."""
    return (name, RANGES[name]) if name in RANGES else ("", RANGES[""])


class Timelines:
    """Reads the points of ranges; those of the longer ones are kept for KEPT seconds."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str | None, str], tuple[float, list[Point]]] = {}
        self._lock = threading.Lock()

    def read(self, pool: Pool, samples: Sequence[Sample], queue: str | None, name: str) -> list[Point]:
        """The points of the range of this name, of one queue or of all together, by time. Without the history
        where it cannot be read in time. Raises DatabaseError.
        """
        shown, now = RANGES[name], time.time()
        with self._lock:
            at, points = self._kept.get((queue, name), (0.0, []))
        if not at or now - at > KEPT:
            points = _read(pool, queue, shown, now)
            if not shown.live:
                with self._lock:
                    self._kept[queue, name] = (now, points)
                    while len(self._kept) > MOST:
                        del self._kept[next(iter(self._kept))]
        if shown.live:
            points += [point for sample in samples if (point := condense(sample, queue))]
            points.sort(key=lambda point: point["at"])
        return points


def _read(pool: Pool, queue: str | None, shown: Range, now: float) -> list[Point]:
    since = datetime.fromtimestamp(now - shown.seconds, UTC)
    try:
        with pool.read() as conn:
            spans = read_history(conn, since=since, step=shown.step, queue=queue)
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
        return []
    return _describe(spans, shown, now)


def _describe(spans: Sequence[Span], shown: Range, now: float) -> list[Point]:
    points, last = [], 0.0
    for span in spans:
        start = span.at.timestamp()
        ended = start + span.seconds <= now
        point: Point = {
            "at": min(start + span.seconds, now),
            "waited": find_quantile(span.waited, WAITED, 0.5),
            "waited_high": find_quantile(span.waited, WAITED, HIGH),
            "worked": find_quantile(span.worked, WORKED, 0.5),
            "worked_high": find_quantile(span.worked, WORKED, HIGH),
        }
        if ended:
            # Of a step that has not ended, workers have not told all.
            point |= {"failed": span.failed / span.seconds, "retried": span.retried / span.seconds}
        if ended and not shown.live:
            point |= {"sent": span.sent, "left": span.handled / span.seconds, "depth": span.depth}
        if start - last > GAP * span.seconds:
            point["after"] = True
        points.append({name: _round(value) for name, value in point.items()})
        last = start
    return points


def condense(sample: Sample, queue: str | None) -> Point | None:
    """One point of what is sampled: the reading of a queue, or the sum of all."""
    if sample.error:
        return {"at": sample.at, "sent": None, "left": None, "depth": None}
    if queue is not None:
        reading = sample.queues.get(queue)
        if reading is None:
            return None
        record = to_record(reading)
        return {"at": sample.at, **{name: record[name] for name in ("sent", "left", "depth", "oldest")}}
    readings = list(sample.queues.values())

    def collect(name: str) -> list[float]:
        return [value for reading in readings if (value := getattr(reading, name)) is not None]

    def total(name: str) -> float | None:
        values = collect(name)
        return round(sum(values), 3) if values else None

    return {
        "at": sample.at,
        "depth": total("depth"),
        "sent": total("sent"),
        "left": total("left"),
        "oldest": max(collect("oldest"), default=None),
    }


def tabulate(points: Sequence[Point], shown: Range) -> list[Point]:
    """About ROWS rows for the table beside the charts, the newest first. What was told of one step and
    sampled in it is one row.
    """
    width = max(shown.step, shown.seconds / ROWS)
    rows: dict[int, Point] = {}
    for point in points:
        row = rows.setdefault(int(point["at"] // width), {})
        row |= {name: value for name, value in point.items() if value is not None}
    return [rows[place] for place in sorted(rows, reverse=True) if len(rows[place]) > 1]


def _round(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
