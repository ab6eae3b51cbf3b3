"""Reads the live schema into a Catalog."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from changelane.contract.catalog import Catalog, Table
from changelane.contract.sql_text import load_sql
from changelane.runner.live.foreign_triggers import read_foreign_triggers
from changelane.runner.live.session import snapshot
from changelane.runner.live.timescale import Timescale, observe_timescale

_RELATION = load_sql(__name__, "relation")


def read_query(name: str) -> str:
    """The text of a query over the relations that a spec could name."""
    return load_sql(__name__, name).replace("{relation}", _RELATION)


_QUERY = read_query("inspect")
_TABLES = read_query("tables")
_TYPES = load_sql(__name__, "inspect_types")


def list_tables(conn: psycopg.Connection[Any], *, timescale: Timescale) -> list[Table]:
    """The tables and partitioned tables that a glob could match, without their columns. Reads in the
    connection's open transaction.
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_TABLES).fetchall()
    return [Table.model_validate(row) for row in timescale.amend(rows)]


def inspect(conn: psycopg.Connection[Any]) -> Catalog:
    """Read every table, view and foreign table outside system schemas, with their triggers and the operators
    and functions of their columns' types, in one snapshot.
    """
    with snapshot(conn), conn.cursor(row_factory=dict_row) as cursor:
        rows = observe_timescale(conn).amend(cursor.execute(_QUERY).fetchall())
        (types,) = cursor.execute(_TYPES).fetchall()
        foreign = read_foreign_triggers(conn)
    for row in rows:
        row["triggers"] = foreign.triggers.get((row["schema"], row["name"]), ())
    paths = types.pop("paths")
    # Leave out schemas that an owner of a table does not search.
    path = [schema for schema in paths[0] if all(schema in other for other in paths)] if paths else []
    known = any(types[name] for name in ("types", "operators", "functions"))
    return Catalog.model_validate(
        {"tables": [Table.model_validate(row) for row in rows], "search_path": path if known else [], **types}
    )
