"""Prunes the rows of an outbox table that were relayed.

The archive of the queue is the proof: the worker moves a message there once the engine has confirmed it. A
row without a message in the archive stays, whatever the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from changelane.contract.access import works
from changelane.contract.manifest import Capture, Consumer, Manifest, Queue
from changelane.contract.queue_name import archive_table
from changelane.contract.sql_text import load_sql
from changelane.contract.units import spell_interval
from changelane.errors import ChangelaneError, DatabaseError, LockNotObtained, ManifestError, ProblemsError
from changelane.runner.live.lock_wait import GONE, WaitLimit, find_blockers
from changelane.runner.live.missing_rights import Need
from changelane.runner.live.queue_tables import name_archive
from changelane.runner.operate.maintain import NEWS
from changelane.suggestion import suggest
from changelane.text import spell, spell_names

BATCH = 1000
"""Messages of the archive that one transaction looks at, so the most rows that it deletes."""

_TABLE = load_sql(__name__, "outbox/table")
_PRUNE = sql.SQL(load_sql(__name__, "outbox/prune"))
_OPENING = load_sql(__name__, "outbox/opening")

Table = tuple[str, str]
Position = tuple[str, int]
"""The time and the id of an archived message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """The tables of a route, and the queue whose relay has the format ``outbox``."""

    route: str
    tables: tuple[Table, ...]
    queue: str

    @property
    def needs(self) -> list[Need]:
        """The rights that pruning needs."""
        needs = [Need(*table, privilege) for table in self.tables for privilege in ("SELECT", "DELETE")]
        return [Need("pgmq", archive_table(self.queue), "SELECT"), *needs]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedTable:
    """``pruned`` counts the rows deleted from ``table``."""

    table: str
    pruned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyColumn:
    """A column of the primary key, with the schema and the name of the operator that its index knows."""

    column: str
    type: str
    operator: tuple[str, str]


def find_outbox(manifest: Manifest, route: str, *, keep: float) -> Outbox:
    """The outbox that ``route`` captures, with rows to keep for ``keep`` seconds after they were relayed.

    Raises ManifestError for an unknown route, and ProblemsError with each reason for which the archive would
    not prove that a row was relayed, or rows would not be the only thing that a delete changes.
    """
    captures = [capture for capture in manifest.captures if capture.route == route]
    if not captures:
        names = sorted({capture.route for capture in manifest.captures})
        raise ManifestError(
            f"no route is called {route}",
            fix=suggest(route, names, otherwise=f"the routes are: {', '.join(names)}"),
        )
    sent_to = {queue for capture in captures if capture.event == "insert" for queue in capture.queues}
    relays = [
        consumer
        for consumer in manifest.consumers
        if consumer.queue in sent_to and consumer.relay and consumer.relay.format == "outbox"
    ]
    if len(relays) != 1:
        count = "several relays" if relays else "no relay"
        named = f": {', '.join(sorted(relay.queue for relay in relays))}" if relays else ""
        raise ManifestError(
            f"route {route} has inserted rows sent to {count} of `format: outbox`{named}",
            fix="a row can be pruned where one such relay sends it; delete rows of this route by hand",
        )
    tables = tuple(dict.fromkeys(capture.identity for capture in captures))
    problems = [*_check_archive(manifest, relays[0], keep=keep), *_check_captures(manifest, tables, route)]
    if problems:
        raise ProblemsError(f"rows of route {route} cannot be pruned", problems)
    return Outbox(route=route, tables=tables, queue=relays[0].queue)


def prune_outbox(
    conn: psycopg.Connection[Any],
    outbox: Outbox,
    *,
    keep: float,
    max_wait: float,
    notify: Callable[[str], None],
    batch: int = BATCH,
) -> Iterator[PrunedTable]:
    """Delete the rows whose messages were archived more than ``keep`` seconds ago; yields after each table.

    Each batch is a transaction of its own. ``conn`` is in autocommit. ``max_wait`` is in seconds, for each
    batch. Raises LockNotObtained, psycopg.Error, and DatabaseError for a table whose rows cannot be told
    apart.
    """
    for table in outbox.tables:
        key, whole = _read_table(conn, table)
        done, after, news = 0, ("-infinity", 0), time.monotonic() + NEWS
        lacking = 0
        while True:
            statement = _compose(outbox, table, key, whole=whole, keep=keep, after=after, limit=batch)
            found = _execute(conn, statement, table=table, max_wait=max_wait, notify=notify)
            if found is None:
                break
            done, lacking, after = done + found[0], lacking + found[1], (found[2], found[3])
            if time.monotonic() > news:
                notify(f"{spell(table)}: {done:,} relayed rows pruned so far")
                news = time.monotonic() + NEWS
        yield PrunedTable(table=spell(table), pruned=done)
        if lacking:
            columns = spell_names(part.column for part in key)
            raise DatabaseError(
                f"{lacking:,} archived messages of {spell(table)} have no {columns}, its primary key, so "
                "their rows stay",
                fix=f"send {columns} in the payload of route {outbox.route}",
            )


def _check_archive(manifest: Manifest, consumer: Consumer, *, keep: float) -> Iterator[ChangelaneError]:
    name = consumer.queue
    queue = next((queue for queue in manifest.queues if queue.name == name), None)
    if consumer.archive is None or queue is None:
        yield ManifestError(
            f"queue {name} keeps no archive, and nothing else shows which rows were relayed",
            fix=f"add `archive: {{keep: 2 days}}` to queue {name}, longer than --keep; generate and apply",
        )
    elif keep >= (longest := _find_longest(queue, consumer.archive.keep)):
        yield ManifestError(
            f"--keep is not shorter than the {spell_interval(longest)} for which queue {name} keeps its "
            "archive, which shows which rows were relayed",
            fix="give a shorter --keep, or keep the archive for longer",
        )
    if consumer.on_exhausted == "archive":
        yield ManifestError(
            f"queue {name} has `on_exhausted: archive`, so its archive also holds what was not relayed",
            fix="write `on_exhausted: dead_letter`, and prune once what failed has left the archive",
        )
    for access in manifest.access:
        if access.queue == name and "archive" in access.allow and not works(access.allow):
            yield ManifestError(
                f"role {access.declared} may archive messages of queue {name} that were not relayed",
                fix=f"take archive from its `access` to queue {name}",
            )


def _find_longest(queue: Queue, keep: int) -> int:
    """Seconds after which messages leave the archive."""
    return queue.partition.retain if queue.partition else keep


def _check_captures(manifest: Manifest, tables: tuple[Table, ...], route: str) -> Iterator[ChangelaneError]:
    keys = {table.identity: table.primary_key for table in manifest.tables}
    for capture in manifest.captures:
        if capture.identity not in tables:
            continue
        if capture.event == "delete":
            yield ManifestError(
                f"route {capture.route} captures deletes of {spell(capture.identity)}, so each pruned row "
                "would be a message",
                fix=f"take `delete` out of the events of {capture.route}; generate and apply",
            )
        if capture.route == route and capture.event == "insert":
            yield from _check_mask(capture, keys.get(capture.identity, ()))


def _check_mask(capture: Capture, key: tuple[str, ...]) -> Iterator[ChangelaneError]:
    for column in capture.masked:
        if column in key:
            yield ManifestError(
                f"route {capture.route} masks {column}, of the primary key of {spell(capture.identity)}, so "
                "its messages do not say which row they are of",
                fix=f"take {column} from `payload.mask` of {capture.route}; generate and apply",
            )


def _read_table(conn: psycopg.Connection[Any], table: Table) -> tuple[list[_KeyColumn], bool]:
    """The primary key, and whether the table's rows are in its partitions. Raises DatabaseError."""
    with conn.transaction():
        # Types and operators are spelled for the search path of the statement that takes them.
        conn.execute(_OPENING)
        row = conn.execute(_TABLE, {"schema": table[0], "name": table[1]}).fetchone()
    if row is None:
        raise DatabaseError(
            f"table {spell(table)} does not exist", fix="run `changelane inspect` and generate"
        )
    partitioned, inherited, columns, reached = row
    if not columns:
        raise DatabaseError(
            f"{spell(table)} has no primary key, so no message says which row it is of", fix="add one"
        )
    if inherited:
        raise DatabaseError(
            f"other tables inherit from {spell(table)}, and a message does not say which one its row is in",
            fix="partition the table instead, or delete its rows by hand",
        )
    if reached:
        raise DatabaseError(
            f"deleted rows of {spell(table)} would change {', '.join(reached)}, by a foreign key",
            fix="let the foreign key have no ON DELETE action, or delete the rows by hand",
        )
    return [
        _KeyColumn(column=name, type=kind, operator=(where, sign)) for name, kind, where, sign in columns
    ], bool(partitioned)


def _compose(
    outbox: Outbox,
    table: Table,
    key: list[_KeyColumn],
    *,
    whole: bool,
    keep: float,
    after: Position,
    limit: int,
) -> sql.Composed:
    comma = sql.SQL(", ")
    pair = sql.SQL("{0}, coalesce(message->'new'->{0}, message->'key'->{0})")
    same = sql.SQL("{} OPERATOR({}.{}) {}")
    return _PRUNE.format(
        route=sql.Literal(outbox.route),
        schema=sql.Literal(table[0]),
        name=sql.Literal(table[1]),
        table=sql.SQL("{} {}").format(sql.SQL("" if whole else "ONLY"), sql.Identifier(*table)),
        archive=name_archive(outbox.queue),
        keep=sql.Literal(keep),
        time=sql.Literal(after[0]),
        msg_id=sql.Literal(after[1]),
        limit=sql.Literal(limit),
        pairs=comma.join(pair.format(sql.Literal(part.column)) for part in key),
        definition=comma.join(
            # The server has spelled the type.
            sql.SQL("{} {}").format(sql.Identifier(part.column), sql.SQL(part.type))
            for part in key
        ),
        same=sql.SQL(" AND ").join(
            same.format(
                sql.Identifier("outbox", part.column),
                sql.SQL(part.operator[0]),
                sql.SQL(part.operator[1]),
                sql.Identifier("relayed", part.column),
            )
            for part in key
        ),
        lacking=sql.SQL(" OR ").join(
            sql.SQL("{} IS NULL").format(sql.Identifier("relayed", part.column)) for part in key
        ),
    )


def _execute(
    conn: psycopg.Connection[Any],
    statement: sql.Composed,
    *,
    table: Table,
    max_wait: float,
    notify: Callable[[str], None],
) -> tuple[Any, ...] | None:
    wait_limit = WaitLimit(max_wait)
    while True:
        try:
            with conn.transaction():
                conn.execute(_OPENING)
                return conn.execute(statement).fetchone()
        except errors.DeadlockDetected:
            holders = GONE
        except errors.LockNotAvailable:
            holders = find_blockers(conn, table=table, exclusive=True) or GONE
        if not wait_limit.wait():
            raise LockNotObtained(
                f"rows of {spell(table)} were locked for {max_wait:g} s, by {holders}",
                fix="the pruned rows stay pruned; run again, or wait longer with --max-wait",
            )
        notify(f"waiting for rows of {spell(table)}, locked by {holders}")
