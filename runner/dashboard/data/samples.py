"""Samples of the queues, taken every few seconds and kept for a while."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql
from changelane.runner.dashboard.data.pool import LOCK_TIMEOUT, Pool
from changelane.runner.live.queue_tables import Table
from changelane.runner.live.relay_states import RelayState, list_relay_states
from changelane.runner.live.worker_states import WorkerState, list_workers
from changelane.runner.queue.identity import name_session
from changelane.runner.queue.worker_notes import LOOK, STATE, compose_returning, read_count

CAP = 10_000
"""Messages counted at most; above this, the statistics' estimate is shown."""

EVERY = 2.0
"""Seconds between two samples, unless sampling takes long."""

SHARE = 10
"""The pause after a sample is at least this many times its duration."""

KEPT = 900
"""Number of samples kept, for half an hour."""

WINDOW = 10.0
"""Seconds over which rates are measured: sessions report their counts at most every second."""

NAMED = 5
"""Messages named as returning, at most."""

MAIN = "changelane work"
"""The session that each worker process has once."""

PEEK_TIMEOUT = 500
"""Milliseconds to read one queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The rights of the dashboard's role, and facts about the server."""

    role: str
    database: str
    server: str
    counts: bool
    standby: bool
    has_pgmq: bool
    uses_pgmq: bool
    has_meta: bool
    reads_meta: bool
    has_audit: bool
    reads_audit: bool
    reads_pauses: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """A queue by catalog and statistics; ``table`` and ``archive`` are names in schema pgmq.

    ``estimate`` and ``archived`` are numbers of rows by the statistics. ``inserted``, ``deleted`` and
    ``archive_inserted`` are counters, which a crash or pg_stat_reset() sets to zero.
    """

    name: str
    table: str
    kind: str
    created_at: datetime | None
    readable: bool
    archive: str | None
    archive_readable: bool
    estimate: int
    inserted: int
    deleted: int
    archived: int
    archive_inserted: int

    @property
    def identifier(self) -> sql.Identifier:
        return Table(self.table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """The number of messages in a queue, exact unless ``about``. ``oldest`` is the age in seconds of the
    oldest message that is due or claimed, and ``late`` the seconds since the first that can be claimed was
    due; None without one.

    ``delayed``, ``retrying`` (delayed that failed before), ``leased`` and ``blocked`` are counted up to LOOK.
    ``returning`` are the ids of messages that come back again and again, NAMED at most.
    """

    count: int
    about: bool
    oldest: float | None
    late: float | None
    delayed: int
    retrying: int
    leased: int
    blocked: int
    returning: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One queue at one time. ``depth`` is exact unless ``about``; ``oldest`` is the age in seconds of the
    oldest message that is due, None without one.

    Rates are per second over the last WINDOW, None while unknown. ``lacks`` is the right that the role lacks
    to read depth and oldest.
    """

    queue: QueueStats
    depth: int | None
    about: bool
    oldest: float | None
    paused: bool
    sent: float | None = None
    left: float | None = None
    lacks: str = ""
    late: float | None = None
    retrying: int = 0
    blocked: int = 0
    consumers: int = 0
    moves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """All queues at ``at``, in seconds since 1970, or the ``error``. ``workers`` counts worker processes by
    their sessions; ``processes`` are those that tell of themselves, None where that cannot be read.
    """

    at: float
    session: Session | None = None
    queues: Mapping[str, Reading] = field(default_factory=dict)
    workers: int | None = None
    processes: Sequence[WorkerState] | None = None
    relays: Sequence[RelayState] = ()
    error: str = ""
    fix: str = ""
    took: float = 0.0


class Samples:
    """The ring of samples; one thread writes, others read."""

    def __init__(self) -> None:
        self._ring: deque[Sample] = deque(maxlen=KEPT)

    @property
    def last(self) -> Sample | None:
        return self._ring[-1] if self._ring else None

    @property
    def all(self) -> Sequence[Sample]:
        return list(self._ring)

    def add(self, sample: Sample) -> None:
        self._ring.append(sample)

    def find_since(self, at: float) -> Sample | None:
        """The first good sample from then on."""
        return next((sample for sample in self.all if sample.at >= at and not sample.error), None)

    def find_base(self, now: float) -> Sample | None:
        """The earlier sample for rates: the last good one at least a WINDOW old, else the oldest."""
        good = [sample for sample in self._ring if not sample.error]
        old = [sample for sample in good if sample.at <= now - WINDOW]
        recent = [sample for sample in good if sample.at > now - 3 * WINDOW]
        if old and old[-1].at > now - 3 * WINDOW:
            return old[-1]
        return recent[0] if recent else None


def take(pool: Pool, samples: Samples) -> Sample:
    """Take a sample of all queues. Raises psycopg.Error, DatabaseError."""
    began = time.monotonic()
    with pool.read() as conn:
        session = read_session(conn)
        queues = read_queues(conn, session)
        sessions: dict[str, int] = dict(conn.execute(load_sql(__name__, "workers")).fetchall())
        processes, relays = list_workers(conn), list_relay_states(conn)
        paused = _read_paused(conn, session)
        now = time.time()
    base = samples.find_base(now)
    readings = {}
    with pool.lend() as conn:
        for queue in queues:
            before = base.queues.get(queue.name) if base else None
            elapsed = now - base.at if base else 0.0
            reading = _read(conn, session, queue, before=before, elapsed=elapsed, paused=queue.name in paused)
            last = samples.last.queues.get(queue.name) if samples.last else None
            readings[queue.name] = replace(
                reading,
                consumers=count_consumers(queue.name, sessions, processes),
                moves=last is not None and queue.deleted > last.queue.deleted,
            )
    return Sample(
        at=now,
        session=session,
        queues=readings,
        workers=sessions.get(MAIN, 0),
        processes=processes,
        relays=relays,
        took=time.monotonic() - began,
    )


def count_consumers(queue: str, sessions: Mapping[str, int], processes: Sequence[WorkerState] | None) -> int:
    """The sessions that serve the queue. Where every worker process tells what it consumes, only if one tells
    this queue: names of sessions are ASCII, so two queues may share one, and older workers have sessions for
    other purposes that look like a queue's.
    """
    fresh = [process for process in processes or () if not process.stale]
    if (
        fresh
        and len(fresh) >= sessions.get(MAIN, 0)
        and not any(queue in process.queues for process in fresh)
    ):
        return 0
    return sessions.get(name_session(queue), 0)


def read_session(conn: psycopg.Connection[Any]) -> Session:
    with conn.cursor(row_factory=class_row(Session)) as cursor:
        found = cursor.execute(load_sql(__name__, "session")).fetchone()
    assert found is not None
    return found


def read_queues(conn: psycopg.Connection[Any], session: Session) -> list[QueueStats]:
    """All queues by name; from the catalog if the role may not read pgmq's own list."""
    if not session.has_meta:
        return []
    listed = session.uses_pgmq and session.reads_meta
    meta = sql.SQL("pgmq.meta") if listed else sql.SQL(load_sql(__name__, "nobody"))
    query = sql.SQL(load_sql(__name__, "queues")).format(meta=meta, known=sql.Literal(listed))
    with conn.cursor(row_factory=class_row(QueueStats)) as cursor:
        return cursor.execute(query, {}).fetchall()


def peek(conn: psycopg.Connection[Any], queue: QueueStats) -> Depth:
    """Read the depth from the queue's own table."""
    query = sql.SQL(load_sql(__name__, "peek")).format(
        queue=queue.identifier,
        cap=sql.Literal(CAP + 1),
        look=sql.Literal(LOOK),
        state=STATE,
        attempts=read_count("attempts"),
        returning=compose_returning(queue.identifier),
        named=sql.Literal(NAMED),
    )
    found = conn.execute(query).fetchone()
    assert found is not None
    depth, oldest, late, (delayed, retrying, leased), blocked, returning = found
    about = depth > CAP
    return Depth(
        count=max(queue.estimate, CAP) if about else depth,
        about=about,
        oldest=oldest,
        late=late,
        delayed=delayed,
        retrying=retrying,
        leased=leased,
        blocked=blocked,
        returning=tuple(returning),
    )


def _read(
    conn: psycopg.Connection[Any],
    session: Session,
    queue: QueueStats,
    *,
    before: Reading | None,
    elapsed: float,
    paused: bool,
) -> Reading:
    depth: int | None = queue.estimate
    about, oldest, lacks, seen = True, None, "", None
    if not session.uses_pgmq:
        lacks = "USAGE ON SCHEMA pgmq"
    elif not queue.readable:
        lacks = f"SELECT ON {queue.identifier.as_string()}"
    else:
        try:
            with conn.transaction():
                conn.execute("SET TRANSACTION READ ONLY")
                conn.execute(
                    load_sql(__name__, "open"),
                    {"timeout": PEEK_TIMEOUT, "lock_timeout": LOCK_TIMEOUT // 10},
                )
                seen = peek(conn, queue)
                depth, about, oldest = seen.count, seen.about, seen.oldest
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
            # The table is locked, or has too many dead rows before the first live one. Use the statistics.
            depth, about = queue.estimate, True
        except psycopg.errors.UndefinedTable:
            depth, about = None, False
    sent = left = None
    if before is not None and elapsed > 0:
        sent = _rate(before.queue.inserted, queue.inserted, elapsed)
        left = _rate(before.queue.deleted, queue.deleted, elapsed)
    return Reading(
        queue=queue,
        depth=depth,
        about=about,
        oldest=oldest,
        paused=paused,
        sent=sent,
        left=left,
        lacks=lacks,
        late=seen.late if seen else None,
        retrying=seen.retrying if seen else 0,
        blocked=seen.blocked if seen else 0,
    )


def _rate(before: int, now: int, elapsed: float) -> float | None:
    """The rate per second; None if the counter went back."""
    return (now - before) / elapsed if now >= before else None


def _read_paused(conn: psycopg.Connection[Any], session: Session) -> frozenset[str]:
    if not session.reads_pauses:
        return frozenset()
    return frozenset(row[0] for row in conn.execute(load_sql(__name__, "pauses")))


def to_record(reading: Reading) -> dict[str, Any]:
    """A reading as JSON-able data for the page's charts and numbers."""
    numbers = {name: _round(getattr(reading, name)) for name in ("oldest", "sent", "left")}
    return {"depth": reading.depth, "about": reading.about, "paused": reading.paused, **numbers}


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 3)
