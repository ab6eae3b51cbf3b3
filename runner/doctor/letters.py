"""Queues with more dead letters than their alarm allows."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.manifest import Manifest
from changelane.contract.sql_text import load_sql
from changelane.runner.doctor.finding import Finding
from changelane.runner.live.observe import Observed
from changelane.runner.live.queue_tables import name_queue

_LETTERS = sql.SQL(load_sql(__name__, "letters"))
_READABLE = load_sql(__name__, "readable")

MOST = 10_000
"""Dead letters counted at most, unless the alarm is higher."""


def find_letters(conn: psycopg.Connection[Any], manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    alarms = {
        queue.name: (queue.dead_letter, queue.dead_letters.alarm)
        for queue in manifest.queues
        if queue.dead_letter and queue.dead_letters and queue.dead_letters.alarm
    }
    there = [
        name for name, _ in alarms.values() if name in observed.queues and observed.queues[name].has_table
    ]
    readable = {row[0] for row in conn.execute(_READABLE, [there]).fetchall()}
    parts = [
        _LETTERS.format(
            name=sql.Literal(name),
            letters=name_queue(letters),
            most=sql.Literal(max(MOST, alarm)),
        )
        for name, (letters, alarm) in alarms.items()
        if letters in readable
    ]
    rows = conn.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall() if parts else []
    for name, count in rows:
        letters, alarm = alarms[name]
        if count >= alarm:
            more = " or more" if count >= max(MOST, alarm) else ""
            yield Finding(
                code="dead-letters-many",
                what=f"queue {name} has {count:,}{more} dead letters in {letters}, "
                f"and its alarm is at {alarm:,}",
                why="messages that failed for good wait there for a person",
                fix=f"changelane dead-letter list {quote(name)}, fix the handler, then redrive or discard",
            )
