"""Compare replica and source row by row, and the balances with the sums of pgbench's history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from tables import TABLES, Table

_SQL = Path(__file__).parent / "sql"
_COMPARE = (_SQL / "compare.sql").read_text("utf-8")
_TOTALS = (_SQL / "totals.sql").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One table. ``differing`` are the rows that only one side has: ``source`` or ``replica``, then the row.

    ``delta`` is the sum of the history's deltas, which both sums of balances must equal.
    """

    table: Table
    source_rows: int
    replica_rows: int
    source_sum: int
    replica_sum: int
    delta: int
    differing: tuple[tuple[Any, ...], ...]

    @property
    def equal(self) -> bool:
        sums = {self.source_sum, self.replica_sum, self.delta}
        return not self.differing and self.source_rows == self.replica_rows and len(sums) == 1

    def describe(self, *, limit: int = 10) -> list[str]:
        """Lines on the equal tables, or on the first ``limit`` differing rows."""
        table = self.table
        if self.equal:
            return [
                f"{table.replica} = {table.source}: {self.source_rows:,} rows, "
                f"sum({table.balance}) = sum(delta) = {self.delta:,}"
            ]
        lines = [
            f"{table.replica} DIFFERS from {table.source}: "
            f"{self.replica_rows:,} rows of {self.source_rows:,}, "
            f"{len(self.differing):,} on one side only; "
            f"sum({table.balance}) {self.replica_sum:,} of {self.source_sum:,}, sum(delta) {self.delta:,}"
        ]
        for side, *row in self.differing[:limit]:
            values = ", ".join(
                f"{name}={value.rstrip() if isinstance(value, str) else value}"
                for name, value in zip(table.columns, row, strict=True)
            )
            lines.append(f"  only in {table.source if side == 'source' else table.replica}: {values}")
        if len(self.differing) > limit:
            lines.append(f"  and {len(self.differing) - limit:,} more")
        return lines


def compare(conn: psycopg.Connection[Any]) -> list[Comparison]:
    """Compare the three tables, both ways, as of one moment."""
    found = []
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table in TABLES:
            totals = conn.execute(table.format(_TOTALS)).fetchone()
            assert totals is not None
            differing = conn.execute(table.format(_COMPARE)).fetchall()
            source_rows, replica_rows, source_sum, replica_sum, delta = totals
            found.append(
                Comparison(
                    table=table,
                    source_rows=source_rows,
                    replica_rows=replica_rows,
                    source_sum=source_sum,
                    replica_sum=replica_sum,
                    delta=delta,
                    differing=tuple(differing),
                )
            )
    return found
