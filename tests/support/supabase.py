"""A database like Supabase's: its roles and owners, and no superuser for apply.

Roles belong to the whole server, so each has a tag of its own behind Supabase's name.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from changelane.runner.live.database import connect

SETUP = (Path(__file__).parent / "supabase.sql").read_text()
ROLES = (
    "postgres", "supabase_auth_admin", "supabase_storage_admin", "authenticator", "anon", "authenticated",
    "service_role",
)  # fmt: skip


@dataclass(frozen=True)
class Project:
    """``admin`` is a superuser's connection, ``conn`` and ``url`` are those of the role ``postgres``."""

    admin: psycopg.Connection[Any]
    conn: psycopg.Connection[Any]
    url: str
    roles: dict[str, str]

    def fill(self, text: str) -> str:
        """``text`` with the names of this project's roles in place of ``{postgres}`` and so on."""
        for name, role in self.roles.items():
            text = text.replace("{" + name + "}", role)
        return text

    def run(self, text: str) -> None:
        """Run statements as the superuser."""
        self.admin.execute(self.fill(text).encode())

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        return self.admin.execute(self.fill(text).encode()).fetchall()


@contextmanager
def lend_project(database: str) -> Iterator[Project]:
    """Make a Supabase project of a database; pgmq, if it is there, becomes the role ``postgres``'s."""
    tag = uuid.uuid4().hex[:6]
    roles = {name: f"{name}_{tag}" for name in ROLES}
    url = make_conninfo(database, user=roles["postgres"])
    with connect(database) as admin:
        setup = SETUP
        for name, role in roles.items():
            setup = setup.replace("{" + name + "}", role)
        owned = sql.Identifier(str(conninfo_to_dict(database)["dbname"]))
        admin.execute(setup.encode())
        admin.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(owned, sql.Identifier(roles["postgres"]))
        )
        try:
            with connect(url) as conn:
                yield Project(admin, conn, url, roles)
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(owned))
            identifiers = [sql.Identifier(role) for role in roles.values()]
            for identifier in identifiers:
                admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(identifier))
            for identifier in identifiers:
                admin.execute(sql.SQL("DROP ROLE {}").format(identifier))
