"""Live schema -> Catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from changelane.catalog import Catalog, Table
from changelane.runner.session import snapshot

_QUERY = (Path(__file__).parent / "sql" / "inspect.sql").read_text()


def inspect(conn: psycopg.Connection[Any]) -> Catalog:
    """Read every table, view and foreign table outside system schemas, in one snapshot."""
    with snapshot(conn), conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERY).fetchall()
    return Catalog(tables=tuple(Table.model_validate(row) for row in rows))
