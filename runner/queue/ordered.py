"""A queue that keeps the order of each key: a worker claims the first message of a key, the others wait.

No process owns a key. The queue itself shows which message is first, by an index over the key's hash and
``msg_id``. So work moves with the claims, and nothing is handed over when workers join, leave or die. A
message that is claimed, delayed for a retry or blocked is still in the queue, so it holds back its own key
and no other. Messages without a key never wait.

``msg_id`` is assigned before the commit. When two transactions write one key at the same time without locking
each other out, the later commit may bring the lower number. That message then comes after its turn.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Sequence
from math import inf
from typing import Any

from psycopg import Connection, sql

from changelane.contract.envelope import GROUP
from changelane.contract.sql_text import load_sql
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.fenced import FencedQueue, note_due, read_rows
from changelane.runner.queue.worker_notes import STATE

KEY = sql.SQL(load_sql(__name__, "key"))

STEPS, MOST_STEPS = 500, 8_000
"""How many keys one claim's walk visits at most. The number doubles after each walk that found nothing due.
"""

FIRST, LAST = -(2**63), 2**63 - 1
"""The range of the keys' hashes."""

TURNS = 500
"""How many keys one claim examines at most because a message of theirs was settled."""

REST = 4.0
"""The pause after a walk that brought no more than the other looks, as a multiple of the walk's duration."""

BARREN = 0.1
"""The least number of seconds until the next walk, when a walk over all keys found nothing due."""

FIRST_MISS, LAST_MISS = 0.005, 1.0
"""Seconds until the next look at due messages that another transaction has locked."""

REMEMBERED = 20_000
"""How many keys a worker remembers to look at; it finds others by walking."""


class OrderedQueue(FencedQueue):
    """A queue whose claims hold at most one message of each key.

    A claim looks at the messages that have been due the longest, and takes the first message of each one's
    key. A backlog of few keys can fill that look. Other keys are then found in two ways: the claim looks
    again at keys of which this process settled a message, and it walks over the queue's keys, a part at each
    claim.
    """

    ordered = True
    holds_back = True

    def __init__(self, *, columns: Sequence[str], **options: Any) -> None:
        super().__init__(columns=columns, **options)
        key, held = (KEY.format(headers=sql.SQL(place)) for place in ("headers", "held.headers"))
        touch = sql.SQL(load_sql(__name__, "touch") if "last_read_at" in columns else "")
        walk = sql.SQL(load_sql(__name__, "walk")).format(queue=self.table, key=key)
        stay = sql.SQL(load_sql(__name__, "stay"))
        parts = {"key": key, "touch": touch, "claimed": sql.SQL(load_sql(__name__, "claimed"))}
        self._claims = self._compose_claims("claim_ordered", walk=stay, **parts)
        self._claims_walking = self._compose_claims("claim_ordered", walk=walk, **parts)
        self._stuck = self._compose("stuck", key=held, state=STATE)
        self._lock = threading.Lock()
        self._turns: list[tuple[float, str]] = []
        self._look = inf
        self._crowded = False
        self._start = FIRST
        self._steps = STEPS
        self._walk_at = 0.0
        self._barren = False
        self._miss = FIRST_MISS

    def note_settled(self, deliveries: Sequence[Delivery], *, after: float = 0.0) -> None:
        at = time.monotonic() + after if after else 0.0
        with self._lock:
            for delivery in deliveries:
                name = delivery.headers.get(GROUP)
                if isinstance(name, str) and len(self._turns) < REMEMBERED:
                    heapq.heappush(self._turns, (at, name))

    def claim(self, connection: Connection[Any], *, limit: int, lease: float) -> list[Delivery]:
        """Take up to ``limit`` due messages, each the first of its key, for ``lease`` seconds."""
        began = time.monotonic()
        look = int(min(limit, self._look))
        turns = self._take_turns(began)
        walks = self._crowded and began >= self._walk_at
        values = {
            "limit": limit,
            "look": look,
            "lease": lease,
            "names": [name for _, name in turns],
            "start": self._start,
            "steps": self._steps,
        }
        rows, complete = self._run(connection, self._claims_walking if walks else self._claims, values)
        aged, firsts, due, walked, found, last, waits = rows[0][:7]
        claimed = [row[7:] for row in rows if row[7] is not None]
        if not complete:
            claimed = [self._read_each(connection, row) for row in claimed]
        now = time.monotonic()
        # A look that did not reach its limit has seen every key that has a message due.
        full = aged == look
        self._crowded = full and firsts < aged
        self._look = firsts + firsts // 4 + 1 if self._crowded else inf
        over = not self._crowded
        if walks:
            over = self._note_walk(walked=walked, found=found, last=last)
            spare = found and len(claimed) < limit
            self._walk_at = now if spare else now + max(REST * (now - began), BARREN if over else 0.0)
        missed = due > len(claimed)
        if missed:
            with self._lock:
                for turn in turns:
                    heapq.heappush(self._turns, turn)
        if len(claimed) == limit or (full and not self._crowded):
            self.next_at = now
        elif missed:
            self.next_at, self._miss = now + self._miss, min(LAST_MISS, self._miss * 2)
        else:
            self.next_at = min(self._turns[0][0] if self._turns else inf, inf if over else self._walk_at)
        if not missed:
            self._miss = FIRST_MISS
        taken = read_rows(claimed, queue=self.name, leased_until=began + lease, dated=bool(self._dates))
        note_due(taken, now=began, waits=[waits])
        return taken

    def _take_turns(self, now: float) -> list[tuple[float, str]]:
        turns: list[tuple[float, str]] = []
        with self._lock:
            while self._turns and self._turns[0][0] <= now and len(turns) < TURNS:
                turns.append(heapq.heappop(self._turns))
        return turns

    def _note_walk(self, *, walked: int, found: int, last: int | None) -> bool:
        """Move the walk on; True when all keys have been visited and none had a message due."""
        self._barren = not found and (self._barren or self._start == FIRST)
        partly = walked == self._steps
        self._steps = STEPS if found else min(MOST_STEPS, self._steps * 2)
        self._start = last + 1 if partly and last is not None and last < LAST else FIRST
        return self._barren and self._start == FIRST

    def count_blocked(self, connection: Connection[Any]) -> tuple[int, bool]:
        """How many keys are blocked, and whether other messages exist beside these keys'."""
        row = connection.execute(self._stuck, prepare=False).fetchone()
        return (row[0], row[1]) if row else (0, False)
