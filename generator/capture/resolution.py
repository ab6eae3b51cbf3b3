"""Resolves a spec against a catalog into captures: globs to tables, names to columns, text to expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal, TypeVar

from changelane.contract.access import COLUMN_TYPES, COLUMNS
from changelane.contract.catalog import Catalog, Column, Table
from changelane.contract.manifest import Level
from changelane.contract.trigger_order import choose_prefix, find_rivals
from changelane.diagnostic import Diagnostic
from changelane.errors import SpecError
from changelane.generator.capture.capture import Capture
from changelane.generator.capture.firing import check_firing
from changelane.generator.capture.group_columns import check_group_columns
from changelane.generator.capture.overlap import find_overlaps
from changelane.generator.capture.relay_columns import check_relay_columns
from changelane.generator.capture.target import SelectedTables, find_targets
from changelane.generator.spec.codes import Code
from changelane.generator.spec.loading import Document
from changelane.generator.spec.models import Payload, Route
from changelane.generator.spec.yaml_reader import LIMIT_PROBLEMS
from changelane.generator.sql.expression import (
    Expression,
    ExpressionError,
    parse_expression,
    parse_message_expression,
)
from changelane.generator.sql.qualify import qualify
from changelane.generator.sql.typesystem import TypeSystem
from changelane.suggestion import suggest
from changelane.text import spell_names

_RESERVED = {f"changelane_{name}" for name in ("old", "new", "row", "rows", "number", "at", "headers")}
_Expression = TypeVar("_Expression", Expression, Expression | None)


@dataclass(slots=True)
class Resolution:
    """The captures of a spec in file order, the tables by route, and every problem found."""

    captures: list[Capture] = field(default_factory=list)
    targets: dict[str, SelectedTables] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    using: dict[tuple[str, int], str] = field(default_factory=dict)
    """Expressions of ``access``, by queue and place in its list, with the schemas of their operators."""

    def require(self) -> list[Capture]:
        """The captures. Raises SpecError with all errors, sorted, when there are any."""
        if errors := {problem for problem in self.diagnostics if problem.severity == "error"}:
            raise SpecError(sorted(errors))
        return self.captures


def resolve(document: Document, catalog: Catalog) -> Resolution:
    """Resolve every route. Raises nothing, whatever the spec holds: problems are collected."""
    return _Resolver(document=document, catalog=catalog).resolve()


class _Resolver:
    def __init__(self, *, document: Document, catalog: Catalog) -> None:
        self.document = document
        self.tables = {table.identity: table for table in catalog.tables}
        self.types = TypeSystem(catalog)
        self.places = {route.name: route.index for route in document.spec.routes}
        self.triggers = {table.identity: table.triggers for table in catalog.tables}
        self.consumed = frozenset(document.spec.consumers)
        self.ordered = frozenset(name for name, consumer in document.spec.consumers.items() if consumer.keyed)
        self.result = Resolution()

    def resolve(self) -> Resolution:
        for route in self.document.spec.routes:
            # Only the first problems are shown, and a hostile spec may hold thousands.
            if len(self.result.diagnostics) > LIMIT_PROBLEMS:
                break
            self._resolve_route(route)
        for queue, declared in self.document.spec.queues.items():
            for index, access in enumerate(declared.access):
                if access.using is not None:
                    path = ("queues", queue, "access", index, "using")
                    self.result.using[queue, index] = self._resolve_using(access.using, *path)
        self.result.diagnostics += check_relay_columns(self.document.source, self.result.captures)
        self.result.diagnostics += check_group_columns(self.document.source, self.result.captures)
        for double in find_overlaps(self.result.captures, self.tables):
            self._report(
                Code.TWICE, str(double), "routes", self.places[double.route], "name", warning=True,
                fix="leave the table out of one of them, with `except` where that is a glob",
            )  # fmt: skip
        return self.result

    def _resolve_using(self, text: str, *path: str | int) -> str:
        try:
            expression = parse_message_expression(text, columns=COLUMNS)
            return qualify(expression, columns=COLUMN_TYPES, types=self.types).text
        except ExpressionError as error:
            within = (error.start, error.length)
            self._report(Code.EXPRESSION, error.what, *path, fix=error.fix, within=within)
            return text

    def _report(
        self,
        code: Code,
        summary: str,
        *path: str | int,
        fix: str = "",
        key: bool = False,
        within: tuple[int, int] | None = None,
        warning: bool = False,
    ) -> None:
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        diagnostic = self.document.diagnose(
            code, summary, *path, fix=fix, key=key, within=within, severity=severity
        )
        self.result.diagnostics.append(diagnostic)

    def _resolve_route(self, route: Route) -> None:
        base = ("routes", route.index)
        targets = find_targets(route, self.tables, report=self._report)
        when = self._parse(route.when, *base, "when")
        parsed = {
            name: self._parse(text, *base, "payload", "extra", name)
            for name, text in route.payload.extra.items()
        }
        extra = {name: expression for name, expression in parsed.items() if expression is not None}
        self._check_projection(route, targets)
        for table in targets.declared:
            self._check_mask(route, table)
            self._check_columns(route, table)
            self._check_key(route, table)
            self._check_expression(table, when, *base, "when")
            for name, expression in extra.items():
                self._check_expression(table, expression, *base, "payload", "extra", name)
        for table, bearer in targets.selection.spread(targets.declared, self.tables):
            self._capture(
                route,
                declared=table,
                bearer=bearer,
                when=self._qualify(bearer, when, *base, "when"),
                extra={
                    name: self._qualify(bearer, expression, *base, "payload", "extra", name)
                    for name, expression in extra.items()
                },
            )
        latest = takewhile(lambda capture: capture.route == route.name, reversed(self.result.captures))
        check_firing(route, targets, latest, report=self._report)
        self.result.targets[route.name] = targets

    def _parse(self, text: str | None, *path: str | int) -> Expression | None:
        if text is None:
            return None
        try:
            return parse_expression(text)
        except ExpressionError as error:
            self._report(
                Code.EXPRESSION, error.what, *path, fix=error.fix, within=(error.start, error.length)
            )
            return None

    def _check_key(self, route: Route, table: Table) -> None:
        """When a consumer works by keys, each message needs one; a truncation has none."""
        if route.key or table.primary_key or set(route.events) <= {"truncate"}:
            return
        for position, queue in enumerate(route.queues):
            if queue in self.ordered:
                merges = self.document.spec.consumers[queue].coalesce is not None
                work = "merges the changes of a key" if merges else "keeps the order of keys"
                self._report(
                    Code.NO_KEY,
                    f"consumer {queue} {work}, and {table} has no primary key",
                    *route.queue_path(position), fix="add `key: [...]` to the route",
                )  # fmt: skip

    def _check_mask(self, route: Route, table: Table) -> None:
        payload = route.payload
        key = route.key or table.primary_key
        for name, how in payload.mask.items():
            path = ("routes", route.index, "payload", "mask", name)
            sent = name in payload.columns if payload.columns else name not in payload.exclude
            if not sent and name not in key:
                self._report(
                    Code.BAD_VALUE,
                    f"{name} is masked, but the payload leaves it out",
                    *path,
                    key=True,
                    fix="delete this line",
                )
            if how == "redact" and name in key:
                self._report(
                    Code.BAD_VALUE, f"{name} is part of the key: redacted, it tells no rows apart", *path,
                    fix="write sha256, which keeps keys apart",
                )  # fmt: skip

    def _check_expression(self, table: Table, expression: Expression | None, *path: str | int) -> None:
        for reference in expression.references if expression else ():
            if reference.column:
                within = (reference.start, reference.end - reference.start)
                self._check_column(table, reference.column, *path, within=within)

    def _qualify(self, table: Table, expression: _Expression, *path: str | int) -> _Expression:
        columns = {column.name: column.type for column in table.columns}
        if expression is None or not expression.columns <= columns.keys():
            return expression
        try:
            return qualify(expression, columns=columns, types=self.types)
        except ExpressionError as error:
            within = (error.start, error.length)
            self._report(Code.EXPRESSION, f"{table}: {error.what}", *path, fix=error.fix, within=within)
            return expression

    def _check_columns(self, route: Route, table: Table) -> None:
        base = ("routes", route.index)
        lists: Iterable[tuple[Sequence[str] | None, tuple[str | int, ...]]] = (
            (route.update_of, (*base, "update_of")),
            (route.key, (*base, "key")),
        )
        for names, path in lists:
            for position, name in enumerate(names or ()):
                self._check_column(table, name, *path, position)
        for name in sorted(_RESERVED & {column.name for column in table.columns}):
            self._report(
                Code.WRONG_KIND, f"{table} has a column {name}, which capture itself needs", *base, "name",
                fix="rename the column",
            )  # fmt: skip
        for column in table.columns:
            if (
                column.generated == "virtual"
                and not route.payload.columns
                and column.name not in route.payload.exclude
            ):
                self._report(
                    Code.VIRTUAL_COLUMN,
                    f"{table} column {column.name} is a virtual generated column, which triggers see as null:"
                    " messages leave it out",
                    *base, "name", fix="make it stored, or list it under payload.exclude", warning=True,
                )  # fmt: skip

    def _check_projection(self, route: Route, targets: SelectedTables) -> None:
        """A named table must have every column that the payload names; for globs, one matched table must."""
        base = ("routes", route.index, "payload")
        payload = route.payload
        places: list[tuple[str, tuple[str | int, ...]]] = [
            *((name, (*base, "columns", at)) for at, name in enumerate(payload.columns or ())),
            *((name, (*base, "exclude", at)) for at, name in enumerate(payload.exclude)),
            *((name, (*base, "mask", name)) for name in payload.mask),
        ]
        declared = targets.declared
        matched = [table for table in declared if not targets.selection.names(table.identity)]
        for name, path in places:
            having = [table for table in declared if _find_column(table, name)]
            if matched and not having:
                known = {column.name for table in declared for column in table.columns}
                self._report(
                    Code.NO_COLUMN,
                    f"no table of route {route.name} has a column {name}",
                    *path,
                    key="mask" in path,
                    fix=suggest(name, sorted(known), otherwise="run `changelane inspect` if it is new"),
                )
                continue
            for table in declared:
                if table in having or table not in matched:
                    self._check_column(table, name, *path, key="mask" in path, virtual="exclude" in path)

    def _check_column(
        self,
        table: Table,
        name: str,
        *path: str | int,
        key: bool = False,
        within: tuple[int, int] | None = None,
        virtual: bool = False,
    ) -> None:
        """``virtual``: a virtual generated column is allowed."""
        column = _find_column(table, name)
        if column is None:
            close = suggest(name, [column.name for column in table.columns])
            self._report(
                Code.NO_COLUMN, f"{table} has no column {name}", *path, key=key, within=within,
                fix=close or "run `changelane inspect` if it is new",
            )  # fmt: skip
        elif column.generated == "virtual" and not virtual:
            self._report(
                Code.VIRTUAL_COLUMN,
                f"{table} column {name} is a virtual generated column, which triggers see as null",
                *path, key=key, within=within, fix="make it stored, or use the columns that it is made of",
            )  # fmt: skip

    def _capture(
        self,
        route: Route,
        *,
        declared: Table,
        bearer: Table,
        when: Expression | None,
        extra: Mapping[str, Expression],
    ) -> None:
        level, reason = _choose_level(route, bearer, find_rivals(bearer.identity, self.triggers))
        payload = route.payload
        columns = _choose_columns(payload, bearer)
        virtual = [column.name for column in bearer.columns if column.generated == "virtual"]
        present = {column.name for column in bearer.columns}
        grouped = any(name in self.ordered for name in route.queues)
        for event in route.events:
            if event == "truncate" and bearer != declared:
                # A message would say that the declared table is empty, but only its child is.
                continue
            self.result.captures.append(
                Capture(
                    project=self.document.spec.project,
                    owner=self.document.spec.owner,
                    route=route.name,
                    declared=declared.identity,
                    table=bearer,
                    event=event,
                    level="statement" if event == "truncate" else level,
                    reason="" if event == "truncate" else reason,
                    prefix=choose_prefix(bearer.triggers),
                    fire=route.fire,
                    queues=route.queues,
                    update_of=tuple(route.update_of or ()),
                    when=when,
                    columns=columns,
                    virtual=tuple(virtual),
                    old=payload.old,
                    key=tuple(route.key or declared.primary_key),
                    delay=int(route.delay),
                    send=route.send,
                    mask={name: how for name, how in payload.mask.items() if name in present},
                    extra=extra,
                    max_bytes=payload.max_bytes,
                    unchanged=route.unchanged,
                    grouped=grouped,
                    halved=grouped and event == "update" and {"insert", "delete"} <= set(route.events),
                    waking=() if route.delay else tuple(filter(self.consumed.__contains__, route.queues)),
                )
            )


def _find_column(table: Table, name: str) -> Column | None:
    return next((column for column in table.columns if column.name == name), None)


def _choose_columns(payload: Payload, table: Table) -> tuple[str, ...] | None:
    """The columns that messages hold; None for the whole row, whatever columns the table has then.

    The columns are named when the spec says `reviewed`, or masks or excludes some. A new or renamed column is
    then not sent until `inspect` and `generate` have shown it to a person.
    """
    if payload.columns:
        present = {column.name for column in table.columns}
        return tuple(name for name in payload.columns if name in present)
    if not (payload.reviewed or payload.mask or payload.exclude):
        return None
    return tuple(
        column.name
        for column in table.columns
        if column.generated != "virtual" and column.name not in payload.exclude
    )


def _choose_level(route: Route, table: Table, rivals: Sequence[str]) -> tuple[Level, str]:
    """Row triggers when declared, and when statement triggers would miss, garble or misplace changes."""
    if table.kind == "partitioned":
        return "row", "partitioned: statement triggers miss rows written straight to a partition"
    if table.kind == "hypertable":
        return "row", "a hypertable: TimescaleDB copies row triggers onto its chunks"
    if table.partition_of is not None:
        return "row", "a partition: statement triggers miss rows written through its parent"
    if table.inherits or table.inherited_by:
        return "row", "under inheritance: statement triggers miss rows written through another table"
    if route.capture is None and rivals:
        return "row", (
            f"trigger {spell_names(rivals)} may change its rows before a statement trigger fires; "
            "bulk statements cost up to twice as much"
        )
    return route.capture or "statement", "declared" if route.capture else ""
