"""Runs statements in a transaction that is rolled back, and shows the messages that they would have sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import class_row, dict_row

from changelane.contract.manifest import Capture, Manifest
from changelane.contract.marker import parse_marker
from changelane.contract.sql_text import load_sql
from changelane.contract.statement import Statement
from changelane.diagnostic import locate
from changelane.errors import DatabaseError
from changelane.runner.live import statement_watchdog
from changelane.runner.live.confinement import confine_statements, find_might
from changelane.runner.live.pinned import PATH
from changelane.runner.live.queue_tables import Table

_PIN = f"SET LOCAL search_path = {PATH}".encode()
LOCK_TIMEOUT = 5.0
"""Seconds that a statement waits for a lock that another session holds."""

SPARE = 1.0
"""Seconds that the server has after ``statement_timeout`` to end a statement itself."""

_COUNTED = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
_WRONG = {
    "missing": "its trigger is missing",
    "D": "its trigger is disabled",
    "outdated": "the database runs another version of it",
}
_CHANGES = {"insert": "inserted", "update": "updated", "delete": "deleted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that would have been sent. ``key`` and ``body`` are JSON as text, so that numbers stay exact;
    ``size`` is the body's in bytes, ``delay`` in seconds until it can be read.

    ``route`` and ``op`` are None if SQL sent it by hand.
    """

    queue: str
    route: str | None
    op: str | None
    key: str | None
    size: int
    delay: float
    body: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentRoute:
    """A route on a written table that sent no message, and the reason."""

    route: str
    table: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """``commands`` are the command tags that Postgres returned. ``messages`` holds the first messages of each
    queue, ``total`` counts all.
    """

    commands: tuple[str, ...]
    messages: tuple[Message, ...]
    total: int
    silences: tuple[SilentRoute, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queue:
    name: str
    table: str
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    schema: str
    name: str
    exclusive: bool
    inserted: int
    updated: int
    deleted: int


def attempt(
    conn: psycopg.Connection[Any],
    statements: Sequence[Statement],
    manifest: Manifest,
    *,
    timeout: float,
    limit: int,
    confined: bool = False,
) -> Trial:
    """Run the statements, read the messages that they sent, and roll back.

    ``conn`` is in autocommit, has the session's own search_path, and is new: the statistics of an old session
    include earlier writes that it has not reported yet. ``timeout`` is in seconds for each statement. If
    ``confined``, it is the limit for all statements together. Then a role with too many rights for a stranger
    runs them with its rights on the captured tables only. ``limit`` messages of each queue are returned.
    Values drawn from sequences stay drawn. Raises DatabaseError for a statement that fails or a missing pgmq,
    ChangelaneError if they take longer or cannot be confined.
    """
    with conn.transaction(force_rollback=True):
        milliseconds = {"timeout": int(timeout * 1000), "lock_timeout": int(LOCK_TIMEOUT * 1000)}
        conn.execute(load_sql(__name__, "trial/open"), milliseconds)
        path = conn.execute("SELECT pg_catalog.current_setting('search_path')").fetchone()
        conn.execute(_PIN)
        if conn.execute("SELECT to_regclass('pgmq.meta')").fetchone() == (None,):
            raise DatabaseError("pgmq is not installed in the database", fix="run `changelane apply`")
        with conn.cursor(row_factory=class_row(_Queue)) as cursor:
            queues = cursor.execute(load_sql(__name__, "trial/queues")).fetchall()
        call = None
        if confined and find_might(conn):
            call = confine_statements(conn, {capture.identity for capture in manifest.captures})
        conn.execute("SELECT pg_catalog.set_config('search_path', %s, true)", path)
        if call is not None:
            commands = _run_confined(conn, call, statements, timeout=timeout)
        else:
            commands = tuple(_run(conn, statement, timeout=timeout) for statement in statements)
            _check_constraints(conn)
        # A statement may have changed to a role that cannot read the queues.
        conn.execute("RESET SESSION AUTHORIZATION")
        conn.execute("RESET ROLE")
        conn.execute(_PIN)
        with conn.cursor(row_factory=class_row(_Table)) as cursor:
            tables = cursor.execute(load_sql(__name__, "trial/touched")).fetchall()
        written = {table.name for table in tables if table.schema == "pgmq"}
        sent = [queue for queue in queues if queue.table in written]
        messages = tuple(message for queue in sent for message in _read_messages(conn, queue, limit=limit))
        counts = [count for queue in sent for count in _count(conn, queue)]
        silences = tuple(_explain(conn, manifest, tables, counts, commands=commands))
    return Trial(
        commands=commands,
        messages=messages,
        total=sum(count["count"] for count in counts),
        silences=silences,
    )


def _run(conn: psycopg.Connection[Any], statement: Statement, *, timeout: float) -> str:
    try:
        with statement_watchdog.limit(conn, seconds=timeout + SPARE, doing="the statement"):
            # The extended protocol takes one statement only.
            cursor = conn.execute(statement.text.encode(conn.info.encoding), prepare=False, binary=True)
    except psycopg.Error as error:
        raise _refuse(error, statement.text, error.diag.statement_position) from error
    return cursor.statusmessage or ""


def _run_confined(
    conn: psycopg.Connection[Any], call: sql.SQL, statements: Sequence[Statement], *, timeout: float
) -> tuple[str, ...]:
    """The command tag of each statement."""
    texts = [statement.text for statement in statements]
    try:
        with statement_watchdog.limit(conn, seconds=timeout + SPARE, doing="the statements"):
            row = conn.execute(call, {"statements": texts}, prepare=False).fetchone()
    except errors.InsufficientPrivilege as error:
        refused = _refuse(error, error.diag.internal_query or "", error.diag.internal_position)
        raise DatabaseError(
            refused.what,
            fix="the dashboard tries statements with rights on the captured tables and those of their "
            "owners; `changelane try` in a shell has the rights of its role",
        ) from error
    except psycopg.Error as error:
        raise _refuse(error, error.diag.internal_query or "", error.diag.internal_position) from error
    assert row is not None
    return tuple(
        f"{statement.command} {count}" if statement.command in _COUNTED else statement.command
        for statement, count in zip(statements, row[0], strict=True)
    )


def _check_constraints(conn: psycopg.Connection[Any]) -> None:
    try:
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        raise DatabaseError(f"at COMMIT: {error.diag.message_primary}", fix=_help(error)) from error


def _refuse(error: psycopg.Error, text: str, position: str | None) -> DatabaseError:
    message = error.diag.message_primary or " ".join(str(error).split())
    place = f" ({locate(text, int(position) - 1)})" if position and text else ""
    return DatabaseError(f"{message}{place}", fix=_help(error))


def _help(error: psycopg.Error) -> str:
    said = error.diag.message_hint or error.diag.message_detail or ""
    return "; ".join(part for part in (" ".join(said.split()).rstrip("."), "nothing was kept") if part)


def _read_messages(conn: psycopg.Connection[Any], queue: _Queue, *, limit: int) -> Iterator[Message]:
    query = _name("messages", queue)
    with conn.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(query, {"last": queue.last, "limit": limit}):
            yield Message(queue=queue.name, **row)


def _count(conn: psycopg.Connection[Any], queue: _Queue) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_name("counts", queue), {"last": queue.last}).fetchall()


def _explain(
    conn: psycopg.Connection[Any],
    manifest: Manifest,
    tables: Iterable[_Table],
    counts: Iterable[Mapping[str, Any]],
    *,
    commands: Sequence[str],
) -> Iterator[SilentRoute]:
    """The reasons why routes on the written tables sent nothing, as far as the database shows them."""
    touched = {(table.schema, table.name): table for table in tables}
    groups: dict[tuple[str, tuple[str, str]], list[Capture]] = {}
    for capture in manifest.captures:
        if capture.identity in touched:
            groups.setdefault((capture.route, capture.identity), []).append(capture)
    sent: dict[str, set[tuple[str, str]]] = {}
    for count in counts:
        sent.setdefault(count["route"] or "", set()).add((count["schema"], count["table"]))
    names = [capture.trigger_name for captures in groups.values() for capture in captures]
    live = {
        tuple(row[:3]): row[3:]
        for row in conn.execute(load_sql(__name__, "trial/triggers"), {"names": names})
    }
    settings = conn.execute(load_sql(__name__, "trial/session")).fetchone()
    assert settings is not None
    role, counted = settings
    truncated = any(command.startswith("TRUNCATE") for command in commands)
    for (route, identity), captures in groups.items():
        named = sent.get(route, set())
        # A message of an inheritance child names the declared parent, although the child was written.
        if identity in named or named - touched.keys():
            continue
        table = touched[identity]
        changes = {event: getattr(table, word) for event, word in _CHANGES.items()}
        changes["truncate"] = int(truncated and table.exclusive)
        states: dict[str, str] = {
            capture.event: _find_state(capture, live.get((capture.trigger_name, *capture.identity)))
            for capture in captures
        }
        why = _say_why(changes, states, role=role, counted=counted)
        yield SilentRoute(route=route, table=".".join(identity), why=why)


def _find_state(capture: Capture, live: tuple[str, str | None] | None) -> str:
    """``tgenabled`` of a trigger that is as generated, else ``missing`` or ``outdated``."""
    if live is None:
        return "missing"
    enabled, comment = live
    marker = parse_marker(comment)
    return enabled if marker and marker.spec == capture.spec else "outdated"


def _say_why(changes: Mapping[str, int], states: Mapping[str, str], *, role: str, counted: bool) -> str:
    """``changes`` counts rows by event. ``states`` are the triggers' states by event."""
    happened = {event for event, rows in changes.items() if rows}
    covered = happened & states.keys()
    if happened and not covered:
        return f"{_list(changes, happened)}; it captures {', '.join(sorted(states))}"
    concerned = covered or states.keys()
    for state, what in _WRONG.items():
        if any(states[event] == state for event in concerned):
            return f"{what}: run `changelane apply`"
    silent = "O" if role == "replica" else "R"
    if any(states[event] == silent for event in concerned):
        return f"its trigger does not fire while session_replication_role is {role}"
    if not counted:
        return "no row passed; track_counts is off, so how many changed is not known"
    if not happened:
        return "no row changed"
    return f"{_list(changes, covered)}; none passed {_filters(covered)}"


def _list(changes: Mapping[str, int], events: Iterable[str]) -> str:
    parts = []
    for event in sorted(events):
        rows = changes[event]
        noun = "row" if rows == 1 else "rows"
        parts.append("truncated" if event == "truncate" else f"{rows} {noun} {_CHANGES[event]}")
    return ", ".join(parts)


def _filters(events: Iterable[str]) -> str:
    update = "no column that counts changed, or " if "update" in events else ""
    return f"({update}`when` was not true)"


def _name(name: str, queue: _Queue) -> sql.Composed:
    return sql.SQL(load_sql(__name__, f"trial/{name}")).format(queue=Table(queue.table))
