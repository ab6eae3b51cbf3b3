"""What came of it: every change's fate against the one that its kind and consumer ask for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

SQL = Path(__file__).parent / "sql"
SHOWN = 10
"""Pieces of evidence of a kind that are shown."""


@dataclass
class Verdict:
    """``fates`` counts changes by queue and fate, ``runs`` the runs of the schedule; ``evidence`` is empty
    where all is as it must be.
    """

    fates: dict[tuple[str, str], int] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    repeated_loosely: int = 0
    runs: int = 0
    evidence: list[str] = field(default_factory=list)


def judge(conn: psycopg.Connection[Any]) -> Verdict:
    """Compare what committed with what is there, in a queue each."""
    verdict = Verdict()
    for queue, fate, expected, lost, ghosts, repeated, *samples in _ask(conn, "fates"):
        verdict.fates[queue, fate] = expected
        if queue == "loose" and fate == "effect":
            verdict.repeated_loosely, repeated = repeated, 0
        counts = {"lost": lost, "ghosts": ghosts, "repeated": repeated}
        verdict.totals.update(counts)
        for (name, count), sample in zip(counts.items(), samples, strict=True):
            if count:
                verdict.evidence.append(
                    f"{queue}: {count} {name} ({fate}); key and sequence: {', '.join(sample or ())}"
                )
    for name in ("disorder", "stale", "schedule"):
        found = _ask(conn, name)
        verdict.totals[name] = len(found)
        verdict.evidence += [f"{queue}: {name}: {what}" for queue, what in found[:SHOWN]]
    (verdict.runs,) = conn.execute("SELECT count(*) FROM pgmq.q_ticks").fetchone() or (0,)
    return verdict


def _ask(conn: psycopg.Connection[Any], name: str) -> list[tuple[Any, ...]]:
    return conn.execute((SQL / f"{name}.sql").read_bytes()).fetchall()
