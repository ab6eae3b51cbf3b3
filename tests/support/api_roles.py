"""Roles as PostgREST uses them. Roles belong to the whole cluster, so each test has its own names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql


@contextmanager
def lend_roles(conn: psycopg.Connection[Any], names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Make a role for each name; yields their real names. ``service_role`` bypasses row security."""
    tag = uuid.uuid4().hex[:8]
    roles = {name: f"{name}_{tag}" for name in names}
    for name, role in roles.items():
        bypass = sql.SQL("BYPASSRLS" if name == "service_role" else "NOBYPASSRLS")
        conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN {}").format(sql.Identifier(role), bypass))
    try:
        yield roles
    finally:
        for identifier in map(sql.Identifier, roles.values()):
            conn.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(identifier))
