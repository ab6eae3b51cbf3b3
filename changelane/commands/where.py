"""The option ``--where`` of commands that choose messages."""

from __future__ import annotations

from importlib.util import find_spec

import click

from changelane.cli import Settings
from changelane.contract.access import COLUMN_TYPES
from changelane.contract.catalog import load_catalog
from changelane.errors import ChangelaneError


def read_where(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """An option's callback: the expression with the operators that a condition of a route would use.

    Postgres judges all else. Without a catalog, or without the extra ``generate``, it stays as it is.
    Raises ChangelaneError for what the catalog leaves open.
    """
    settings: Settings = context.obj
    path = settings.out / "catalog.json"
    if value is None or not path.exists() or find_spec("pglast") is None:
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
        raise ChangelaneError(f"--where {value!r}: {error.what}", help=error.help) from None
