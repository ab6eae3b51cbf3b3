"""Finds rights that a role lacks to see and use queues, and the GRANTs that give them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.access import OPTIONAL_COLUMN, Operation, find_functions, find_rights
from changelane.contract.manifest import Queue
from changelane.contract.queue_name import archive_table, queue_table
from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError

_LACKS = load_sql(__name__, "lacks")
_HIDING = load_sql(__name__, "hiding")
_ABSENT = load_sql(__name__, "absent")
_PLAIN = re.compile("[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Need:
    """A privilege on a table, or on one ``column`` of it; or EXECUTE on the functions of a name."""

    schema: str
    relation: str
    privilege: str
    column: str = ""


LISTING = (Need("pgmq", "meta", "SELECT"),)
"""The right to list queues."""

_TASKS: dict[str, tuple[Operation, ...]] = {
    "send": ("send",), "purge": ("read", "delete"), "unblock": ("read", "delete"), "replay": ("send",),
    "dead-letter discard": ("read", "delete"),
}  # fmt: skip
"""Commands to the operations on a queue that they need; other commands only read."""


def need_queue(
    queue: str,
    allow: Collection[Operation] = (),
    *,
    reads: bool = True,
    keeps: bool = False,
    calls: bool = True,
) -> list[Need]:
    """The rights to read messages, unless ``reads`` is False; to do the operations in ``allow``, with pgmq's
    functions if ``calls``; and, with ``keeps``, to archive.
    """
    needs = [Need("pgmq", queue_table(queue), "SELECT")] if reads else []
    operations = {*allow, *(("archive",) if keeps else ())}
    needs += [
        Need(
            "pgmq",
            queue_table(queue) if right.place == "queue" else archive_table(queue),
            right.privilege,
            right.column,
        )
        for right in find_rights(operations, columns=(OPTIONAL_COLUMN,))
        if right.place == "queue" or keeps
    ]
    if allow and calls:
        needs += [Need("pgmq", name, "EXECUTE") for name in find_functions(allow)]
    return needs


def need_command(doing: str, queue: str) -> list[Need]:
    """The rights on a queue that the command ``doing`` needs."""
    needs = [*LISTING, *need_queue(queue, _TASKS.get(doing, ()), reads=doing != "send")]
    if doing in ("peek", "replay"):
        needs.append(Need("pgmq", archive_table(queue), "SELECT"))
    if doing == "replay":
        privileges = ("SELECT", "INSERT", "UPDATE", "DELETE")
        needs += [Need("changelane", "progress", privilege) for privilege in privileges]
    if doing == "unblock":
        needs.append(Need("pgmq", queue_table(queue), "UPDATE", "headers"))
    if doing in ("pause", "resume"):
        return [*LISTING, Need("changelane", doing, "EXECUTE")]
    return needs


def need_maintaining(queue: Queue) -> list[Need]:
    """The rights on a queue that `maintain` needs."""
    tables = [archive_table(queue.name)] if queue.archive or queue.partition else []
    if queue.dead_letter and queue.dead_letters and queue.dead_letters.keep:
        tables.append(queue_table(queue.dead_letter))
    return [*LISTING, *(need for table in tables for need in need_pruning(table))]


def need_pruning(table: str) -> list[Need]:
    """The rights to delete old rows from a table of pgmq."""
    return [Need("pgmq", table, privilege) for privilege in ("SELECT", "DELETE")]


def find_lacks(conn: psycopg.Connection[Any], needs: Iterable[Need]) -> list[str]:
    """GRANTs for those of ``needs`` that the session's role lacks.

    ``conn`` is in autocommit, or in a transaction without error. Raises psycopg.Error.
    """
    role = read_role(conn)
    return _spell(_read_lacks(conn, needs, holder=role), role=role)


def list_grants(conn: psycopg.Connection[Any], needs: Iterable[Need], *, role: str) -> list[str]:
    """GRANTs that give ``role`` all of ``needs`` that PUBLIC does not have. The role need not exist yet.

    ``conn`` is in autocommit. Raises psycopg.Error.
    """
    return _spell(_read_lacks(conn, needs, holder="public"), role=role)


def _read_lacks(
    conn: psycopg.Connection[Any], needs: Iterable[Need], *, holder: str
) -> list[tuple[str, str, str, str]]:
    needs = list(dict.fromkeys(needs))
    values = {
        "role": holder,
        "schemas": [need.schema for need in needs],
        "relations": [need.relation for need in needs],
        "privileges": [need.privilege for need in needs],
        "columns": [need.column for need in needs],
    }
    return conn.execute(_LACKS, values).fetchall()


def explain_lack(
    conn: psycopg.Connection[Any], error: psycopg.Error, *, doing: str, needs: Sequence[Need]
) -> DatabaseError | None:
    """The error for a role that lacks a right, with the GRANTs of all ``needs``; None if it lacks no right.
    ``conn`` is in autocommit. Raises psycopg.Error.

    The error tells a missing queue from one that the role may not see.
    """
    role, message = read_role(conn), error.diag.message_primary or ""
    named = [need.relation[2:] for need in needs if need.relation[:2] in ("q_", "a_")]
    gone = find_absent(conn, list(dict.fromkeys(named)))
    lacks = find_lacks(conn, needs)
    if gone and lacks:
        return DatabaseError(
            f"{doing}: queue {', '.join(dict.fromkeys(gone))} does not exist",
            fix=f"for role {role} to see those that do: {'; '.join(lacks)}",
        )
    if lacks:
        return DatabaseError(
            f"{doing}: {message}: it is there, and not visible to role {role}", fix="; ".join(lacks)
        )
    if "row-level security" in message:
        return DatabaseError(
            f"{doing}: {message}, as role {role}",
            fix="declare what the role may do under the queue's `access`, then generate and apply",
        )
    return None


def find_absent(conn: psycopg.Connection[Any], queues: Sequence[str]) -> list[str]:
    """The queues that have no table. Raises psycopg.Error."""
    tables = {queue_table(queue): queue for queue in queues}
    return [tables[name] for (name,) in conn.execute(_ABSENT, {"relations": list(tables)}).fetchall()]


def find_hidden(conn: psycopg.Connection[Any], queues: Sequence[str]) -> list[str]:
    """The queues whose row security shows the session's role no message. Raises psycopg.Error."""
    tables = {queue_table(queue): queue for queue in queues}
    return [tables[name] for (name,) in conn.execute(_HIDING, {"tables": list(tables)}).fetchall()]


def read_role(conn: psycopg.Connection[Any]) -> str:
    """The session's role. Raises psycopg.Error."""
    row = conn.execute("SELECT current_user::text").fetchone()
    return str(row[0]) if row else ""


def _spell(rows: Sequence[tuple[str, str, str, str]], *, role: str) -> list[str]:
    """One GRANT for each object, its privileges and columns in the order of the rows."""
    places: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    whole = {row[:3] for row in rows if not row[3]}
    for schema, relation, privilege, column in rows:
        if column and (schema, relation, privilege) in whole:
            continue
        kind = "FUNCTION " if privilege == "EXECUTE" else "" if relation else "SCHEMA "
        if relation and privilege == "USAGE":
            kind = "SEQUENCE "
        privileges = places.setdefault((kind, schema, relation), {})
        privileges.setdefault(privilege, []).extend([column] if column else [])
    grants = []
    for (kind, schema, relation), privileges in places.items():
        parts = [
            privilege + (f" ({', '.join(map(_quote, sorted(columns)))})" if columns else "")
            for privilege, columns in sorted(privileges.items())
        ]
        # The server has quoted this function and its arguments already.
        names = [relation] if kind == "FUNCTION " else [_quote(name) for name in (schema, relation) if name]
        place = ".".join(names)
        grants.append(f"GRANT {', '.join(parts)} ON {kind}{place} TO {sql.Identifier(role).as_string()}")
    return grants


def _quote(name: str) -> str:
    """A name in pgmq, quoted only if it needs quotes."""
    return name if _PLAIN.fullmatch(name) else sql.Identifier(name).as_string()
