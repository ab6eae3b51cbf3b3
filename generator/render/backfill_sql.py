"""A route's existing rows -> what sends them as captured ones: a trigger on a temporary table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from changelane.contract.catalog import Catalog
from changelane.errors import ChangelaneError
from changelane.generator.capture.capture import Capture
from changelane.generator.capture.resolution import resolve
from changelane.generator.render.templating import render_backfill
from changelane.generator.spec.loading import Document
from changelane.generator.sql.expression import ExpressionError, Reference, parse_expression
from changelane.generator.sql.grammar import check_function, check_statements
from changelane.generator.sql.qualify import qualify
from changelane.generator.sql.quoting import quote_identifier, quote_literal
from changelane.generator.sql.typesystem import TypeSystem
from changelane.suggestion import suggest


@dataclass(frozen=True, slots=True)
class Backfill:
    """One table of a route. ``key`` is its primary key; ``whole`` says that its rows are its partitions'.

    ``setup`` makes, in a transaction, the temporary table ``changelane_backfill``: rows inserted there are
    sent. ``where`` is SQL over the table as ``source``.
    """

    route: str
    schema: str
    table: str
    key: tuple[str, ...]
    whole: bool
    queues: tuple[str, ...]
    setup: str
    where: str


def list_backfills(
    document: Document, catalog: Catalog, *, route: str, table: str | None = None, where: str | None = None
) -> tuple[list[Backfill], list[str]]:
    """A backfill for each table with the route's triggers, or for ``table`` (``schema.name``) alone; and the
    tables without a primary key that a glob of the route matches.

    Raises ChangelaneError for an unknown route or table, for an invalid expression, and where the named
    table, or every table, has no primary key.
    """
    captures: dict[tuple[str, str], Capture] = {}
    resolution = resolve(document, catalog)
    for capture in resolution.captures:
        if capture.route == route and capture.event != "truncate":
            captures.setdefault(capture.table.identity, capture)
    if not captures:
        routes = [declared.name for declared in document.spec.routes]
        raise ChangelaneError(
            f"no route {route} sends rows",
            fix=suggest(route, routes, otherwise=f"the routes are: {', '.join(routes)}"),
        )
    names = {".".join(identity): capture for identity, capture in captures.items()}
    if table is not None and table not in names:
        raise ChangelaneError(
            f"route {route} captures no table {table}",
            fix=suggest(table, names, otherwise=f"it captures: {', '.join(sorted(names))}"),
        )
    chosen = [names[table]] if table else list(captures.values())
    keyless = [capture.table for capture in chosen if not capture.table.primary_key]
    selection = resolution.targets[route].selection
    refused = [str(one) for one in keyless if table or selection.names(one.identity)]
    if refused or len(keyless) == len(chosen):
        raise ChangelaneError(
            f"no primary key to go by: {', '.join(refused or map(str, keyless))}",
            fix="add one, or send these rows by an UPDATE that the route captures",
        )
    types = TypeSystem(catalog)
    found = [_describe(capture, where=where, types=types) for capture in chosen if capture.table.primary_key]
    return found, [str(one) for one in keyless]


def _describe(capture: Capture, *, where: str | None, types: TypeSystem) -> Backfill:
    snapshot = replace(capture, event="snapshot", level="statement")
    setup = render_backfill(snapshot)
    check_statements(setup)
    check_function(setup)
    return Backfill(
        route=capture.route,
        schema=capture.table.schema_,
        table=capture.table.name,
        key=capture.table.primary_key,
        whole=capture.table.kind in ("partitioned", "hypertable"),
        queues=capture.queues,
        setup=setup,
        where="true" if where is None else _bind(capture, where, types),
    )


def _bind(capture: Capture, where: str, types: TypeSystem) -> str:
    columns = {column.name: column.type for column in capture.table.columns}
    try:
        expression = parse_expression(where)
    except ExpressionError as error:
        raise ChangelaneError(f"--where {where!r}: {error.what}", fix=error.fix or _EXAMPLE) from None
    for reference in expression.references:
        if reference.row == "old":
            raise ChangelaneError(f"--where {where!r}: a row that is there has no old side", fix=_EXAMPLE)
        if reference.column and reference.column not in columns:
            raise ChangelaneError(
                f"--where {where!r}: {capture.table} has no column {reference.column}",
                fix=suggest(reference.column, columns, otherwise=_EXAMPLE),
            )

    try:
        expression = qualify(expression, columns=columns, types=types)
    except ExpressionError as error:
        raise ChangelaneError(f"--where {where!r}: {error.what}", fix=error.fix or _EXAMPLE) from None

    def replace_(reference: Reference) -> str:
        if reference.row == "op":
            return f"{quote_literal('snapshot')}::text"
        return f"source.{quote_identifier(reference.column)}"

    return expression.bind(replace_)


_EXAMPLE = "write one SQL expression over new, for example new.status = 'paid'"
