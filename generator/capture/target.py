"""The tables that a route's names and globs select, and the problems with those names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from changelane.contract.catalog import Table
from changelane.contract.selection import REFUSED_KINDS, Identity, Selection, TablePattern, list_ancestors
from changelane.generator.spec.codes import Code
from changelane.generator.spec.models import Route
from changelane.generator.spec.table_names import parse_exception, parse_table
from changelane.suggestion import suggest

_SYSTEM = ("pg_catalog", "information_schema", "pgmq", "pgmq_public", "changelane", "pg_toast")


class Report(Protocol):
    """Takes a problem at a path of the spec."""

    def __call__(
        self, code: Code, summary: str, *path: str | int, fix: str = "", warning: bool = False
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class SelectedTables:
    """``declared`` are the tables that ``selection`` names or matches, each once."""

    selection: Selection
    declared: Sequence[Table]


def find_targets(route: Route, tables: Mapping[Identity, Table], *, report: Report) -> SelectedTables:
    """The tables of one route; reports names and globs that select no table."""
    selection = Selection(
        tables=tuple(map(parse_table, route.tables)), excepted=tuple(map(parse_exception, route.except_))
    )
    declared = selection.declare(tables)
    meant = {table.identity for table in declared}
    for position, (text, pattern) in enumerate(zip(route.tables, selection.tables, strict=True)):
        path = route.table_path(position)
        if not pattern.is_glob:
            _check_named(pattern, selection, tables, path, report, meant=meant)
        elif not selection.match(pattern, tables):
            report(
                Code.NO_TABLE, f"no table matches {text}", *path,
                fix="run `changelane inspect` if it is new",
            )  # fmt: skip
    _check_exceptions(route, selection, tables, report)
    return SelectedTables(selection, declared)


def _check_named(
    pattern: TablePattern,
    selection: Selection,
    tables: Mapping[Identity, Table],
    path: tuple[str | int, ...],
    report: Report,
    *,
    meant: Collection[Identity],
) -> None:
    schema, name = identity = (pattern.schema_, pattern.name)
    table = tables.get(identity)
    if schema in _SYSTEM or schema.startswith("pg_"):
        why = "a temporary table" if schema.startswith("pg_temp") else "a system table"
        report(
            Code.WRONG_KIND, f"{schema}.{name} is {why} and cannot be captured", *path,
            fix="route the ordinary table that your application writes",
        )  # fmt: skip
    elif table is None:
        close = suggest(f"{schema}.{name}", tables.values())
        first = f"{close} Else " if close else ""
        report(
            Code.NO_TABLE, f"table {schema}.{name} is not in the catalog", *path,
            fix=f"{first}run `changelane inspect` if it is new",
        )  # fmt: skip
    elif why_not := REFUSED_KINDS.get(table.kind):
        kind = "foreign table" if table.kind == "foreign" else table.kind
        report(
            Code.WRONG_KIND, f"{table} is a {kind} and cannot be captured: {why_not}", *path,
            fix="route the tables beneath it" if kind.endswith("view") else "route it there",
        )  # fmt: skip
    elif above := [parent for parent in list_ancestors(identity, tables) if parent in meant]:
        parent = ".".join(above[0])
        report(
            Code.TWICE,
            f"{table} is a partition of {parent}, which the route captures, too: its changes are sent once, "
            "as those of its parent",
            *path, fix="delete it here", warning=True,
        )  # fmt: skip
    elif selection.excepts(identity):
        report(
            Code.ONE_OF, f"{table} is both named and left out by `except`", *path,
            fix="delete it here, or narrow `except`",
        )  # fmt: skip


def _check_exceptions(
    route: Route, selection: Selection, tables: Mapping[Identity, Table], report: Report
) -> None:
    """Warn of each exception that excludes nothing: a typing error there would send data that must not be
    sent.
    """
    if not selection.excepted:
        return
    globs = [pattern for pattern in selection.tables if pattern.is_glob]
    matched = {
        identity
        for identity, table in tables.items()
        if table.inherits or any(pattern.matches(*identity) for pattern in globs)
    }
    for position, (text, pattern) in enumerate(zip(route.except_, selection.excepted, strict=True)):
        if not any(pattern.matches(*identity) for identity in matched):
            report(
                Code.NO_TABLE, f"{text} leaves out no table that the route's globs match",
                "routes", route.index, "except", position,
                fix=suggest(text, (f"{schema}.{name}" for schema, name in matched))
                or "delete it, unless such tables are to come", warning=True,
            )  # fmt: skip
