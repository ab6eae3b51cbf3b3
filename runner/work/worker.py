"""One worker process: all its consumers, their leases, one poll over all their queues, and the way out."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from changelane.errors import ChangelaneError, DatabaseError
from changelane.manifest import Consumer as Spec
from changelane.runner.work.bell import Bell
from changelane.runner.work.consumer import Consumer
from changelane.runner.work.handler import Handler
from changelane.runner.work.lease import Keeper
from changelane.runner.work.link import Link
from changelane.runner.work.order import OrderedQueue, open_worked
from changelane.runner.work.prune import Pruner
from changelane.runner.work.queue import Queue, explain, load_sql
from changelane.runner.work.verdict import is_passing

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FIRST_POLL = 0.02
LAST_POLL = 1.0
WAIT = 2.0
"""Seconds until a consumer that did nothing for due messages is woken for them again."""

CROWD = 20
"""Notifications after which the worker sees whether it does better without them."""

CROWD_RATE = 300.0
"""Messages a second above which a queue is polled: a notification costs each commit a lock that all share."""

SUMMARY_EVERY = 30.0
BACKLOG_CAP = 10_000


class Worker:
    """Runs until told to stop, or, with ``drain``, until every queue is empty. ``grace`` in seconds."""

    def __init__(
        self,
        *,
        specs: Sequence[Spec],
        handlers: dict[str, Handler],
        conninfo: str,
        drain: bool,
        grace: float,
        log: FilteringBoundLogger,
    ) -> None:
        self._drain = drain
        self._grace = grace
        self._log = log
        self._signal: int | None = None
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._link = Link(conninfo, name="changelane work")
        queues = open_worked(self._link.open(), specs)
        # Asked before there are threads and event loops, which a server gone away would leave behind.
        self._opened = self._link.open().execute(load_sql("opened")).fetchone() == (True,)
        cell = threading.Lock()
        self._consumers = [
            Consumer(
                spec=spec,
                queue=queue,
                handler=handlers[spec.queue],
                conninfo=conninfo,
                cell=cell,
                log=log,
            )
            for spec, queue in zip(specs, queues, strict=True)
        ]
        self._keeper = Keeper(consumers=self._consumers, conninfo=conninfo, log=log)
        self._pruner = Pruner(specs=specs, conninfo=conninfo, log=log)
        self._by_queue = {consumer.spec.queue: consumer for consumer in self._consumers}
        self._bell = Bell(queues=list(self._by_queue), conninfo=conninfo, log=log)
        if not self._opened:
            log.warning("no schema changelane for this role: no wake-up and no pause; run `changelane apply`")
        self._asked_at = 0.0
        self._roused: dict[str, tuple[int, float]] = {}
        self._due = _compose("due" if self._opened else "due_closed", queues)
        self._backlog = _compose("backlog", queues, cap=sql.Literal(BACKLOG_CAP + 1))

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop in order; called again, release what runs and stop; a third time, end on the spot."""
        if self._stop.is_set():
            if self._hurry.is_set():
                os._exit(128 + (self._signal or number))
            self._hurry.set()
        self._signal = self._signal or number
        self._stop.set()
        self._bell.ring()

    def run(self) -> int:
        """Work; returns the exit code: 0, or 130 after SIGINT. Raises what made a consumer give up."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: self.stop(received))
        # Before the first claim, which a queue that is paused already must not see.
        self._heed(self._ask(self._due) or ())
        self._keeper.start()
        self._pruner.start()
        for consumer in self._consumers:
            consumer.start()
        self._log.info(
            "working", queues=[consumer.spec.queue for consumer in self._consumers], pid=os.getpid()
        )
        try:
            self._watch()
        finally:
            self._leave()
        for consumer in self._consumers:
            if consumer.failure is not None:
                raise consumer.failure
        return 130 if self._signal == signal.SIGINT else 0

    def _watch(self) -> None:
        """Wake consumers that have nothing to do: at notifications, and by polls that grow rare meanwhile."""
        interval, looked_at, handled = FIRST_POLL, time.monotonic(), Counter[str]()
        next_look = looked_at
        next_summary = looked_at + SUMMARY_EVERY
        heard: Counter[str] = Counter()
        while not self._stop.is_set():
            notified = self._bell.wait(next_look - time.monotonic())
            for queue in notified:
                self._by_queue[queue].wake()
            heard += notified
            now = time.monotonic()
            if now < next_look and heard.total() < CROWD:
                continue
            if any(not consumer.alive for consumer in self._consumers):
                return
            if now >= next_summary:
                self._summarize()
                next_summary = now + SUMMARY_EVERY
            total = Counter({name: consumer.counts.total() for name, consumer in self._by_queue.items()})
            span = max(now - looked_at, 0.001)
            busy = {name for name in total if (total[name] - handled[name] + heard[name]) / span > CROWD_RATE}
            interval = FIRST_POLL if total != handled else min(LAST_POLL, interval * 2)
            looked_at, handled = now, total
            heard.clear()
            next_look = now + interval
            idle = {name for name, consumer in self._by_queue.items() if consumer.idle}
            if not idle and now - self._asked_at < LAST_POLL:
                self._flag(asleep=idle, busy=busy)
                continue
            if self._flag(asleep=idle - busy, busy=busy):
                interval = FIRST_POLL
            rows = self._ask(self._due)
            if rows is None:
                continue
            self._asked_at = now
            if self._note(rows):
                return
            next_look = now + interval
            for queue, seconds, paused in rows:
                if queue not in idle or paused or seconds is None:
                    continue
                if seconds <= 0:
                    self._rouse(queue, handled=total[queue], now=now)
                else:
                    next_look = min(next_look, now + seconds + 0.001)

    def _rouse(self, name: str, *, handled: int, now: float) -> None:
        """Wake a consumer for what is due, but seldom where that may wait for its key's turn all the time."""
        waits = isinstance(self._by_queue[name].queue, OrderedQueue)
        if waits and self._roused.get(name, (-1, 0.0))[0] == handled and now < self._roused[name][1] + WAIT:
            return
        self._roused[name] = handled, now
        self._by_queue[name].wake()

    def _flag(self, *, asleep: Collection[str], busy: Collection[str]) -> bool:
        """Say of each queue whether its worker sleeps; True when a look at the queues is due after that."""
        if self._drain or not self._opened:
            return False
        working = {name for name, consumer in self._by_queue.items() if not consumer.idle}
        asleep = [name for name in asleep if not self._by_queue[name].paused]
        try:
            connection = self._link.open()
            self._bell.attach(connection)
            return self._bell.update(connection, asleep=asleep, awake={*busy, *working})
        except (psycopg.Error, DatabaseError) as error:
            if isinstance(error, psycopg.Error) and not is_passing(error):
                raise explain(error, queue=", ".join(self._by_queue)) from error
            self._link.close()
            return False

    def _heed(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Pause and resume consumers."""
        for name, _, paused in rows:
            if paused != self._by_queue[name].paused:
                self._by_queue[name].pause(paused)
                self._log.info("paused" if paused else "resumed", queue=name)

    def _note(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Heed pauses; True when all is drained. Raises ChangelaneError for what cannot be."""
        self._heed(rows)
        if not self._drain:
            return False
        left = [(name, seconds, paused) for name, seconds, paused in rows if seconds is not None]
        if not left:
            self._log.info("drained")
            return True
        for name, _, paused in left:
            if paused:
                raise ChangelaneError(
                    f"queue {name} is paused, so it cannot be drained", help=f"run `changelane resume {name}`"
                )
        if all(self._is_stuck(name) for name, _, _ in left):
            raise ChangelaneError(
                f"not drained: in queue {', '.join(name for name, _, _ in left)}, messages that failed for "
                "good block their keys",
                help=f"`changelane unblock {left[0][0]}` tries them again, buries or discards them",
            )
        return False

    def _is_stuck(self, name: str) -> bool:
        consumer = self._by_queue[name]
        queue = consumer.queue
        if not isinstance(queue, OrderedQueue) or consumer.held or not consumer.idle:
            return False
        blocked, others = queue.count_blocked(self._link.open())
        return bool(blocked) and not others

    def _ask(self, statement: sql.Composed) -> list[tuple[Any, ...]] | None:
        """Rows of a statement over all queues, or None while the database is away."""
        try:
            return self._link.open().execute(statement).fetchall()
        except (psycopg.Error, DatabaseError) as error:
            if isinstance(error, psycopg.Error) and not is_passing(error):
                raise explain(error, queue=", ".join(item.spec.queue for item in self._consumers)) from error
            self._link.close()
            return None

    def _summarize(self) -> None:
        backlog = dict(self._ask(self._backlog) or ())
        for consumer in self._consumers:
            count = backlog.get(consumer.spec.queue)
            self._log.info(
                "summary",
                queue=consumer.spec.queue,
                **_shown(consumer.counts),
                in_flight=len(consumer.held),
                backlog=f"{BACKLOG_CAP}+" if count is not None and count > BACKLOG_CAP else count,
            )

    def _leave(self) -> None:
        deadline = time.monotonic() + self._grace
        for consumer in self._consumers:
            consumer.stop(deadline=deadline)
        if self._signal is not None:
            running = sum(len(consumer.held) for consumer in self._consumers)
            self._log.info("stopping", signal=signal.Signals(self._signal).name, in_flight=running)
        while any(consumer.alive for consumer in self._consumers):
            for consumer in self._consumers:
                consumer.join(timeout=0.05)
            if self._hurry.is_set():
                for consumer in self._consumers:
                    consumer.stop(deadline=0.0)
        self._keeper.stop()
        self._pruner.stop()
        self._bell.close()
        for consumer in self._consumers:
            self._log.info("stopped", queue=consumer.spec.queue, **_shown(consumer.counts))
        self._link.close()

    @property
    def consumers(self) -> Sequence[Consumer]:
        return self._consumers

    @property
    def stuck(self) -> bool:
        """Whether handlers run on in threads that cannot be stopped."""
        return any(consumer.stuck for consumer in self._consumers)


def _shown(counts: Counter[str]) -> dict[str, int]:
    names = ["handled", "failed", "dead"] + [
        name for name in ("archived", "blocked", "released", "lost") if counts[name]
    ]
    return {name: counts[name] for name in names}


def _compose(name: str, queues: Sequence[Queue], **parts: sql.Composable) -> sql.Composed:
    """One statement over all queues, a row each."""
    template = sql.SQL(load_sql(name))
    return sql.SQL(" UNION ALL ").join(
        template.format(name=sql.Literal(queue.name), queue=queue.table, **parts) for queue in queues
    )
