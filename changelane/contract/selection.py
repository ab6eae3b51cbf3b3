"""Which tables a route selects: its names and globs, applied to the tables of a catalog.

The generator asks ``catalog.json``, and the runner asks the live database. Both use this code, so both select
the same tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from changelane.contract.record import Record

if TYPE_CHECKING:
    from changelane.contract.catalog import Table

Identity = tuple[str, str]

REFUSED_KINDS = {
    "view": "a view holds no rows of its own and fires no row events",
    "materialized view": "a refresh fires no trigger",
    "foreign": "its rows change on another server, where no trigger of this one fires",
}
"""Kinds of relations that cannot be captured, each with the reason."""


class TablePattern(Record):
    """Schema and name without quotes. In a glob (``schema_glob``, ``name_glob``), ``*`` stands for any
    characters and ``?`` for one.
    """

    schema_: str = Field(alias="schema")
    name: str
    schema_glob: bool = False
    name_glob: bool = False

    @property
    def is_glob(self) -> bool:
        return self.schema_glob or self.name_glob

    def matches(self, schema: str, name: str) -> bool:
        """Whether the pattern selects a table of the catalog."""
        return _match(schema, self.schema_, glob=self.schema_glob) and _match(
            name, self.name, glob=self.name_glob
        )

    def __str__(self) -> str:
        return f"{self.schema_}.{self.name}"


class Selection(Record):
    """What a route's ``tables`` and ``except`` say."""

    tables: tuple[TablePattern, ...]
    excepted: tuple[TablePattern, ...] = ()

    def names(self, identity: Identity) -> bool:
        """Whether the table is named exactly, not matched by a glob."""
        return any(not pattern.is_glob and pattern.matches(*identity) for pattern in self.tables)

    def excepts(self, identity: Identity) -> bool:
        return any(pattern.matches(*identity) for pattern in self.excepted)

    def declare(self, tables: Mapping[Identity, Table]) -> list[Table]:
        """The tables that it names or matches, in the order of its patterns. A partition is captured through
        its parent: a glob matches no partition, and a named one counts only when no table above it does.
        """
        found: dict[Identity, Table] = {}
        for pattern in self.tables:
            found.update((table.identity, table) for table in self.match(pattern, tables))
        return [
            table
            for table in found.values()
            if not any(parent in found for parent in list_ancestors(table.identity, tables))
        ]

    def match(self, pattern: TablePattern, tables: Mapping[Identity, Table]) -> list[Table]:
        """The tables that one of its patterns names or matches, less the excepted ones."""
        if not pattern.is_glob:
            named = tables.get((pattern.schema_, pattern.name))
            candidates: Iterable[Table] = [named] if named else []
        else:
            candidates = (table for table in tables.values() if table.partition_of is None)
        return [
            table
            for table in candidates
            if table.kind not in REFUSED_KINDS
            and pattern.matches(*table.identity)
            and not self.excepts(table.identity)
        ]

    def spread(
        self, declared: Sequence[Table], tables: Mapping[Identity, Table]
    ) -> Iterator[tuple[Table, Table]]:
        """Pairs (declared table, table that takes the triggers). The second is the first, or a table that
        inherits from it: its rows can be read through the parent, so its changes are the parent's changes.
        """
        named = {table.identity for table in declared}
        for table in declared:
            yield table, table
            for child in self._descend(table, named, tables):
                yield table, child

    def _descend(
        self, table: Table, named: set[Identity], tables: Mapping[Identity, Table]
    ) -> Iterator[Table]:
        """Inheritance children at any depth that the route neither declares nor excepts."""
        seen: set[Identity] = set()
        waiting = list(table.inherited_by)
        while waiting:
            identity = waiting.pop(0)
            child = tables.get(identity)
            if child is None or identity in seen or identity in named or child.kind in REFUSED_KINDS:
                continue
            seen.add(identity)
            waiting.extend(child.inherited_by)
            if not self.excepts(identity):
                yield child


def list_ancestors(identity: Identity, tables: Mapping[Identity, Table]) -> Iterator[Identity]:
    """The partitioned tables above a partition, the nearest first."""
    table = tables.get(identity)
    while table is not None and table.partition_of is not None:
        yield table.partition_of
        table = tables.get(table.partition_of)


def _match(text: str, pattern: str, *, glob: bool) -> bool:
    """A greedy match that steps back only to the last ``*``. So a pattern costs at most the product of both
    lengths.
    """
    if not glob:
        return text == pattern
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            place, at = place + 1, at + 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return pattern[place:].strip("*") == ""
