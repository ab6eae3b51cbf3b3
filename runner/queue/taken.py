"""A queue whose messages may also be taken: deleted in a transaction that stays open until they are handled.

A take is one write where a lease and an ack are two. A rollback undoes it and leaves no trace in the message.
So a take brings only messages that nobody ever claimed, and what fails is claimed by lease after the
rollback. From then on its attempts and deliveries are counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from operator import attrgetter
from typing import Any

from psycopg import Connection, Cursor, Error, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from changelane.contract.sql_text import load_sql
from changelane.runner.queue.delivery import Delivery, read_delivery
from changelane.runner.queue.fenced import BEGINNING, FencedQueue, note_due, pair
from changelane.runner.queue.unreadable import is_unreadable

LOST = -1
"""The fencing token of a message that was taken, went back, and was not claimed in time: it fits no row."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The statements around a take: before the ``first`` and before each one ``more`` of a transaction, and
    those that follow each. ``lent``: the transaction is a handler's.
    """

    first: bytes
    more: bytes = b""
    last: bytes = b""
    lent: bool = False


OWN = Frame(b"BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; ")
"""For connections of the worker's own."""


def frame_lent(*, stall: float) -> Frame:
    """For connections that are lent to handlers: the path is theirs, and so is the isolation level.

    The server ends the transaction once it stands still for ``stall`` seconds.
    """
    pin = b"SET LOCAL search_path = pg_catalog, pg_temp; "
    bound = b"SET LOCAL idle_in_transaction_session_timeout = %d; " % max(1, int(stall * 1000))
    return Frame(b"BEGIN; " + bound + pin, pin, b"; SET LOCAL search_path TO DEFAULT", lent=True)


class TakenQueue(FencedQueue):
    """A FencedQueue with takes beside its claims."""

    def __init__(self, *, columns: Sequence[str], **options: Any) -> None:
        super().__init__(columns=columns, **options)
        touch = sql.SQL(load_sql(__name__, "touch") if "last_read_at" in columns else "")
        names = ["message", "headers", *(["enqueued_at"] if self._dates else [])]
        parts = {
            "texts": _list(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
            "none": sql.SQL(", NULL" if self._dates else ""),
            "waits": sql.SQL(load_sql(__name__, "waits")),
        }
        returned = self._columns if self._keeps else ["msg_id", *names]
        self._take_away = self._compose(
            "take",
            returned=_list(sql.Identifier("held", name) for name in returned),
            kept=self._spell_kept() if self._keeps else sql.SQL(""),
            **parts,
        )
        self._take_locked = self._compose(
            "take_locked", returned=_list(sql.Identifier("held", name) for name in names), **parts
        )
        self._take_back = self._compose("take_back", touch=touch)

    def _spell_kept(self) -> sql.Composed:
        delivered = _list(
            sql.SQL("1 AS read_ct") if name == "read_ct" else sql.Identifier(name) for name in self._columns
        )
        return sql.SQL(load_sql(__name__, "take_kept")).format(delivered=delivered, **self._name_archive())

    def take(
        self, connection: Connection[Any], *, limit: int, lease: float, mark: str, frame: Frame = OWN
    ) -> list[Delivery] | None:
        """Take up to ``limit`` due messages in a transaction that the connection begins. Like ``claim``, it
        continues after the last one. None: a lease must claim what is due. It was claimed before, was due at
        ``mark``, when a vanished worker was found, or cannot be read.

        The transaction is open afterwards if the list holds messages. Raises psycopg.Error.
        """
        began = time.monotonic()
        self._waits.clear()
        rows: list[tuple[Any, ...]] = []
        aged = False
        before = frame.first
        try:
            if self._since != BEGINNING and began < self._whole_at:
                rows, aged = self._seize(connection, limit=limit, mark=mark, before=before, frame=frame)
                before = frame.more
            if len(rows) < limit and not aged:
                self._since = BEGINNING
                more, aged = self._seize(
                    connection, limit=limit - len(rows), mark=mark, before=before, frame=frame
                )
                rows += more
                self._note_whole(began)
        except (Error, UnicodeDecodeError) as error:
            if not is_unreadable(error):
                raise
            rows, aged = [], True
        if not rows:
            Cursor(connection).execute(b"ROLLBACK", prepare=False)
        self.next_at = 0.0 if aged or len(rows) == limit else inf
        if aged and not rows:
            return None
        taken = [self._read_taken(row, began + lease) for row in rows]
        taken.sort(key=attrgetter("msg_id"))
        note_due(taken, now=began, waits=self._waits)
        return taken

    def _read_taken(self, row: tuple[Any, ...], leased_until: float) -> Delivery:
        return read_delivery(
            queue=self.name,
            msg_id=row[0],
            read_ct=0,
            message=row[1],
            headers=row[2],
            leased_until=leased_until,
            enqueued_at=row[3] if self._dates else None,
        )

    def _seize(
        self, connection: Connection[Any], *, limit: int, mark: str, before: bytes, frame: Frame
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """Rows, and whether those that are due must be leased."""
        values = {
            b"since": b"'%b'" % self._since.encode(),
            b"limit": b"%d" % limit,
            b"mark": b"'%b'" % mark.encode(),
        }
        # As text without parameters, which can be sent together with the BEGIN.
        cursor = Cursor(connection, row_factory=tuple_row)
        take = self._take_locked if frame.lent else self._take_away
        cursor.execute(before + take % values + frame.last, prepare=False)
        for _ in range(before.count(b"; ")):
            cursor.nextset()
        rows = cursor.fetchall()
        self._since = BEGINNING
        if not rows:
            return rows, False
        _, since, waits, *_ = rows.pop()
        if rows:
            self._since = since
            self._waits.append(waits)
        return rows, not rows

    def take_back(
        self, connection: Connection[Any], deliveries: Sequence[Delivery], *, lease: float, wait: bool = False
    ) -> None:
        """Roll a take back, and claim its messages by lease. Those that another worker claimed between the
        two are lost. With ``wait``, another session took them, which ends now. Raises psycopg.Error.
        """
        began = time.monotonic()
        ids = pair(deliveries)["msg_ids"]
        values = {
            b"msg_ids": b"'%b'" % ids.encode(),
            b"lease": repr(lease).encode(),
            b"locked": b"" if wait else b"SKIP LOCKED",
        }
        cursor = Cursor(connection, row_factory=tuple_row)
        # A handler's own transaction has been rolled back, and its path is any.
        held = connection.info.transaction_status != TransactionStatus.IDLE
        before = b"ROLLBACK; " if held else b""
        before += b"BEGIN; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL lock_timeout = '2s'; "
        cursor.execute(before + self._take_back % values + b"; COMMIT", prepare=False)
        for _ in range(before.count(b"; ")):
            cursor.nextset()
        back = {row[0] for row in cursor.fetchall()}
        for item in deliveries:
            if item.msg_id in back:
                item.leased_until = began + lease
                item.read_ct = 1
            else:
                lose(item)


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def lose(delivery: Delivery) -> None:
    """Note that a taken message went back to the queue, or that its transaction may have."""
    delivery.lost = True
    delivery.read_ct = LOST
