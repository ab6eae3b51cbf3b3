"""Every statement that leaves the generator passes Postgres' own parser first."""

from __future__ import annotations

from pglast.parser import ParseError, parse_plpgsql_json, parse_sql_protobuf


class RenderedSqlError(AssertionError):
    """A template rendered what Postgres cannot parse: a defect of ours, not of the spec."""


def check_statements(sql: str) -> None:
    """Parse ``sql`` as statements; raises RenderedSqlError.

    The parser is that of ``pglast.parse_sql``, whose tree of Python objects nobody needs here and takes five
    times as long to build.
    """
    try:
        parse_sql_protobuf(sql)
    except ParseError as error:
        raise RenderedSqlError(f"{error.args[0]}\n{sql}") from error


def check_function(sql: str) -> None:
    """Parse one CREATE FUNCTION and its plpgsql body, which the above takes as a mere string."""
    try:
        parse_plpgsql_json(sql)
    except ParseError as error:
        raise RenderedSqlError(f"{error.args[0]}\n{sql}") from error
