"""One worker process: all its consumers, their leases, one poll over all their queues, and the shutdown."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from math import inf
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from changelane.contract.manifest import Consumer as Spec
from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.connection_watchdog import Watchdog
from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.live.transient import is_passing
from changelane.runner.queue.fenced import compose_each, explain
from changelane.runner.queue.worked import open_worked
from changelane.runner.queue.worker_rights import describe_lack
from changelane.runner.work.process.archive_pruner import ArchivePruner
from changelane.runner.work.process.clock import Clock
from changelane.runner.work.process.consumer import Consumer, list_relays
from changelane.runner.work.process.drain import is_drained
from changelane.runner.work.process.lease_renewer import LeaseRenewer
from changelane.runner.work.process.lifetime import FOREVER, Lifetime
from changelane.runner.work.process.relay_reports import RelayReports
from changelane.runner.work.process.signals import handling_signals
from changelane.runner.work.process.summary import BACKLOG_CAP, log_end, log_summary
from changelane.runner.work.process.supervisor import REPLACE, WORKING
from changelane.runner.work.process.taking_note import mark_vanished
from changelane.runner.work.process.wakeup import Wakeup
from changelane.runner.work.process.worker_reports import WorkerReports
from changelane.runner.work.sinks.connection_shares import ConnectionShares
from changelane.runner.work.sinks.protocol import SinkPlan

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FIRST_POLL = 0.02
LAST_POLL = 1.0
WAIT = 2.0
"""Seconds until a consumer that took none of the due messages is woken for them again."""

MANY = 20
"""Notifications after which the worker checks whether polling is cheaper."""

POLLED_RATE = 300.0
"""Messages a second above which a queue is polled: a notifying commit takes a lock that all share."""

HURRY = 1.0
"""Seconds that remain after a second signal."""

SUMMARY_EVERY = 30.0

MARGIN = 4.0
"""Seconds beyond its grace after which a process that was asked to end is ended, whatever still runs."""


class Worker:
    """Runs until told to stop, or, with ``drain``, until every queue is empty. ``grace`` in seconds.

    ``limit`` receives, with each signal, the seconds within which the process must end, and its exit code.
    ``tell`` reports to the supervisor that the worker works, and that its ``lifetime`` is over. ``signals``
    are the two ends of the signal socket when others watch it too. ``clock`` sends scheduled messages.
    """

    def __init__(
        self,
        *,
        specs: Sequence[Spec],
        sinks: Mapping[str, SinkPlan],
        conninfo: str,
        drain: bool,
        grace: float,
        log: FilteringBoundLogger,
        limit: Callable[[float, int], None] = lambda seconds, code: None,
        lifetime: Lifetime = FOREVER,
        tell: Callable[[bytes], None] = lambda said: None,
        signals: tuple[socket.socket, socket.socket] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock
        self._signals = signals
        self._limit = limit
        self._lifetime = lifetime
        self._tell = tell
        self._old = False
        self._drain = drain
        self._grace = grace
        self._log = log
        self._signal: int | None = None
        self._deadline: float | None = None
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._watchdog = Watchdog(log=log)
        self._watchdog.start()
        shares = ConnectionShares()
        self._reconnecting = ReconnectingConnection(conninfo, name="changelane work", refused=shares.report)
        dated = [queue for queue, plan in sinks.items() if plan.dated]
        queues = open_worked(self._reconnecting.open(), specs, dated=dated)
        # Before any thread or event loop starts, which would remain if the server were gone.
        self._opened = self._reconnecting.open().execute(load_sql(__name__, "opened")).fetchone() == (True,)
        alone = threading.Lock()
        self._consumers = [
            Consumer(
                spec=spec,
                queue=queue,
                plan=sinks[spec.queue],
                conninfo=conninfo,
                alone=alone,
                shares=shares,
                log=log,
            )
            for spec, queue in zip(specs, queues, strict=True)
        ]
        self._lease_renewer = LeaseRenewer(
            consumers=self._consumers, conninfo=conninfo, shares=shares, log=log
        )
        self._archive_pruner = ArchivePruner(specs=specs, conninfo=conninfo, log=log)
        self._by_queue = {consumer.spec.queue: consumer for consumer in self._consumers}
        self._relay_reports = RelayReports(list_relays(self._consumers), log=log)
        self._worker_reports = WorkerReports(self._consumers, log=log) if self._opened else None
        self._asked = False
        self._wakeup = Wakeup(queues=list(self._by_queue), conninfo=conninfo, log=log)
        if not self._opened:
            log.warning(f"no wake-up and no pause: {describe_lack(self._reconnecting.open())}")
        self._asked_at = 0.0
        self._stopped: set[str] = set()
        self._woken_for: dict[str, tuple[int, float]] = {}
        pauses = sql.SQL("changelane.pauses" if self._opened else load_sql(__name__, "closed"))
        self._due = compose_each(load_sql(__name__, "due"), queues, pauses=pauses)
        self._backlog = compose_each(load_sql(__name__, "backlog"), queues, cap=sql.Literal(BACKLOG_CAP + 1))

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop in order. A second call releases running messages and stops; a third ends the process on the
        spot.
        """
        self._signal = self._signal or number
        self._deadline = min(self._deadline or inf, time.monotonic() + self._grace)
        seconds = self._grace + MARGIN
        if self._stop.is_set():
            seconds = 0.0 if self._hurry.is_set() else HURRY
            self._hurry.set()
        self._limit(seconds, self._code)
        self._stop.set()
        self._wakeup.interrupt()

    def retire(self, *, leave: Callable[[], None]) -> None:
        """Stop claiming, ``leave`` the port to the successor, and end when the running handlers have
        ended.
        """
        leave()
        self._log.info("another process works in this one's place; finishing")
        self._deadline = self._deadline or inf
        self._stop.set()
        self._wakeup.interrupt()

    def run(self, *, signals: bool = True) -> int:
        """Work; returns the exit code: 0, or 130 after SIGINT. Raises the error that made a consumer give up.

        With ``signals``, in the main thread only, SIGTERM and SIGINT stop it.
        """
        with handling_signals(self.stop, self._signals) if signals else nullcontext():
            # Before the first claim: a paused queue must not be claimed from.
            self._obey_pauses(self._ask(self._due) or ())
            if self._clock:
                self._clock.tick(self._reconnecting)
            self._lease_renewer.start()
            self._archive_pruner.start()
            for consumer in self._consumers:
                consumer.start()
            self._log.info(
                "working", queues=[consumer.spec.queue for consumer in self._consumers], pid=os.getpid()
            )
            self._tell(WORKING)
            try:
                self._watch()
            finally:
                self._leave()
        for consumer in self._consumers:
            if consumer.failure is not None:
                raise consumer.failure
        return self._code

    @property
    def _code(self) -> int:
        return 130 if self._signal == signal.SIGINT else 0

    def _watch(self) -> None:
        """Wake idle consumers: at notifications, and by polls that grow rarer while nothing happens."""
        interval, looked_at, handled = FIRST_POLL, time.monotonic(), Counter[str]()
        next_look = looked_at
        next_summary = looked_at + SUMMARY_EVERY
        heard: Counter[str] = Counter()
        while not self._stop.is_set():
            notified = self._wakeup.wait(min(next_look, self._scheduled_at) - time.monotonic())
            if self._clock and time.monotonic() >= self._scheduled_at:
                self._clock.tick(self._reconnecting)
            self._relay_reports.tell(self._reconnecting)
            self._report()
            if self._wakeup.lost:
                # Messages sent since then were not announced.
                next_look = min(next_look, time.monotonic() + FIRST_POLL)
            for queue in notified:
                self._by_queue[queue].wake()
            heard += notified
            now = time.monotonic()
            if now < next_look and heard.total() < MANY:
                continue
            if self._has_ended():
                return
            if now >= next_summary:
                self._summarize()
                next_summary = now + SUMMARY_EVERY
            total = Counter({name: consumer.counts.total() for name, consumer in self._by_queue.items()})
            self._check_lifetime(total.total())
            span = max(now - looked_at, 0.001)
            busy = {
                name for name in total if (total[name] - handled[name] + heard[name]) / span > POLLED_RATE
            }
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
            mark_vanished([consumer.taker.note for consumer in self._consumers if consumer.taker], self._ask)
            if self._note(rows):
                return
            next_look = now + interval
            for queue, seconds, paused in rows:
                if queue not in idle or paused or seconds is None:
                    continue
                if seconds <= 0:
                    self._wake_for_due(queue, handled=total[queue], now=now)
                else:
                    next_look = min(next_look, now + seconds + 0.001)

    def _report(self, *, leaving: bool = False) -> None:
        """Tell the database how this process is, and do what people ask of it there."""
        # At the end, nobody waits for a database that is away.
        if self._worker_reports is None or (leaving and self._reconnecting.connection is None):
            return
        state = "stopping" if leaving else "draining" if self._drain else "working"
        asked = self._worker_reports.tell(self._reconnecting, state=state, now=leaving)
        if leaving or not asked or (asked == "drain" and self._drain):
            return
        self._log.info(f"asked to {asked}", process=self._worker_reports.process)
        self._asked = True
        if asked == "stop":
            self.stop()
        else:
            self._drain = True

    def _has_ended(self) -> bool:
        """Whether a consumer gave up, or the sinks of all consumers failed."""
        for consumer in self._consumers:
            if consumer.stopped and consumer.spec.queue not in self._stopped:
                self._stopped.add(consumer.spec.queue)
                self._log.error(
                    "consumer stopped; its messages stay in the queue",
                    queue=consumer.spec.queue,
                    error=str(consumer.failure),
                )
        ended = [consumer for consumer in self._consumers if not consumer.alive]
        return len(ended) > len(self._stopped) or len(self._stopped) == len(self._consumers)

    @property
    def _scheduled_at(self) -> float:
        """When to look at the schedules next. A draining worker looks once, so that it ends."""
        return self._clock.due_at if self._clock and not self._drain else inf

    def _check_lifetime(self, messages: int) -> None:
        reason = "" if self._old else self._lifetime.find_end(messages=messages)
        if reason:
            self._old = True
            self._log.info("to be replaced", reason=reason)
            self._tell(REPLACE)

    def _wake_for_due(self, name: str, *, handled: int, now: float) -> None:
        """Wake a consumer for due messages. If these may only wait for their key's turn, wake it rarely."""
        waits = self._by_queue[name].queue.holds_back
        if (
            waits
            and self._woken_for.get(name, (-1, 0.0))[0] == handled
            and now < self._woken_for[name][1] + WAIT
        ):
            return
        self._woken_for[name] = handled, now
        self._by_queue[name].wake()

    def _flag(self, *, asleep: Collection[str], busy: Collection[str]) -> bool:
        """Flag for each queue whether its worker sleeps; True when the queues must be looked at after
        that.
        """
        if self._drain or not self._opened:
            return False
        working = {name for name, consumer in self._by_queue.items() if not consumer.idle}
        asleep = [name for name in asleep if name not in self._stopped and not self._by_queue[name].paused]
        try:
            connection = self._reconnecting.open()
            self._wakeup.attach(connection)
            return self._wakeup.update(connection, asleep=asleep, awake={*busy, *working})
        except (psycopg.Error, DatabaseError) as error:
            if isinstance(error, psycopg.Error) and not is_passing(error):
                raise explain(error, queue=", ".join(self._by_queue)) from error
            self._reconnecting.close()
            return False

    def _obey_pauses(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Pause and resume consumers."""
        for name, _, paused in rows:
            if paused != self._by_queue[name].paused:
                self._by_queue[name].pause(paused)
                self._log.info("paused" if paused else "resumed", queue=name)

    def _note(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Obey pauses; True when all queues are drained. Raises ChangelaneError for a queue that cannot be
        drained.
        """
        self._obey_pauses(rows)
        if not self._drain:
            return False
        left = [row for row in rows if row[1] is not None and row[0] not in self._stopped]
        return is_drained(
            left,
            consumers=self._by_queue,
            connection=self._reconnecting.open(),
            asked=self._asked,
            log=self._log,
        )

    def _ask(self, statement: sql.Composed) -> list[tuple[Any, ...]] | None:
        """Rows of a statement over all queues, or None while the database is away."""
        try:
            return self._reconnecting.open().execute(statement).fetchall()
        except (psycopg.Error, DatabaseError) as error:
            if isinstance(error, psycopg.Error) and not is_passing(error):
                raise explain(error, queue=", ".join(item.spec.queue for item in self._consumers)) from error
            self._reconnecting.close()
            return None

    def _summarize(self) -> None:
        backlog = dict(self._ask(self._backlog) or ())
        log_summary(self._consumers, backlog=backlog, log=self._log)
        if self._worker_reports:
            self._worker_reports.tell_history(self._reconnecting, backlog)

    def _leave(self) -> None:
        deadline = self._deadline = self._deadline or time.monotonic() + self._grace
        for consumer in self._consumers:
            consumer.stop(deadline=deadline)
        if self._signal is not None:
            running = sum(len(consumer.held) for consumer in self._consumers)
            self._log.info("stopping", signal=signal.Signals(self._signal).name, in_flight=running)
        self._report(leaving=True)
        while any(consumer.alive for consumer in self._consumers):
            for consumer in self._consumers:
                consumer.join(timeout=0.05)
            wanted = 0.0 if self._hurry.is_set() else self._deadline
            if wanted < deadline:
                deadline = wanted
                for consumer in self._consumers:
                    consumer.stop(deadline=deadline)
        self._relay_reports.end(self._reconnecting)
        if self._worker_reports and self._reconnecting.connection is not None:
            self._worker_reports.end(self._reconnecting)
        self._lease_renewer.stop()
        self._archive_pruner.stop()
        self._wakeup.close()
        self._watchdog.stop()
        log_end(self._consumers, log=self._log)
        self._reconnecting.close()

    @property
    def consumers(self) -> Sequence[Consumer]:
        return self._consumers

    @property
    def stuck(self) -> bool:
        """Whether handlers still run in threads that cannot be stopped."""
        return any(consumer.stuck for consumer in self._consumers)
