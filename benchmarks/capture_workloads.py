"""The workloads of bench_capture.py: tables, statements, and how many rows they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

FLOORS = ("bare", "guarded")
"""Row triggers that send the message and do nothing else, without and with a capture function's settings."""

SINGLE = 3000
"""Statements of one row each that a single-row workload times."""
SESSIONS = 20
"""Sessions whose first captured write is timed."""


@dataclass(frozen=True)
class Workload:
    """``setup`` and ``timed`` are SQL over {table}; ``rows`` says how many rows ``timed`` changes.

    ``routes`` is how many routes the table has, ``when`` their condition. ``first``: each statement is the
    first that a session captures, so that it compiles the function and makes its plans.
    """

    name: str
    columns: LiteralString
    setup: LiteralString
    timed: LiteralString
    rows: int
    bulk: bool
    routes: int = 1
    when: str | None = None
    first: bool = False


NARROW: LiteralString = "id bigint PRIMARY KEY, a text, n numeric, at timestamptz DEFAULT now(), flag boolean"
WIDE: LiteralString = "id bigint PRIMARY KEY, " + ", ".join(
    f"c{number} text DEFAULT 'value'" for number in map(str, range(29))
)
FILL: LiteralString = (
    "INSERT INTO {table} (id, a, n, flag) SELECT i, 'some text ' || i, i * 1.5, true"
    " FROM generate_series(1, {rows}) AS i"
)
FILL_WIDE: LiteralString = "INSERT INTO {table} (id) SELECT generate_series(1, {rows})"
INSERT_ONE: LiteralString = (
    "INSERT INTO {table} (id, a, n, flag) VALUES (i, 'some text ' || i, i * 1.5, true)"
)
UPDATE_ONE: LiteralString = "UPDATE {table} SET n = n + 1 WHERE id = i"


def list_workloads(rows: int) -> list[Workload]:
    nothing: LiteralString = "SELECT"
    return [
        Workload("bulk INSERT", NARROW, nothing, FILL, rows, True),
        Workload("bulk UPDATE", NARROW, FILL, "UPDATE {table} SET n = n + 1", rows, True),
        Workload("COPY", NARROW, nothing, "COPY", rows, True),
        Workload("bulk INSERT, 30 columns", WIDE, nothing, FILL_WIDE, rows // 2, True),
        Workload("bulk INSERT, five routes", NARROW, nothing, FILL, rows // 5, True, routes=5),
        Workload("single INSERT", NARROW, nothing, INSERT_ONE, SINGLE, False),
        Workload("single UPDATE", NARROW, FILL, UPDATE_ONE, SINGLE, False),
        Workload("single INSERT, five routes", NARROW, nothing, INSERT_ONE, SINGLE // 5, False, routes=5),
        Workload("first INSERT of a session", NARROW, nothing, INSERT_ONE, SESSIONS, False, first=True),
        Workload(
            "single UPDATE, unwanted", NARROW, FILL, UPDATE_ONE, SINGLE, False, when="new.a = 'no such text'"
        ),
    ]


def choose_variants(workload: Workload, variants: Sequence[str]) -> list[str]:
    """The variants that the workload compares: floors say something of single rows that a route wants."""
    single = not workload.bulk and not workload.when
    return [variant for variant in variants if single or variant not in FLOORS]


TARGETS: dict[str, dict[tuple[str, str], float]] = {
    "bulk": {
        ("pgmq", "hand"): 0.40, ("inline", "hand"): 0.35, ("pgmq", "floor"): 1.30, ("inline", "floor"): 1.15,
    },
    "single": {("pgmq", "hand"): 1.05, ("inline", "hand"): 0.45, ("inline", "logutriga"): 1.1},
    "first": {("pgmq", "hand"): 1.15, ("inline", "hand"): 0.90},
    "unwanted": {("pgmq", "hand"): 0.15, ("inline", "hand"): 0.15},
}  # fmt: skip


def choose_targets(workload: Workload) -> dict[tuple[str, str], float]:
    if workload.first:
        return TARGETS["first"]
    return TARGETS["unwanted" if workload.when else "bulk" if workload.bulk else "single"]
