"""Reads the triggers that Changelane did not make, by the table on which they fire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from changelane.contract.catalog import Trigger
from changelane.contract.sql_text import load_sql

_QUERY = load_sql(__name__, "foreign_triggers")

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ForeignTriggers:
    """``triggers`` by (schema, table). ``writes`` maps (schema, table, trigger) to names of tables, without
    schemas: those that its function, or a function that it calls, names beside a writing verb. A trigger that
    is missing there may write any table.
    """

    triggers: Mapping[Place, tuple[Trigger, ...]] = field(default_factory=dict)
    writes: Mapping[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)

    def may_write(self, place: Place, trigger: Trigger) -> bool:
        """Whether the trigger on ``place``, or a trigger on a table that it writes, may write ``place``."""
        tables: dict[str, list[Place]] = {}
        for other in self.triggers:
            tables.setdefault(other[1], []).append(other)
        seen: set[str] = set()
        waiting: list[tuple[Place, Trigger]] = [(place, trigger)]
        while waiting:
            where, current = waiting.pop()
            written = self.writes.get((*where, current.name))
            if written is None or place[1] in written:
                return True
            for name in set(written) - seen:
                seen.add(name)
                waiting += [
                    (other, found)
                    for other in tables.get(name, ())
                    for found in self.triggers[other]
                    if found.enabled != "disabled"
                ]
        return False


def read_foreign_triggers(conn: psycopg.Connection[Any]) -> ForeignTriggers:
    """Reads in the connection's open transaction, which has an empty search_path."""
    triggers: dict[Place, tuple[Trigger, ...]] = {}
    writes: dict[tuple[str, str, str], tuple[str, ...]] = {}
    with conn.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_QUERY):
            place = (row.pop("schema"), row.pop("table"))
            written = row.pop("writes")
            trigger = Trigger.model_validate(row)
            triggers[place] = (*triggers.get(place, ()), trigger)
            if written is not None:
                writes[(*place, trigger.name)] = tuple(written)
    return ForeignTriggers(triggers, writes)
