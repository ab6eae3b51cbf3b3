"""Passes every statement that leaves the generator to Postgres' own parser."""

from __future__ import annotations

from pglast.parser import ParseError, parse_plpgsql_json, parse_sql_protobuf


class RenderedSqlError(AssertionError):
    """A template rendered SQL that Postgres cannot parse: an error in the generator, not in the spec."""


def check_statements(sql: str) -> None:
    """Parse ``sql`` as statements; raises RenderedSqlError.

    The parser is that of ``pglast.parse_sql``, without its tree of Python objects. Building the tree takes
    five times as long, and it is not needed here.
    """
    try:
        parse_sql_protobuf(sql)
    except ParseError as error:
        raise RenderedSqlError(f"{error.args[0]}\n{sql}") from error


def check_function(sql: str) -> None:
    """Parse one CREATE FUNCTION with its plpgsql body, which ``check_sql`` would take as a mere string."""
    try:
        parse_plpgsql_json(sql)
    except ParseError as error:
        raise RenderedSqlError(f"{error.args[0]}\n{sql}") from error
