"""SQL conditions over messages, for the option ``--where`` and the dashboard's search field."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from changelane.cli import Settings
from changelane.contract.access import COLUMN_TYPES
from changelane.contract.catalog import load_catalog
from changelane.errors import ChangelaneError


def read_where(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """An option's callback: as ``resolve_where``."""
    settings: Settings = context.obj
    return value and resolve_where(value, out=settings.out, shown=f"--where {value!r}")


def resolve_where(value: str, *, out: Path, shown: str) -> str:
    """The expression with the operators that a route's condition would use.

    Postgres checks everything else. If there is no catalog, or the extra ``generate`` is missing, the
    expression stays as it is. Raises ChangelaneError, which names ``shown``, if the catalog leaves a type
    open.
    """
    path = out / "catalog.json"
    if not path.exists() or find_spec("pglast") is None:
        return value
    from changelane.generator.sql.expression import ExpressionError, parse_message_expression
    from changelane.generator.sql.qualify import qualify
    from changelane.generator.sql.typesystem import TypeSystem

    try:
        expression = parse_message_expression(value, columns=COLUMN_TYPES)
    except ExpressionError:
        return value
    try:
        return qualify(expression, columns=COLUMN_TYPES, types=TypeSystem(load_catalog(path))).text
    except ExpressionError as error:
        raise ChangelaneError(f"{shown}: {error.what}", fix=error.fix) from None
