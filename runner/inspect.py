"""Live schema -> Catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from changelane.catalog import Catalog, Table

_QUERY = (Path(__file__).parent / "sql" / "inspect.sql").read_text()


def inspect(conn: psycopg.Connection[Any]) -> Catalog:
    """Read every table, view and foreign table outside system schemas, in one read-only transaction.

    The search path is empty meanwhile, so that type names come out qualified wherever they are not built in.
    """
    with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SET LOCAL search_path = ''")
        rows = cursor.execute(_QUERY).fetchall()
    return Catalog(tables=tuple(Table.model_validate(row) for row in rows))
