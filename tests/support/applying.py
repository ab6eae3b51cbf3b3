"""Apply of a manifest made by hand, and the state after it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import TupleRow

from changelane.runner.apply.apply import apply
from changelane.runner.apply.plan import Plan
from changelane.runner.compare.compare import compare
from changelane.runner.live.observe import observe
from support.manifest_by_hand import Sample

Connection = psycopg.Connection[TupleRow]


def bring(conn: psycopg.Connection[Any], sample: Sample, **options: Any) -> Plan:
    silent = {"confirm": lambda planned: False, "report": lambda step: None, "notify": lambda message: None}
    return apply(conn, sample.manifest, files=sample.contents, **{**silent, **options})


def states(conn: Connection, sample: Sample) -> set[tuple[str, str]]:
    """Kind and state of each object that is not ok."""
    objects = compare(sample.manifest, observe(conn, sample.manifest))
    return {(thing.kind, thing.state) for thing in objects if thing.state != "ok"}


def depth(conn: Connection, queue: str = "events") -> int:
    row = conn.execute("SELECT queue_length FROM pgmq.metrics(%s)", [queue]).fetchone()
    assert row is not None
    return int(row[0])
