"""A queue whose due messages of a key are one change: a claim takes whole keys.

As in a queue in key order, the queue itself shows what is first, by an index over the key's hash and
``msg_id``. Whoever locks the first message of a key claims the key: that message and all that follow up to
one that is not due. A message that is claimed or waits for a retry is still in the queue, so later ones of
its key wait for it, and are merged with it when it comes back. The writer does nothing for it: how long a key
was quiet is read from its first and its last message.

The server merges the messages of one route and table, so a backlog of one key costs the worker two messages.
All of them are acked, retried or buried together.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Collection, Sequence
from math import inf
from operator import attrgetter
from typing import Any, cast

from psycopg import Connection, Error, sql

from changelane.contract.coalesce import Coalesce
from changelane.contract.sql_text import load_sql
from changelane.runner.queue.delivery import Delivery, read_delivery
from changelane.runner.queue.fenced import FEW, note_due, spell_json
from changelane.runner.queue.merged import MergedDelivery, count_together, name_ids, pair_all, spread_notes
from changelane.runner.queue.ordered import (
    BARREN,
    FIRST_MISS,
    KEY,
    LAST_MISS,
    REMEMBERED,
    REST,
    TURNS,
    OrderedQueue,
)
from changelane.runner.queue.unreadable import fetch, is_unreadable

LOOK = 500
"""How many of the messages that are due the longest one claim looks at."""

MOST = 100_000
"""How many messages of a key one claim takes at most. It takes no further key once it has so many."""

SPEED = 2_000
"""Messages that a claim may take for each second of its lease, so that none lapses before it is handled."""

PAUSE = 0.25
"""The longest pause between two looks, in seconds, while keys have to be quiet; at most a quarter of that."""


class CoalescedQueue(OrderedQueue):
    """A queue whose claims take keys, and merge the messages of each. ``rule`` says when a key is due."""

    def __init__(self, *, columns: Sequence[str], rule: Coalesce, **options: Any) -> None:
        super().__init__(columns=columns, **options)
        self._rule = rule
        key = KEY.format(headers=sql.SQL("headers"))
        parts = {
            "key": key,
            "touch": sql.SQL(load_sql(__name__, "touch") if "last_read_at" in columns else ""),
            "claimed": sql.SQL(load_sql(__name__, "claimed")),
            "waits": sql.SQL(load_sql(__name__, "waits")),
            "wait": sql.SQL(load_sql(__name__, "wait" if rule.quiet else "no_wait")).format(
                queue=self.table, key=key
            ),
        }
        walks = [
            sql.SQL(load_sql(__name__, name)).format(queue=self.table, key=key) for name in ("stay", "walk")
        ]
        leads = [sql.SQL(load_sql(__name__, name)).format() for name in ("lead", "lead_alone")]
        self._looks = [
            [self._compose("claim_coalesced", walk=walk, lead=lead, **parts) for lead in leads]
            for walk in walks
        ]
        held_id = sql.SQL("held.msg_id")
        every = sql.SQL(", ").join(sql.Identifier("held", column) for column in columns)
        letter = sql.SQL("held.msg_id, held.message, held.headers")
        keep = self._compose_taking("then_keep", returned=every)
        self._ack_merged = keep if self._keeps else self._compose_taking("then_ack", returned=held_id)
        self._archive_merged = keep
        self._bury_merged = self._compose_taking("then_dead_letter", returned=letter)
        self._due: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        self._rest_until = 0.0
        self._keys = inf

    def _compose_taking(self, then: str, *, returned: sql.Composable) -> bytes:
        names = self._name_archive() if then == "then_keep" else {}
        last = sql.SQL(load_sql(__name__, then)).format(**names)
        return self._compose("take_merged", returned=returned, then=last)

    def note_settled(self, deliveries: Sequence[Delivery], *, after: float = 0.0) -> None:
        at = time.monotonic() + after if after else 0.0
        for delivery in cast("Sequence[MergedDelivery]", deliveries):
            if delivery.key is not None:
                self._remember(delivery.key, at)

    def _remember(self, key: int, at: float) -> None:
        """Look at the key at that time."""
        with self._lock:
            if at < self._due.get(key, inf if len(self._due) < REMEMBERED else -inf):
                self._due[key] = at
                heapq.heappush(self._heap, (at, key))

    def _take_due(self, now: float) -> list[int]:
        keys: list[int] = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now and len(keys) < TURNS:
                at, key = heapq.heappop(self._heap)
                if self._due.get(key) == at:
                    del self._due[key]
                    keys.append(key)
        return keys

    def claim(self, connection: Connection[Any], *, limit: int, lease: float) -> list[Delivery]:
        """Take up to ``limit`` keys that are due, each with its due messages, for ``lease`` seconds.

        While keys have to be quiet, it looks at the queue at most every PAUSE seconds: no message that comes
        in between can be due before that.
        """
        began = time.monotonic()
        if began < self._rest_until:
            self.next_at = self._rest_until
            return []
        wanted = int(min(limit, self._keys))
        most = max(1, min(MOST, int(lease * SPEED)))
        keys = self._take_due(began)
        walks = self._crowded and began >= self._walk_at
        values = {
            "limit": wanted, "look": LOOK, "lease": lease, "keys": keys, "start": self._start,
            "steps": self._steps, "quiet": self._rule.quiet, "at_most": self._rule.at_most, "most": most,
            "partial": list(self._rule.partial), "shared": list(self._rule.shared),
        }  # fmt: skip
        rows, complete = self._look_at(connection, self._looks[walks], values)
        aged, covered, ripe, chosen, taken, walked, found, last, waiting, waits = rows[0][:10]
        claimed = [row[10:] for row in rows if row[11] is not None]
        now = time.monotonic()
        for key, seconds in waiting or ():
            self._remember(key, now + float(seconds))
        full = aged == LOOK
        self._crowded = full and covered < aged
        over = not self._crowded
        if walks:
            over = self._note_walk(walked=walked, found=found, last=last)
            spare = found and taken < wanted
            self._walk_at = now if spare else now + max(REST * (now - began), BARREN if over else 0.0)
        missed = ripe > taken
        if missed:
            for key in keys:
                self._remember(key, 0.0)
        more = taken == wanted or taken < chosen or (full and not self._crowded)
        self._rest_until = 0.0 if more or not self._rule.quiet else now + min(PAUSE, self._rule.quiet / 4)
        if more:
            self.next_at = now
        elif missed:
            self.next_at, self._miss = now + self._miss, min(LAST_MISS, self._miss * 2)
        else:
            due = self._heap[0][0] if self._heap else inf
            self.next_at = max(min(due, inf if over else self._walk_at), self._rest_until)
        if not missed:
            self._miss = FIRST_MISS
        self._bound_keys(sum(len(row[1]) for row in claimed), most=most, taken=taken)
        leased_until = began + lease
        deliveries: list[Delivery] = [
            self._read_merged(row, leased_until=leased_until)
            if complete
            else self._read_alone(connection, row, leased_until=leased_until)
            for row in claimed
        ]
        deliveries.sort(key=_read_id)
        note_due(deliveries, now=began, waits=[waits])
        return deliveries

    def _look_at(
        self, connection: Connection[Any], looks: Sequence[bytes], values: dict[str, Any]
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """Rows of a claim, and whether they hold the messages. They do not when one message cannot be read.

        The claim then takes the first message of FEW keys, so that each can be read alone.
        """
        try:
            return fetch(connection.execute(looks[0], values, prepare=False)), True
        except Error as error:
            if not is_unreadable(error):
                raise
        values = {**values, "limit": min(FEW, values["limit"]), "most": 1}
        return connection.execute(looks[1], values, prepare=False).fetchall(), False

    def _bound_keys(self, messages: int, *, most: int, taken: int) -> None:
        """Let the next claim look at fewer keys where they are long, and at more again where they are not."""
        if messages > most // 2:
            self._keys = max(1, taken * most // (2 * messages))
        else:
            self._keys *= 2

    def _read_merged(self, row: tuple[Any, ...], *, leased_until: float) -> MergedDelivery:
        key, msg_ids, read_cts, ids, notes, void, message, headers, enqueued_at = row
        read = read_delivery(
            queue=self.name, msg_id=msg_ids[-1], read_ct=read_cts[-1], message=message, headers=headers,
            leased_until=leased_until, enqueued_at=enqueued_at, kind=MergedDelivery,
        )  # fmt: skip
        delivery = cast("MergedDelivery", read)
        delivery.key, delivery.msg_ids, delivery.read_cts, delivery.void = key, msg_ids, read_cts, void
        if len(msg_ids) > 1:
            delivery.ids = name_ids(ids, queue=self.name, msg_ids=msg_ids)
            count_together(delivery, notes or ())
        return delivery

    def _read_alone(
        self, connection: Connection[Any], row: tuple[Any, ...], *, leased_until: float
    ) -> MergedDelivery:
        key, msg_ids, read_cts, _, _, void, _, _, enqueued_at = row
        texts = [self._read_one(connection, name, msg_ids[0], read_cts[0]) for name in ("message", "headers")]
        read = (key, msg_ids, read_cts, None, None, void, *texts, enqueued_at)
        return self._read_merged(read, leased_until=leased_until)

    def ack(self, connection: Connection[Any], deliveries: Sequence[Delivery]) -> set[int]:
        """Delete or archive all messages of each change, or none; returns the ids of the changes."""
        values = pair_all(cast("Sequence[MergedDelivery]", deliveries))
        return {row[0] for row in connection.execute(self._ack_merged, values, prepare=False)}

    def spell_ack(self, deliveries: Collection[Delivery]) -> bytes:
        values = pair_all(cast("Collection[MergedDelivery]", deliveries))
        return self._ack_merged % {name.encode(): f"'{array}'".encode() for name, array in values.items()}

    def renew(self, connection: Connection[Any], deliveries: Sequence[Delivery], *, lease: float) -> set[int]:
        """Extend the leases of all messages; returns the ids of the changes still held whole."""
        merged = cast("Sequence[MergedDelivery]", deliveries)
        values = {**pair_all(merged), "lease": lease}
        held = {row[0] for row in connection.execute(self._renew, values, prepare=False)}
        return {item.msg_id for item in merged if held.issuperset(item.msg_ids)}

    def postpone(
        self, connection: Connection[Any], entries: Sequence[tuple[Delivery, float, str]]
    ) -> set[int]:
        """Make all messages of each change due in its number of seconds; returns the changes still held."""
        merged = [cast("MergedDelivery", delivery) for delivery, _, _ in entries]
        values = pair_all(merged)
        values["delays"] = [
            delay for item, (_, delay, _) in zip(merged, entries, strict=True) for _ in item.msg_ids
        ]
        values["notes"] = [
            spell_json(text, connection)
            for delivery, (_, _, notes) in zip(merged, entries, strict=True)
            for text in spread_notes(delivery, notes)
        ]
        held = {row[0] for row in connection.execute(self._postpone, values, prepare=False)}
        return {item.msg_id for item in merged if held.issuperset(item.msg_ids)}

    def move_to_dead_letters(
        self, connection: Connection[Any], delivery: Delivery, *, notes: dict[str, Any]
    ) -> bool:
        """Move all messages of the change to the dead letters; False when another worker holds one now."""
        merged = cast("MergedDelivery", delivery)
        notes = {"queue": self.name, **notes, **({"merged": len(merged.msg_ids)} if merged.ids else {})}
        values = {
            **pair_all([merged]),
            "dead_letter": self.dead_letter,
            "notes": spell_json(json.dumps(notes), connection),
        }
        return connection.execute(self._bury_merged, values, prepare=False).rowcount > 0

    def archive(self, connection: Connection[Any], delivery: Delivery) -> bool:
        """Move all messages of the change to the archive; False when another worker holds one now."""
        values = pair_all([cast("MergedDelivery", delivery)])
        return connection.execute(self._archive_merged, values, prepare=False).rowcount > 0


_read_id = attrgetter("msg_id")
