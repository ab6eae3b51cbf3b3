"""A queue worked in the order of each key: the first message of a key is claimed, the others wait for it.

No process owns a key. Which message is the first is read from the queue itself, by an index over the key's
hash and ``msg_id``, so work moves with the claims: nothing is handed over as workers join, leave or die.
A message that is claimed, retried later or blocked is still in the queue, and so holds back its key and no
other. Messages without a key wait for none.

A transaction at REPEATABLE READ removes a message without seeing who was parked behind it meanwhile: its key
goes on when the park ends. ``msg_id`` is given before commit, so of two transactions that wrote one key at
the same time without locking each other out, the later to commit may bring the earlier number, past its turn.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from psycopg import AsyncConnection, Connection, sql

from changelane.errors import DatabaseError
from changelane.manifest import Consumer
from changelane.runner.work.message import Delivery
from changelane.runner.work.queue import Queue, load_sql, open_queues, pair, read_rows

_KEY = sql.SQL(load_sql("key"))


class OrderedQueue(Queue):
    """A queue whose claims hold at most one message of each key."""

    ordered = True

    def __init__(self, *, name: str, dead_letter: str, columns: Sequence[str], keeps: bool = False) -> None:
        super().__init__(name=name, dead_letter=dead_letter, columns=columns, keeps=keeps)
        key, earlier, follower, held = (
            _KEY.format(headers=sql.SQL(place))
            for place in ("headers", "earlier.headers", "follower.headers", "held.headers")
        )
        touch = sql.SQL(load_sql("touch_first") if "last_read_at" in columns else "")
        self._claim = self._compose("claim_ordered", key=key, earlier_key=earlier, touch=touch)
        self._ack = self._compose_ack("ack", returned=sql.SQL("held.msg_id, {}").format(held))
        self._follow = self._compose("follow", follower_key=follower)
        self._stuck = self._compose("stuck", key=held)
        self._keys = self._compose("keys", key=held)

    def claim(
        self, connection: Connection[Any], *, limit: int, lease: float, look: int | None = None
    ) -> list[Delivery]:
        """Take up to ``limit`` first messages among the ``look`` due the longest; park the others."""
        look = look or limit
        began = time.monotonic()
        values = {"limit": limit, "look": look, "lease": lease}
        rows = connection.execute(self._claim, values, prepare=False).fetchall()
        self.looked = rows[0][0]
        self.full = self.looked == look
        claimed = [row[1:] for row in rows if row[1] is not None]
        return read_rows(claimed, queue=self.name, leased_until=began + lease)

    def ack(self, connection: Connection[Any], deliveries: Sequence[Delivery]) -> set[int]:
        with connection.transaction():
            gone = connection.execute(self._ack, pair(deliveries), prepare=False).fetchall()
            self._let_follow(connection, gone)
        return {msg_id for msg_id, _ in gone}

    def ack_within(self, connection: Connection[Any], deliveries: Collection[Delivery]) -> int:
        gone = connection.execute(self._ack, pair(deliveries), prepare=False).fetchall()
        self._let_follow(connection, gone)
        return len(gone)

    async def ack_within_async(
        self, connection: AsyncConnection[Any], deliveries: Collection[Delivery]
    ) -> int:
        cursor = await connection.execute(self._ack, pair(deliveries), prepare=False)
        gone = await cursor.fetchall()
        if keyed := [row for row in gone if row[1] is not None]:
            await connection.execute(self._follow, _name_keys(keyed), prepare=False)
        return len(gone)

    def bury(self, connection: Connection[Any], delivery: Delivery, *, notes: dict[str, Any]) -> bool:
        with connection.transaction():
            keys = connection.execute(self._keys, [delivery.msg_id], prepare=False).fetchall()
            moved = super().bury(connection, delivery, notes=notes)
            self._let_follow(connection, keys if moved else [])
        return moved

    def archive(self, connection: Connection[Any], delivery: Delivery) -> bool:
        with connection.transaction():
            keys = connection.execute(self._keys, [delivery.msg_id], prepare=False).fetchall()
            moved = super().archive(connection, delivery)
            self._let_follow(connection, keys if moved else [])
        return moved

    def count_blocked(self, connection: Connection[Any]) -> tuple[int, bool]:
        """How many keys are blocked, and whether there are messages besides them and those behind them."""
        row = connection.execute(self._stuck, prepare=False).fetchone()
        return (row[0], row[1]) if row else (0, False)

    def _let_follow(self, connection: Connection[Any], gone: Sequence[tuple[int, int | None]]) -> None:
        if keyed := [row for row in gone if row[1] is not None]:
            connection.execute(self._follow, _name_keys(keyed), prepare=False)


def _name_keys(gone: Sequence[tuple[int, int | None]]) -> dict[str, Any]:
    return {"msg_ids": [msg_id for msg_id, _ in gone], "keys": [key for _, key in gone]}


def open_worked(connection: Connection[Any], consumers: Sequence[Consumer]) -> list[Queue]:
    """The queue of each consumer, ready to be worked as it says.

    Raises DatabaseError naming every queue that the database lacks, or that lacks the index for its order.
    """
    ordered = [consumer.queue for consumer in consumers if consumer.ordering == "key"]
    queues = open_queues(
        connection,
        [(consumer.queue, consumer.dead_letter) for consumer in consumers],
        classes=dict.fromkeys(ordered, OrderedQueue),
        keeping=[consumer.queue for consumer in consumers if consumer.archive],
    )
    tables = [f"q_{name}" for name in ordered]
    found = (
        {row[0] for row in connection.execute(load_sql("indexed"), {"tables": tables})} if tables else set()
    )
    if lacking := [name for name in ordered if f"q_{name}" not in found]:
        noun, verb = ("queue", "lacks") if len(lacking) == 1 else ("queues", "lack")
        raise DatabaseError(
            f"{noun} {', '.join(lacking)} {verb} the index for `ordering: key`", help="run `changelane apply`"
        )
    return queues
