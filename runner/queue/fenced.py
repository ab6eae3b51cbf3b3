"""The statements over one queue's tables: claim, ack, postpone, renew, dead-letter, archive.

Every write but the claim is fenced by ``read_ct``: pgmq's own functions take a ``msg_id`` alone, and so let a
worker whose lease lapsed delete or extend what another worker holds by then.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor, Error, sql
from psycopg.rows import tuple_row

from changelane.errors import DatabaseError
from changelane.runner.live.sql_text import load_sql
from changelane.runner.queue.delivery import Delivery, read_delivery
from changelane.runner.queue.unreadable import explain_unreadable, fetch, is_unreadable

_TEXTS = ("message", "headers")

FEW = 8
"""Messages of a claim that reads them one by one, at most: each may take the server seconds."""

BEGINNING = "-infinity"
WHOLE = 1.0
"""Seconds after which a claim looks from the beginning again: a message may have been committed late."""

SHARE = 20.0
"""Or so many times what that look took, where many dead rows are in its way."""


class Queue:
    """One queue. ``columns`` are those that its queue and archive tables share, in table order; ``keeps``: an
    ack moves the message to the archive, which may be ``partitioned``; ``dated``: claims bring what
    ``Message.enqueued_at`` takes. ``next_at`` is when another claim may
    bring more than the last one, on the monotonic clock; infinite where nothing but a new message will.

    pgmq's tables differ between versions (``last_read_at`` came with 1.10), so columns go by name, and only
    those are named that are there.
    """

    ordered = False

    def __init__(
        self,
        *,
        name: str,
        dead_letter: str,
        columns: Sequence[str],
        keeps: bool = False,
        partitioned: bool = False,
        dated: bool = False,
    ) -> None:
        self.name = name
        self.next_at = 0.0
        self._since = BEGINNING
        self._whole_at = 0.0
        self.dead_letter = dead_letter
        self.table = sql.Identifier("pgmq", f"q_{name}")
        touch = sql.SQL(load_sql(__name__, "touch") if "last_read_at" in columns else "")
        self._dates = ["held.enqueued_at::text"] if dated else []
        self._columns = columns
        self._keeps = keeps
        self._partitioned = partitioned
        claimed = sql.SQL(load_sql(__name__, "claimed"))
        self._claims = self._compose_claims("claim", touch=touch, claimed=claimed)
        self._read = {name: self._compose("read", column=sql.Identifier(name)) for name in _TEXTS}
        self._ack = self._compose_ack("ack")
        # With %d, for its values become part of the text.
        self._ack_one = self._compose_ack("ack_one").replace(b"%s", b"%d")
        self._restore = load_sql(__name__, "restore").encode()
        self._postpone = self._compose("postpone")
        self._renew = self._compose("renew")
        self._dead_letter = self._compose("dead_letter")
        self._archive = self._compose("archive", **self._name_archive())

    def _compose(self, statement: str, **parts: sql.Composable) -> bytes:
        # Rendered once: the driver would render a composed statement anew at each call.
        return sql.SQL(load_sql(__name__, statement)).format(queue=self.table, **parts).as_bytes()

    def _compose_claims(self, statement: str, **parts: sql.Composable) -> tuple[bytes, bytes]:
        """The claim that brings messages, and the one that brings their ids only."""
        with_texts, bare = (
            self._compose(statement, texts=sql.SQL(", ").join(map(sql.SQL, form)), **parts)
            for form in (
                [*(f"held.{name}::text AS {name}" for name in _TEXTS), *self._dates],
                [*(f"NULL AS {name}" for name in _TEXTS), *self._dates],
            )
        )
        return with_texts, bare

    def _compose_ack(self, statement: str) -> bytes:
        if not self._keeps:
            return self._compose(statement, returned=sql.SQL("held.msg_id"))
        columns = sql.SQL(", ").join(sql.Identifier("held", column) for column in self._columns)
        ack = sql.SQL(load_sql(__name__, statement)).format(queue=self.table, returned=columns)
        return self._compose("keep", ack=ack, **self._name_archive())

    def _name_archive(self) -> dict[str, sql.Composable]:
        archive = sql.Identifier("pgmq", f"a_{self.name}")
        # A partitioned archive takes an id twice, and has no index by which to find it.
        fresh = name_fresh(self._columns, archive=None if self._partitioned else archive)
        columns = sql.SQL(", ").join(map(sql.Identifier, self._columns))
        return {"archive": archive, "columns": columns, "fresh": fresh}

    def note_settled(self, delivery: Delivery, *, after: float = 0.0) -> None:
        """It is out of the way, or due again in so many seconds. From any thread."""

    def claim(self, connection: Connection[Any], *, limit: int, lease: float) -> list[Delivery]:
        """Take up to ``limit`` due messages for ``lease`` seconds, in the order of their ids.

        A claim goes on from the last one, and looks from the beginning where that is not enough, and every
        WHOLE seconds.
        """
        began = time.monotonic()
        on = self._since != BEGINNING and began < self._whole_at
        rows = self._take(connection, limit=limit, lease=lease) if on else []
        if len(rows) < limit:
            self._since = BEGINNING
            rows += self._take(connection, limit=limit - len(rows), lease=lease)
            now = time.monotonic()
            self._whole_at = now + max(WHOLE, SHARE * (now - began))
        self.next_at = 0.0 if len(rows) == limit else inf
        return read_rows([row[:-1] for row in rows], queue=self.name, leased_until=began + lease)

    def _take(self, connection: Connection[Any], *, limit: int, lease: float) -> list[tuple[Any, ...]]:
        values = {"limit": limit, "lease": lease, "since": self._since}
        # Never prepared: a generic plan, made while the queue was small or full, would outlive that.
        rows, complete = self._run(connection, self._claims, values)
        self._since = rows[0][-1] if rows else BEGINNING
        return rows if complete else [self._read_each(connection, row) for row in rows]

    def _run(
        self, connection: Connection[Any], claims: tuple[bytes, bytes], values: dict[str, Any]
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """Rows of a claim, and whether they hold the messages: they do not where one of these cannot be read.

        Then only FEW are claimed, to be read one by one while their leases last.
        """
        try:
            return fetch(connection.execute(claims[0], values, prepare=False)), True
        except Error as error:
            if not is_unreadable(error):
                raise
        values = {**values, "limit": min(FEW, values["limit"])}
        return connection.execute(claims[1], values, prepare=False).fetchall(), False

    def _read_each(self, connection: Connection[Any], row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row of a bare claim with its texts, Unreadable for what cannot be read."""
        msg_id, read_ct, *_ = row
        texts = [self._read_one(connection, name, msg_id, read_ct) for name in _TEXTS]
        return msg_id, read_ct, *texts, *row[2 + len(_TEXTS) :]

    def _read_one(self, connection: Connection[Any], name: str, msg_id: int, read_ct: int) -> Any:
        values = {"msg_id": msg_id, "read_ct": read_ct}
        try:
            rows = fetch(connection.execute(self._read[name], values, prepare=False))
        except Error as error:
            if not is_unreadable(error):
                raise
            return explain_unreadable(error)
        return rows[0][0] if rows else None

    def ack(self, connection: Connection[Any], deliveries: Sequence[Delivery]) -> set[int]:
        """Delete, or archive, those still held; returns their ids."""
        return _ids(connection.execute(self._ack, pair(deliveries), prepare=False))

    def ack_within(
        self, connection: Connection[Any], deliveries: Collection[Delivery], *, clean: bool = False
    ) -> int:
        """As ``ack``, in the connection's open transaction; returns how many were still held.

        First of all, role and settings become those of the session again, whatever a handler made of them,
        unless the transaction is ``clean``: nothing ran in it.
        """
        cursor = Cursor(connection, row_factory=tuple_row)
        cursor.execute(self._spell_ack(deliveries, clean=clean), prepare=False)
        while cursor.nextset():
            pass
        return cursor.rowcount

    async def ack_within_async(
        self, connection: AsyncConnection[Any], deliveries: Collection[Delivery], *, clean: bool = False
    ) -> int:
        """As ``ack_within``, for an async connection."""
        cursor = AsyncCursor(connection, row_factory=tuple_row)
        await cursor.execute(self._spell_ack(deliveries, clean=clean), prepare=False)
        while cursor.nextset():
            pass
        return cursor.rowcount

    def _spell_ack(self, deliveries: Collection[Delivery], *, clean: bool) -> bytes:
        """Several statements in one round trip, which takes numbers in their text."""
        restore = b"" if clean else self._restore
        if len(deliveries) == 1:
            (only,) = deliveries
            return restore + self._ack_one % (only.msg_id, only.read_ct)
        values = {name.encode(): f"'{array}'".encode() for name, array in pair(deliveries).items()}
        return restore + self._ack % values

    def renew(self, connection: Connection[Any], deliveries: Sequence[Delivery], *, lease: float) -> set[int]:
        """Extend the leases; returns the ids of those still held."""
        return _ids(connection.execute(self._renew, {**pair(deliveries), "lease": lease}, prepare=False))

    def postpone(
        self, connection: Connection[Any], entries: Sequence[tuple[Delivery, float, str]]
    ) -> set[int]:
        """Make each message due in so many seconds, with these notes (JSON text); returns ids still held."""
        values = pair([delivery for delivery, _, _ in entries])
        values["delays"] = [delay for _, delay, _ in entries]
        values["notes"] = [_spell(notes, connection) for _, _, notes in entries]
        return _ids(connection.execute(self._postpone, values, prepare=False))

    def bury(self, connection: Connection[Any], delivery: Delivery, *, notes: dict[str, Any]) -> bool:
        """Move the message to the dead-letter queue; False when it is another's by now."""
        notes = {"queue": self.name, "msg_id": delivery.msg_id, **notes}
        values = {
            "msg_id": delivery.msg_id,
            "read_ct": delivery.read_ct,
            "dead_letter": self.dead_letter,
            "notes": _spell(json.dumps(notes), connection),
        }
        return connection.execute(self._dead_letter, values, prepare=False).rowcount == 1

    def archive(self, connection: Connection[Any], delivery: Delivery) -> bool:
        """Move the message to the queue's archive; False when it is another's by now."""
        values = {"msg_id": delivery.msg_id, "read_ct": delivery.read_ct}
        return connection.execute(self._archive, values, prepare=False).rowcount == 1


def name_fresh(columns: Sequence[str], *, archive: sql.Identifier | None) -> sql.Composable:
    """The columns of rows ``moved`` as the archive takes them: an id that it has already becomes another."""
    names: list[sql.Composable] = [sql.Identifier("moved", column) for column in columns]
    if archive is not None:
        names[columns.index("msg_id")] = sql.SQL(load_sql(__name__, "fresh")).format(archive=archive)
    return sql.SQL(", ").join(names)


def read_rows(rows: list[tuple[Any, ...]], *, queue: str, leased_until: float) -> list[Delivery]:
    """Claimed rows as deliveries, in the order of their ids.

    ``leased_until`` is reckoned from before the claim, so that the worker's idea of its lease ends first.
    """
    return [
        read_delivery(
            queue=queue,
            msg_id=msg_id,
            read_ct=read_ct,
            message=message,
            headers=headers,
            leased_until=leased_until,
            enqueued_at=dates[0] if dates else None,
        )
        for msg_id, read_ct, message, headers, *dates in sorted(rows)
    ]


def pair(deliveries: Collection[Delivery]) -> dict[str, Any]:
    """Their ids and fencing tokens, as texts of arrays: the driver takes long over lists."""
    return {
        "msg_ids": f"{{{','.join([str(delivery.msg_id) for delivery in deliveries])}}}",
        "read_cts": f"{{{','.join([str(delivery.read_ct) for delivery in deliveries])}}}",
    }


_ESCAPE = re.compile(r"(\\\\)|\\u(?!00[0-7])")


def _spell(notes: str, connection: Connection[Any]) -> str:
    """JSON text that a database of any encoding takes: where that is not UTF8, `€` becomes `\\u20ac`."""
    if connection.info.parameter_status("server_encoding") == "UTF8":
        return notes
    return _ESCAPE.sub(lambda found: found[1] or r"\\u", notes)


def _ids(cursor: Any) -> set[int]:
    return {row[0] for row in cursor.fetchall()}


def explain(error: Error, *, queue: str) -> DatabaseError:
    """The error of a statement over a queue's tables, for the person who runs the worker."""
    return DatabaseError(
        f"queue {queue}: {str(error).partition(chr(10))[0]}",
        help="run `changelane verify`; the worker's role needs USAGE on schema pgmq, SELECT, UPDATE, DELETE "
        "on the queue, and INSERT where dead letters and archived messages go",
    )


def open_queues(
    connection: Connection[Any],
    names: Sequence[tuple[str, str]],
    *,
    classes: Mapping[str, type[Queue]] | None = None,
    keeping: Collection[str] = (),
    dated: Collection[str] = (),
) -> list[Queue]:
    """A Queue for each (name, dead-letter name), of the class that ``classes`` has for its name; those of
    ``keeping`` archive what is acked, those of ``dated`` bring when a message was sent.

    Raises DatabaseError naming every queue that the database lacks.
    """
    wanted = [f"{kind}_{name}" for name, _ in names for kind in "qa"] + [f"q_{dead}" for _, dead in names]
    rows = connection.execute(load_sql(__name__, "columns"), {"tables": wanted}).fetchall()
    tables = {table: list(columns) for table, columns, _ in rows}
    partitioned = {table for table, _, parts in rows if parts}
    missing = [name for couple in names for name in couple if f"q_{name}" not in tables]
    if missing:
        missing = list(dict.fromkeys(missing))
        noun = "queue" if len(missing) == 1 else "queues"
        verb = "does" if len(missing) == 1 else "do"
        raise DatabaseError(f"{noun} {', '.join(missing)} {verb} not exist", help="run `changelane apply`")
    return [
        (classes or {}).get(name, Queue)(
            name=name,
            dead_letter=dead,
            columns=[column for column in tables[f"q_{name}"] if column in tables.get(f"a_{name}", ())],
            keeps=name in keeping,
            dated=name in dated,
            partitioned=f"a_{name}" in partitioned,
        )
        for name, dead in names
    ]
