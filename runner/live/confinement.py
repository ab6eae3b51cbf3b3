"""Runs SQL of a stranger with fewer rights than the session has.

A role that can do more than read and write its tables reaches past the database: to programs, files and other
sessions. SET ROLE is no protection, because the stranger's SQL can reset it. Within a SECURITY DEFINER
function it cannot: InLocalUserIdChange in src/backend/utils/misc/guc.c. So the SQL runs in a function whose
owner exists only in this transaction, which the caller rolls back.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import class_row

from changelane.contract.sql_text import load_sql
from changelane.errors import ChangelaneError

_WAYS = "run it in a shell, or let the dashboard connect as a role without these rights"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    schema: str
    name: str
    owner: str
    sequences: list[list[str]]

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


def find_might(conn: psycopg.Connection[Any], role: str | None = None) -> str:
    """The power that makes a role too strong for a stranger's SQL, or empty. ``role`` None is the session's
    role.
    """
    values = {"role": role or _ask(conn, "SELECT current_user::text")}
    row = conn.execute(load_sql(__name__, "confinement/might"), values).fetchone()
    assert row is not None
    return str(row[0])


def confine_where(conn: psycopg.Connection[Any], where: str) -> sql.SQL:
    """A call that evaluates an expression over a message without any rights.

    Raises ChangelaneError if the session may not confine it, psycopg.Error for text that is not an
    expression.
    """
    role = _create_role(conn)
    text = load_sql(__name__, "confinement/where")
    # Try it in square brackets first: text that closes the parenthesis early would have to close these, too.
    for form in ("BEGIN RETURN (ARRAY[\n{}\n])[1]; END", "BEGIN RETURN (\n{}\n) IS TRUE; END"):
        body = "#variable_conflict use_variable\n" + form.replace("{}", where)
        conn.execute(sql.SQL(text).format(body=sql.Literal(body)))
    _give(conn, "changelane_where(jsonb, jsonb, bigint, timestamptz)", role)
    return sql.SQL("pg_temp.changelane_where(message, headers, msg_id, enqueued_at)")


def confine_statements(conn: psycopg.Connection[Any], tables: Iterable[tuple[str, str]]) -> sql.SQL:
    """A call that runs statements with the rights of the tables' owners, or else with the rights on the
    tables only.

    Raises ChangelaneError if the session may not confine them.
    """
    role = _create_role(conn)
    if _ask(conn, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"):
        # Row security does not restrict a superuser, so it must not restrict the tried statements either.
        conn.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(role))
    schemas, names = zip(*tables, strict=True) if (tables := list(tables)) else ((), ())
    values = {"schemas": list(schemas), "names": list(names)}
    with conn.cursor(row_factory=class_row(_Table)) as cursor:
        found = cursor.execute(load_sql(__name__, "confinement/tables"), values).fetchall()
    for table in found:
        _grant(conn, table, role)
    conn.execute(load_sql(__name__, "confinement/statements"))
    _give(conn, "changelane_statements(text[])", role)
    return sql.SQL("SELECT pg_temp.changelane_statements(%(statements)s::text[])")


def _create_role(conn: psycopg.Connection[Any]) -> sql.Identifier:
    name = f"changelane_confined_{secrets.token_hex(8)}"
    role = sql.Identifier(name)
    try:
        with conn.transaction():
            conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
            # Only members of a role can make it the owner of a function; superusers need no membership.
            conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
        might = find_might(conn)
        raise ChangelaneError(
            f"the dashboard's role has rights that an expression or a statement could abuse ({might}), and "
            f"cannot make a weaker one: {error.diag.message_primary}",
            fix=_WAYS,
        ) from None
    return role


def _give(conn: psycopg.Connection[Any], function: str, role: sql.Identifier) -> None:
    conn.execute(sql.SQL("ALTER FUNCTION pg_temp.{} OWNER TO {}").format(sql.SQL(function), role))


def _grant(conn: psycopg.Connection[Any], table: _Table, role: sql.Identifier) -> None:
    """Grant the rights on a table as far as the session can. A statement that lacks one fails with an
    error.
    """
    if not find_might(conn, table.owner):
        try:
            with conn.transaction():
                conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(table.owner), role))
        except (errors.InsufficientPrivilege, errors.InvalidGrantOperation):
            pass
        else:
            return
    grants = [
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(table.schema), role),
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON {} TO {}").format(table.identifier, role),
        *(
            sql.SQL("GRANT USAGE, SELECT ON SEQUENCE {} TO {}").format(sql.Identifier(*sequence), role)
            for sequence in table.sequences
        ),
    ]
    for grant in grants:
        try:
            with conn.transaction():
                conn.execute(grant)
        except errors.InsufficientPrivilege:
            continue


def _ask(conn: psycopg.Connection[Any], query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
