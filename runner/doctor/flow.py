"""Findings on the flow of messages by queue, and on the indexes that claims use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.manifest import Manifest
from changelane.contract.sql_text import load_sql
from changelane.runner.doctor.finding import Finding, say_seconds
from changelane.runner.doctor.ids import find_ids
from changelane.runner.live.observe import LiveQueue as Live
from changelane.runner.live.observe import Observed
from changelane.runner.live.queue_tables import name_queue
from changelane.runner.queue.identity import name_session
from changelane.runner.queue.worker_notes import LOOK, STATE, compose_returning

_FLOW = sql.SQL(load_sql(__name__, "flow"))
_FILLED = sql.SQL(load_sql(__name__, "filled"))
_SESSIONS = load_sql(__name__, "sessions")
_SEES_PAUSES = load_sql(__name__, "sees_pauses")
_PAUSES = load_sql(__name__, "pauses")
_DEFAULTS = load_sql(__name__, "defaults")
_COUNTS = load_sql(__name__, "counts")

WAITED = 600.0
"""Seconds after which a waiting message without a declared consumer is a finding."""

PAUSED = 3600.0
"""Seconds after which a paused queue is a finding."""

NAMED = 3
"""Messages of a queue named as returning, at most."""

MUCH = 1000
"""Number of messages from which on a queue is counted twice."""

GROWTH = 0.1
"""Share of the sent messages that may remain between two counts."""

Counts = Mapping[str, tuple[int, int]]
"""Queue to rows inserted and deleted, by the statistics."""


def find_flow(conn: psycopg.Connection[Any], manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    fed = {queue for capture in manifest.captures for queue in capture.queues}
    letters = {consumer.dead_letter for consumer in manifest.consumers}
    letters |= {queue.dead_letter for queue in manifest.queues if queue.dead_letter}
    consumers = {consumer.queue: consumer for consumer in manifest.consumers}
    names = [queue.name for queue in manifest.queues if queue.name not in letters]
    live = {name: queue for name in names if (queue := observed.queues.get(name)) and queue.has_table}
    pauses = _read_pauses(conn, observed)
    sessions = dict(conn.execute(_SESSIONS).fetchall())
    readable = _find_readable(conn, live)
    yield from find_ids(conn, readable)
    for name, sent, waited, late, blocked, never in _ask(conn, readable):
        if never:
            yield Finding(
                code="never-due",
                what=f"queue {name} holds a message that is never due: its time is beyond the year 9999",
                why="no worker will claim it, and with ordering: key it blocks its key",
                fix=f"changelane peek {quote(name)} --state delayed, then `Make due now` in the dashboard, "
                f"or SELECT pgmq.set_vt({sql.Literal(name).as_string()}, ID, 0)",
            )
        consumer = consumers.get(name)
        if consumer is None:
            if waited is not None and waited >= WAITED:
                yield Finding(
                    code="queue-unconsumed",
                    what=f"queue {name} holds a message for {say_seconds(waited)} and has no consumer",
                    why="its messages pile up",
                    fix=f"declare consumers.{name} in the spec; changelane generate; "
                    f"changelane work {quote(name)}",
                )
            continue
        if name not in fed and not sent:
            yield Finding(
                code="consumer-unfed",
                what=f"the consumer of queue {name} has no route, and nothing was ever sent to it",
                why="its handler is never called",
                fix=f"declare a route to queue {name}, or take consumers.{name} out of the spec",
            )
        if late is not None and late > consumer.lease and name not in pauses:
            workers = sessions.get(name_session(name), 0)
            yield Finding(
                code="queue-late",
                what=f"a message of queue {name} has been due for {say_seconds(late)}, longer than the "
                f"lease of {consumer.lease:g} s, with {'workers' if workers else 'no worker'} at it",
                why="it is handled late, and so are the messages behind it",
                fix=f"changelane work {quote(name)}, more of it, or a handler that takes less" if workers
                else f"changelane work {quote(name)}",
            )  # fmt: skip
        if blocked:
            yield Finding(
                code="keys-blocked",
                what=f"queue {name} holds messages that failed for good and block their keys",
                why="later messages of these keys wait for a person, as on_exhausted: block says",
                fix=f"changelane peek {quote(name)} --state blocked, then changelane unblock {quote(name)}",
            )
        yield from _find_returning(conn, name)
    for name, paused in sorted(pauses.items()):
        if name in live and paused >= PAUSED:
            yield Finding(
                code="queue-paused",
                what=f"queue {name} is paused for {say_seconds(paused)}",
                why="nobody handles its messages meanwhile",
                fix=f"changelane resume {quote(name)}",
            )
    if observed.session.reads_queues:
        yield from _find_defaults(conn)


def count(conn: psycopg.Connection[Any], observed: Observed) -> Counts:
    """Rows inserted and deleted, for queues with many messages. In the connection's open transaction."""
    if not (observed.session.has_pgmq and observed.session.reads_queues):
        return {}
    rows = conn.execute(_COUNTS, {"much": MUCH}).fetchall()
    return {name: (inserted, deleted) for name, inserted, deleted in rows}


def find_growth(before: Counts, after: Counts, *, seconds: float) -> Iterator[Finding]:
    """Queues that receive more messages than leave them, from two counts ``seconds`` apart."""
    for name in sorted(before.keys() & after.keys()):
        sent = after[name][0] - before[name][0]
        left = after[name][1] - before[name][1]
        if sent >= 10 * seconds and sent - left > GROWTH * sent:
            yield Finding(
                code="queue-growing",
                what=f"queue {name} grows: in {seconds:g} s {sent:,} messages were sent and {left:,} left",
                why="the wait for a handler grows with it",
                fix=f"more workers (changelane work {quote(name)} --processes 2), more concurrency, or a "
                "faster handler",
            )


def _find_returning(conn: psycopg.Connection[Any], name: str) -> Iterator[Finding]:
    """Messages that came back several times without a spent attempt."""
    query = compose_returning(name_queue(name))
    for msg_id, times, error in sorted(conn.execute(query).fetchall(), key=lambda row: -row[1])[:NAMED]:
        yield Finding(
            code="message-returns",
            what=f"message {msg_id} of queue {name} came back {times} times without an attempt being spent"
            + (f": {' '.join(error.split())[:200]}" if error else ""),
            why="the database, a session that it ended, or a worker that died stopped its handler each time",
            fix=f"changelane peek {quote(name)} --id {msg_id}; fix the handler, or the cause that ends its "
            "session",
        )


def _find_readable(conn: psycopg.Connection[Any], queues: Mapping[str, Live]) -> list[str]:
    return [row[0] for row in conn.execute(load_sql(__name__, "readable"), [list(queues)]).fetchall()]


def _ask(conn: psycopg.Connection[Any], readable: Sequence[str]) -> list[tuple[Any, ...]]:
    """Run one statement over all queues."""
    if not readable:
        return []
    parts = [
        _FLOW.format(
            name=sql.Literal(name),
            queue=name_queue(name),
            table=sql.Literal(name_queue(name).as_string()),
            state=STATE,
            look=sql.Literal(LOOK),
        )
        for name in readable
    ]
    return conn.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall()


def _read_pauses(conn: psycopg.Connection[Any], observed: Observed) -> dict[str, float]:
    if not observed.session.has_tables or conn.execute(_SEES_PAUSES).fetchone() != (True,):
        return {}
    return dict(conn.execute(_PAUSES).fetchall())


def _find_defaults(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    for queue, schema, table in conn.execute(_DEFAULTS).fetchall():
        if conn.execute(_FILLED.format(table=sql.Identifier(schema, table))).fetchone() is not None:
            yield Finding(
                code="default-filled",
                what=f"the DEFAULT partition {schema}.{table} of queue {queue} holds messages",
                why="retention never drops them, and no partition can be made for their time",
                fix="run changelane maintain about ten times in each partition interval",
            )
