"""The statements on one queue's tables: claim, ack, postpone, renew, dead-letter, archive.

Every write but the claim is fenced by ``read_ct``. pgmq's own functions take only a ``msg_id``. With them, a
worker whose lease has expired could delete or extend a message that another worker holds now.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from operator import itemgetter
from typing import Any, LiteralString

from psycopg import Connection, Cursor, Error, sql

from changelane.contract.queue_name import archive_table, queue_table
from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.queue_tables import name_archive, name_queue
from changelane.runner.queue.delivery import Delivery, read_delivery
from changelane.runner.queue.unreadable import explain_unreadable, fetch, is_unreadable

_TEXTS = ("message", "headers")

FEW = 8
"""The largest claim whose messages are read one by one: each may take the server seconds."""

BEGINNING = "-infinity"
WHOLE = 1.0
"""Seconds after which a claim starts from the beginning again: a transaction may have committed late."""

SHARE = 20.0
"""Or this multiple of the time that the last full look took, when many dead rows slow it."""


class FencedQueue:
    """One queue. ``columns`` are those that its queue and archive tables share, in table order. ``keeps``: an
    ack moves the message to the archive, which may be ``partitioned``. ``dated``: claims also read the time
    for ``Message.enqueued_at``. ``next_at``, on the monotonic clock, is when another claim may bring more
    than the last one did; it is infinite when only a new message will.

    pgmq's tables differ between versions (``last_read_at`` came with 1.10). So statements name their columns,
    and only those that exist.
    """

    ordered = False
    holds_back = False
    """Whether due messages may have to wait for others, so that a claim need not bring them."""

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
        self.table = name_queue(name)
        touch = sql.SQL(load_sql(__name__, "touch") if "last_read_at" in columns else "")
        self._dates = ["held.enqueued_at::text"] if dated else []
        self._columns = columns
        self._keeps = keeps
        self._partitioned = partitioned
        claimed = sql.SQL(load_sql(__name__, "claimed"))
        self._waits: list[str] = []
        self._claims = self._compose_claims("claim", touch=touch, claimed=claimed)
        self._read = {name: self._compose("read", column=sql.Identifier(name)) for name in _TEXTS}
        self._ack = self._compose_ack("ack")
        # %d, because spell_ack writes the values into the statement's text.
        self._ack_one = self._compose_ack("ack_one").replace(b"%s", b"%d")
        self._postpone = self._compose("postpone")
        self._renew = self._compose("renew")
        self._dead_letter = self._compose("dead_letter")
        self._archive = self._compose("archive", **self._name_archive())

    def _compose(self, statement: str, **parts: sql.Composable) -> bytes:
        # Rendered once, because the driver renders a composed statement anew at each call.
        return sql.SQL(load_sql(__name__, statement)).format(queue=self.table, **parts).as_bytes()

    def _compose_claims(self, statement: str, **parts: sql.Composable) -> tuple[bytes, bytes]:
        """Two claims: one reads the messages, the other only their ids."""
        parts["waits"] = sql.SQL(load_sql(__name__, "waits"))
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
        archive = name_archive(self.name)
        # A partitioned archive accepts an id twice and has no index on it.
        fresh = name_fresh(self._columns, archive=None if self._partitioned else archive)
        columns = sql.SQL(", ").join(map(sql.Identifier, self._columns))
        return {"archive": archive, "columns": columns, "fresh": fresh}

    def note_settled(self, deliveries: Sequence[Delivery], *, after: float = 0.0) -> None:
        """Note that the messages are gone, or due again in ``after`` seconds. Thread-safe."""

    def claim(self, connection: Connection[Any], *, limit: int, lease: float) -> list[Delivery]:
        """Take up to ``limit`` due messages for ``lease`` seconds, in the order of their ids.

        A claim continues after the last one. It starts from the beginning when that brings too few messages,
        and every WHOLE seconds.
        """
        began = time.monotonic()
        self._waits.clear()
        on = self._since != BEGINNING and began < self._whole_at
        rows = self._take(connection, limit=limit, lease=lease) if on else []
        if len(rows) < limit:
            self._since = BEGINNING
            rows += self._take(connection, limit=limit - len(rows), lease=lease)
            self._note_whole(began)
        self.next_at = 0.0 if len(rows) == limit else inf
        claimed = read_rows(rows, queue=self.name, leased_until=began + lease, dated=bool(self._dates))
        note_due(claimed, now=began, waits=self._waits)
        return claimed

    def _note_whole(self, began: float) -> None:
        now = time.monotonic()
        self._whole_at = now + max(WHOLE, SHARE * (now - began))

    def _take(self, connection: Connection[Any], *, limit: int, lease: float) -> list[tuple[Any, ...]]:
        values = {"limit": limit, "lease": lease, "since": self._since}
        # Never prepared: a generic plan made for a small queue would stay in use for a large one.
        rows, complete = self._run(connection, self._claims, values)
        self._since = BEGINNING
        if rows:
            self._since, waits = rows[0][-2:]
            self._waits.append(waits)
        return rows if complete else [self._read_each(connection, row) for row in rows]

    def _run(
        self, connection: Connection[Any], claims: tuple[bytes, bytes], values: dict[str, Any]
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """Rows of a claim, and whether they hold the messages. They do not when one message cannot be read.

        The claim then takes only FEW messages, so that each can be read alone while its lease lasts.
        """
        try:
            return fetch(self._execute(connection, claims[0], values)), True
        except Error as error:
            if not is_unreadable(error):
                raise
        values = {**values, "limit": min(FEW, values["limit"])}
        return self._execute(connection, claims[1], values).fetchall(), False

    def _execute(
        self, connection: Connection[Any], claim: bytes, values: dict[str, Any]
    ) -> Cursor[tuple[Any, ...]]:
        return connection.execute(claim, values, prepare=False)

    def _read_each(self, connection: Connection[Any], row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row of an id-only claim, with its texts read; Unreadable where one cannot be read."""
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
        """Delete or archive the messages that are still held; returns their ids."""
        return _ids(connection.execute(self._ack, pair(deliveries), prepare=False))

    def spell_ack(self, deliveries: Collection[Delivery]) -> bytes:
        """``ack`` as text without parameters, to be sent together with other statements; its row count says
        how many were still held.
        """
        if len(deliveries) == 1:
            (only,) = deliveries
            return self._ack_one % (only.msg_id, only.read_ct)
        return self._ack % {name.encode(): f"'{array}'".encode() for name, array in pair(deliveries).items()}

    def renew(self, connection: Connection[Any], deliveries: Sequence[Delivery], *, lease: float) -> set[int]:
        """Extend the leases; returns the ids of the messages still held."""
        return _ids(connection.execute(self._renew, {**pair(deliveries), "lease": lease}, prepare=False))

    def postpone(
        self, connection: Connection[Any], entries: Sequence[tuple[Delivery, float, str]]
    ) -> set[int]:
        """Make each message due in its number of seconds, with these notes (JSON text); returns ids still
        held.
        """
        values = pair([delivery for delivery, _, _ in entries])
        values["delays"] = [delay for _, delay, _ in entries]
        values["notes"] = [spell_json(notes, connection) for _, _, notes in entries]
        return _ids(connection.execute(self._postpone, values, prepare=False))

    def move_to_dead_letters(
        self, connection: Connection[Any], delivery: Delivery, *, notes: dict[str, Any]
    ) -> bool:
        """Move the message to the dead-letter queue; False when another worker holds it now."""
        notes = {"queue": self.name, "msg_id": delivery.msg_id, **notes}
        values = {
            "msg_id": delivery.msg_id,
            "read_ct": delivery.read_ct,
            "dead_letter": self.dead_letter,
            "notes": spell_json(json.dumps(notes), connection),
        }
        return connection.execute(self._dead_letter, values, prepare=False).rowcount == 1

    def archive(self, connection: Connection[Any], delivery: Delivery) -> bool:
        """Move the message to the queue's archive; False when another worker holds it now."""
        values = {"msg_id": delivery.msg_id, "read_ct": delivery.read_ct}
        return connection.execute(self._archive, values, prepare=False).rowcount == 1


def name_fresh(columns: Sequence[str], *, archive: sql.Identifier | None) -> sql.Composable:
    """The columns of rows ``moved``, ready for the archive. Ids that it already has are replaced."""
    names: list[sql.Composable] = [sql.Identifier("moved", column) for column in columns]
    if archive is not None:
        names[columns.index("msg_id")] = sql.SQL(load_sql(__name__, "fresh")).format(archive=archive)
    return sql.SQL(", ").join(names)


_read_id = itemgetter(0)


def read_rows(rows: list[tuple[Any, ...]], *, queue: str, leased_until: float, dated: bool) -> list[Delivery]:
    """Claimed rows as deliveries, in the order of their ids.

    ``leased_until`` counts from before the claim, so the worker considers its lease over before the server
    does.
    """
    rows.sort(key=_read_id)
    return [
        read_delivery(
            queue=queue,
            msg_id=row[0],
            read_ct=row[1],
            message=row[2],
            headers=row[3],
            leased_until=leased_until,
            enqueued_at=row[4] if dated else None,
        )
        for row in rows
    ]


def note_due(deliveries: Sequence[Delivery], *, now: float, waits: Sequence[str]) -> None:
    """Note when each was due, in the order of their ids. ``waits`` are texts of the seconds for which the
    first and the last of a claim had been due by ``now``, on the monotonic clock. Between them, the messages
    are spread evenly.
    """
    if not deliveries:
        return
    seconds = [float(text) for both in waits for text in both.split()]
    first, last = max(seconds), min(seconds)
    due, step = now - first, (first - last) / max(1, len(deliveries) - 1)
    for delivery in deliveries:
        delivery.due = due
        due += step


def pair(deliveries: Collection[Delivery]) -> dict[str, Any]:
    """Ids and fencing tokens as array literals: the driver is slow with lists."""
    return {
        "msg_ids": f"{{{','.join([str(delivery.msg_id) for delivery in deliveries])}}}",
        "read_cts": f"{{{','.join([str(delivery.read_ct) for delivery in deliveries])}}}",
    }


_ESCAPE = re.compile(r"(\\\\)|\\u(?!00[0-7])")


def spell_json(notes: str, connection: Connection[Any]) -> str:
    """JSON text for a database of any encoding: outside UTF8, `€` becomes `\\u20ac`."""
    if connection.info.parameter_status("server_encoding") == "UTF8":
        return notes
    return _ESCAPE.sub(lambda found: found[1] or r"\\u", notes)


def _ids(cursor: Any) -> set[int]:
    return {row[0] for row in cursor.fetchall()}


def explain(error: Error, *, queue: str) -> DatabaseError:
    """The error of a statement on a queue's tables, written for the person who runs the worker."""
    return DatabaseError(
        f"queue {queue}: {str(error).partition(chr(10))[0]}",
        fix="run `changelane verify`; the worker's role needs USAGE on schema pgmq, SELECT, UPDATE, DELETE "
        "on the queue, and INSERT where dead letters and archived messages go",
    )


def open_queues(
    connection: Connection[Any],
    names: Sequence[tuple[str, str]],
    *,
    classes: Mapping[str, Callable[..., FencedQueue]] | None = None,
    keeping: Collection[str] = (),
    dated: Collection[str] = (),
) -> list[FencedQueue]:
    """Open a FencedQueue for each (name, dead-letter name). ``classes`` maps a name to its class. An ack in a
    queue of ``keeping`` archives the message. Claims from a queue of ``dated`` also read when a message was
    sent.

    Raises DatabaseError that names every queue that the database lacks.
    """
    wanted = [spell(name) for name, _ in names for spell in (queue_table, archive_table)]
    wanted += [queue_table(dead) for _, dead in names]
    rows = connection.execute(load_sql(__name__, "columns"), {"tables": wanted}).fetchall()
    tables = {table: list(columns) for table, columns, _ in rows}
    partitioned = {table for table, _, parts in rows if parts}
    missing = [name for couple in names for name in couple if queue_table(name) not in tables]
    if missing:
        missing = list(dict.fromkeys(missing))
        noun = "queue" if len(missing) == 1 else "queues"
        verb = "does" if len(missing) == 1 else "do"
        raise DatabaseError(f"{noun} {', '.join(missing)} {verb} not exist", fix="run `changelane apply`")
    return [
        (classes or {}).get(name, FencedQueue)(
            name=name,
            dead_letter=dead,
            columns=[
                column
                for column in tables[queue_table(name)]
                if column in tables.get(archive_table(name), ())
            ],
            keeps=name in keeping,
            dated=name in dated,
            partitioned=archive_table(name) in partitioned,
        )
        for name, dead in names
    ]


def compose_each(
    statement: LiteralString, queues: Sequence[FencedQueue], **parts: sql.Composable
) -> sql.Composed:
    """One statement over all queues, with a row for each."""
    template = sql.SQL(statement)
    return sql.SQL(" UNION ALL ").join(
        template.format(name=sql.Literal(queue.name), queue=queue.table, **parts) for queue in queues
    )
