"""A queue whose groups take turns, and whose groups or whole have limits over all workers.

A claim walks over an index on (group, ``vt``), from the group after the one that this process served last. It
enters the index once for each group, so a group's backlog costs the others nothing. Nobody owns a group.

The claim itself judges limits, because there all workers meet. Claims of a queue with limits take turns by an
advisory lock, for the length of their transaction. The queue says how many messages of a group are handled:
they are leased. So the place of a worker that died is free when its leases end. Rates are token buckets, a
row each in ``changelane.buckets``, which the claim also writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Any

from psycopg import Connection, Cursor, sql

from changelane.contract.groups import LEASED, list_claim_indexes, spell_group
from changelane.contract.manifest import Consumer, Fair, Limit
from changelane.contract.queue_name import queue_table
from changelane.contract.sql_text import load_sql
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.fenced import FencedQueue, read_rows

STEPS, MOST_STEPS = 500, 8_000
"""How many groups one claim visits at most. The number doubles after each claim that found nothing."""

BURST = 0.5
"""Seconds of a rate that may be saved up, at least one message: 5 % of what 10 seconds bring."""

FIRST_LOOK, LAST_LOOK = 0.05, 0.5
"""Seconds until the next look at groups whose messages only another process can make claimable."""

REST = 4.0
"""The pause after a claim that visited a part of the groups and found nothing, as a multiple of its duration.
"""

LOWEST, HIGHEST = -(2**63), 2**63 - 1
"""The range of the groups' hashes."""

_COLUMNS = 10
"""Columns of a claim before those of its messages."""


class FairQueue(FencedQueue):
    """``limited``: claims count what all processes handle, so they take turns."""

    def __init__(
        self, *, columns: Sequence[str], fair: Fair | None, limit: Limit | None, **options: Any
    ) -> None:
        super().__init__(columns=columns, **options)
        bounds = [bound for bound in (fair, limit) if bound is not None]
        self.limited = any(bound.concurrency or bound.rate for bound in bounds)
        self.holds_back = self.limited
        self._group = sql.SQL(spell_group(fair.by).replace("%", "%%")) if fair else None
        self._counts = any(bound.concurrency for bound in bounds)
        self._refills = [1 / bound.rate for bound in bounds if bound.rate]
        claimed: sql.Composable = sql.SQL(load_sql(__name__, "claimed"))
        if self._counts:
            claimed = sql.SQL(load_sql(__name__, "unseen")).format(claimed=claimed)
        due = sql.SQL(load_sql(__name__, "fair_due") if self._group else _OLDEST)
        self._claims = self._compose_claims(
            "claim_fair",
            walk=self._compose_walk(fair),
            due=due.format(group=self._group) if self._group else due,
            room=self._allow(limit, inside=sql.SQL(""), grp=sql.SQL("0"), whole=True),
            room_wait=self._wait(limit, grp=sql.SQL("0"), whole=True),
            touch=sql.SQL(load_sql(__name__, "touch") if "last_read_at" in columns else ""),
            claimed=claimed,
            spent=self._spend(fair, limit),
            # A crash of the server must not undo a claim whose message is being handled.
            hurry=sql.SQL("NULL" if self._counts else "set_config('synchronous_commit', 'off', true)"),
        )
        lock = sql.SQL(load_sql(__name__, "fair_lock"))
        self._lock = lock.format(name=_quote(f"changelane:claim:{self.name}")).as_bytes()
        # Workers that begin together begin at different groups.
        self._start = int.from_bytes(os.urandom(8), "big", signed=True)
        self._steps = STEPS
        self._look = FIRST_LOOK

    def claim(self, connection: Connection[Any], *, limit: int, lease: float) -> list[Delivery]:
        """Take up to ``limit`` due messages for ``lease`` seconds, of as many groups as there are."""
        began = time.monotonic()
        values = {"limit": limit, "lease": lease, "start": self._start, "steps": self._steps}
        rows, complete = self._run(connection, self._claims, values)
        steps, last, ready, served, more, spent, wait, busy, *_ = rows[0][:_COLUMNS]
        claimed = [row[_COLUMNS:] for row in rows if row[_COLUMNS] is not None]
        if not complete:
            claimed = [self._read_each(connection, row) for row in claimed]
        self._start = last
        cut = self._group is not None and steps == self._steps
        self._steps = STEPS if claimed else min(MOST_STEPS, self._steps * 2)
        self._look = FIRST_LOOK if claimed else min(LAST_LOOK, self._look * 2)
        now = time.monotonic()
        if more or not complete or len(claimed) == limit or (cut and claimed):
            self.next_at = now
        elif cut:
            self.next_at = now + REST * (now - began)
        else:
            waits = [wait] if wait is not None else []
            waits += self._refills if spent and claimed else []
            waits += [self._look] if busy or served < ready or (spent and claimed and self._counts) else []
            self.next_at = now + min(waits, default=inf)
        dues = {row[_COLUMNS]: began - row[_COLUMNS - 1] for row in rows if row[_COLUMNS] is not None}
        taken = read_rows(claimed, queue=self.name, leased_until=began + lease, dated=bool(self._dates))
        for delivery in taken:
            delivery.due = dues[delivery.msg_id]
        return taken

    def _execute(
        self, connection: Connection[Any], claim: bytes, values: dict[str, Any]
    ) -> Cursor[tuple[Any, ...]]:
        if not self.limited:
            return super()._execute(connection, claim, values)
        # One message to the server, and one transaction. The second statement sees what the claim before it
        # committed, because its snapshot is taken when the lock is held.
        spelled = {name.encode(): f"'{value}'".encode() for name, value in values.items()}
        cursor = connection.execute(self._lock + claim % spelled, prepare=False)
        cursor.nextset()
        return cursor

    def _compose_walk(self, fair: Fair | None) -> sql.Composed:
        if fair is None or self._group is None:
            return sql.SQL(load_sql(__name__, "fair_whole")).format(queue=self.table)
        inside = sql.SQL("{} = next.grp AND").format(self._group)
        return sql.SQL(load_sql(__name__, "fair_walk")).format(
            group=self._group,
            queue=self.table,
            allowed=self._allow(fair, inside=inside, grp=_NEXT, whole=False),
            wait=self._wait(fair, grp=_NEXT, whole=False),
        )

    def _allow(
        self, bounds: Limit | None, *, inside: sql.Composable, grp: sql.Composable, whole: bool
    ) -> sql.Composable:
        """SQL of how many more messages the bounds allow; null for no bound."""
        parts: list[sql.Composable] = [_NULL]
        if bounds and bounds.concurrency:
            leased = sql.SQL(load_sql(__name__, "fair_leased"))
            most = sql.Literal(bounds.concurrency)
            parts.append(leased.format(queue=self.table, inside=inside, leased=sql.SQL(LEASED), most=most))
        if bounds and bounds.rate:
            tokens = self._count_tokens(bounds.rate, grp=grp, whole=whole)
            parts.append(sql.SQL("floor({} + 0.000001)::bigint").format(tokens))
        return sql.SQL("least({})").format(sql.SQL(", ").join(parts))

    def _wait(self, bounds: Limit | None, *, grp: sql.Composable, whole: bool) -> sql.Composable:
        """SQL of the seconds until the rate allows a message; null where it allows one now."""
        if bounds is None or not bounds.rate:
            return sql.SQL("NULL::float8")
        tokens = self._count_tokens(bounds.rate, grp=grp, whole=whole)
        wait = sql.SQL("nullif(greatest(0, (0.999999 - {}) / {}), 0)")
        return wait.format(tokens, sql.Literal(bounds.rate))

    def _count_tokens(self, rate: float, *, grp: sql.Composable, whole: bool) -> sql.Composed:
        return sql.SQL(load_sql(__name__, "fair_tokens")).format(
            name=_quote(self.name), grp=grp, whole=sql.Literal(whole), **_measure(rate)
        )

    def _spend(self, fair: Fair | None, limit: Limit | None) -> sql.Composable:
        """SQL of the calls that take the tokens of what was claimed."""
        spent: list[sql.Composable] = [_NULL]
        for bounds, whole, groups, counts in (
            (fair, False, "array_agg(grp)", "array_agg(count)"),
            (limit, True, "ARRAY[0]::bigint[]", "ARRAY[sum(count)]::bigint[]"),
        ):
            if bounds and bounds.rate:
                spend = sql.SQL(load_sql(__name__, "fair_spend"))
                spent.append(
                    spend.format(
                        name=_quote(self.name), groups=sql.SQL(groups), counts=sql.SQL(counts),
                        whole=sql.Literal(whole), **_measure(bounds.rate),
                    )
                )  # fmt: skip
        return sql.SQL("concat({})").format(sql.SQL(", ").join(spent))


_OLDEST = "vt <= statement_timestamp() ORDER BY vt"
_NULL = sql.SQL("NULL::bigint")
_NEXT = sql.SQL("next.grp")


def _measure(rate: float) -> dict[str, sql.Composable]:
    return {
        "rate": sql.SQL(f"{rate!r}::float8"),
        "most": sql.SQL(f"{max(1.0, rate * BURST)!r}::float8"),
    }


def _quote(text: str) -> sql.SQL:
    """A literal in a statement whose placeholders are filled in later."""
    return sql.SQL(sql.Literal(text).as_string().replace("%", "%%"))


def list_fair(consumers: Sequence[Consumer]) -> dict[str, Callable[..., FairQueue]]:
    """By queue, what opens the queues of consumers with turns or limits."""
    return {
        consumer.queue: partial(FairQueue, fair=consumer.fair, limit=consumer.limit)
        for consumer in consumers
        if consumer.fair or consumer.limit
    }


def find_unindexed(connection: Connection[Any], consumers: Sequence[Consumer]) -> list[str]:
    """The queues of consumers that lack an index for turns or limits. Raises psycopg.Error."""
    wanted = {
        (queue_table(consumer.queue) + index.suffix, f"btree {index.definition}"): consumer.queue
        for consumer in consumers
        for index in list_claim_indexes(consumer.fair.by if consumer.fair else (), consumer.counts)
    }
    if not wanted:
        return []
    names = [name for name, _ in wanted]
    found = set(connection.execute(load_sql(__name__, "fair_indexed"), {"names": names}).fetchall())
    return sorted({queue for index, queue in wanted.items() if index not in found})
