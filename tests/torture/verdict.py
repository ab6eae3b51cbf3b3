"""The verdict: every change's fate, compared with the fate that its kind and consumer demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

SQL = Path(__file__).parent / "sql"
LOOSE = ("loose", "taken", "taken_batches")
"""Queues of consumers with ``mode: at_least_once``, which may repeat an effect."""

SHOWN = 10
"""Pieces of evidence of a kind that are shown."""


@dataclass
class Verdict:
    """``fates`` counts changes by queue and fate, ``runs`` the runs of the schedule; ``evidence`` is empty
    where all is as it must be.
    """

    fates: dict[tuple[str, str], int] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    repeated_loosely: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    evidence: list[str] = field(default_factory=list)

    def count(
        self,
        queue: str,
        fate: str,
        expected: int,
        *,
        samples: Sequence[Sequence[str] | None],
        **counts: int,
    ) -> None:
        """Note one fate of a queue's changes; ``samples`` are those of each of ``counts``."""
        self.fates[queue, fate] = expected
        self.totals.update(counts)
        for (name, count), sample in zip(counts.items(), samples, strict=True):
            if count:
                self.evidence.append(
                    f"{queue}: {count} {name} ({fate}); key and sequence: {', '.join(sample or ())}"
                )

    def examine(self, conn: psycopg.Connection[Any], **queries: str) -> None:
        """Every row that a query returns is evidence."""
        for name, query in queries.items():
            found = ask(conn, query)
            self.totals[name] = len(found)
            self.evidence += [f"{queue}: {name}: {what}" for queue, what in found[:SHOWN]]


def judge(conn: psycopg.Connection[Any]) -> Verdict:
    """Compare the committed changes with the ledger, for each queue."""
    verdict = Verdict()
    for queue, fate, expected, lost, ghosts, repeated, *samples in ask(conn, "fates"):
        if queue in LOOSE and fate == "effect":
            verdict.repeated_loosely[queue], repeated = repeated, 0
        verdict.count(queue, fate, expected, lost=lost, ghosts=ghosts, repeated=repeated, samples=samples)
    verdict.examine(
        conn, disorder="disorder", stale="stale", crowds="crowds", states="states", schedule="schedule"
    )
    (verdict.runs,) = conn.execute("SELECT count(*) FROM pgmq.q_ticks").fetchone() or (0,)
    return verdict


def ask(conn: psycopg.Connection[Any], name: str) -> list[tuple[Any, ...]]:
    return conn.execute((SQL / f"{name}.sql").read_bytes()).fetchall()
