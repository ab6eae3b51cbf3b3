"""pgbench's tables and their replicas."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql


@dataclass(frozen=True, slots=True)
class Table:
    """``columns`` are those of both tables; the first is the primary key. ``balance`` is one of them."""

    source: str
    replica: str
    columns: tuple[str, ...]
    balance: str

    def format(self, template: str) -> sql.Composed:
        """A statement from a template over this table's names."""
        return sql.SQL(template).format(
            source=sql.Identifier("public", self.source),
            replica=sql.Identifier("replica", self.replica),
            key=sql.Identifier(self.columns[0]),
            balance=sql.Identifier(self.balance),
            columns=sql.SQL(", ").join(map(sql.Identifier, self.columns)),
            values=sql.SQL(", ").join(map(sql.Placeholder, self.columns)),
            excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in self.columns),
        )


TABLES = (
    Table("pgbench_accounts", "accounts", ("aid", "bid", "abalance", "filler"), "abalance"),
    Table("pgbench_tellers", "tellers", ("tid", "bid", "tbalance", "filler"), "tbalance"),
    Table("pgbench_branches", "branches", ("bid", "bbalance", "filler"), "bbalance"),
)
