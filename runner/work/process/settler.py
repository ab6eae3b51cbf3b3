"""Settles jobs as they end, in a thread and on a connection of its own, so that no claim waits for an ack."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg

from changelane.contract.manifest import Consumer as Spec
from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.fenced import FencedQueue
from changelane.runner.queue.identity import name_session
from changelane.runner.work.outcome.batch_split import divide
from changelane.runner.work.outcome.meter import Meter
from changelane.runner.work.outcome.settle import Fate, settle
from changelane.runner.work.outcome.timings import Timings
from changelane.runner.work.process.prefetch import Prefetch
from changelane.runner.work.process.taker import Take, Taker
from changelane.runner.work.sinks.connection_shares import ConnectionShares
from changelane.runner.work.sinks.job import Job
from changelane.runner.work.sinks.protocol import Sink

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


PAUSE = 0.02
"""The most seconds that a finished message waits for others to be acked with it."""


class Settler:
    """Settles jobs and calls ``progress`` after each round. A permanent failure ends the thread and sets
    ``stopping``. The consumer also sets ``stopping`` to end the thread; it then settles the rest itself.

    ``counts`` holds the number of messages by outcome. ``last_error`` is what failed last, and when: text,
    and seconds since 1970. A thread locks ``renewal`` while it renews or settles: a renewal that overtook a
    retry would undo its delay, because both have the same fencing token.
    """

    def __init__(
        self,
        *,
        spec: Spec,
        queue: FencedQueue,
        conninfo: str,
        stopping: threading.Event,
        progress: Callable[[], None],
        shares: ConnectionShares,
        log: FilteringBoundLogger,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self.meter: Meter | None = None
        self.timings = Timings()
        self.last_error = "", 0.0
        self.renewal = threading.Lock()
        self._spec = spec
        self._queue = queue
        self._stopping = stopping
        self._progress = progress
        self._log = log
        self._reconnecting = ReconnectingConnection(
            conninfo, name=name_session(queue.name), refused=shares.report
        )
        self.taker: Taker | None = None
        self._ended: deque[Job] = deque()
        self._late: deque[list[Delivery]] = deque()
        self._whole: list[Take] = []
        self._unsettled: list[Fate] = []
        self._acks: list[Delivery] = []
        self._enough = max(1, spec.batch, spec.concurrency)
        self._some = threading.Event()
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"settle-{queue.name}", daemon=True)

    def start(self, *, sink: Sink, prefetch: Prefetch) -> None:
        self._sink = sink
        self._prefetch = prefetch
        self._thread.start()

    def put(self, job: Job) -> None:
        """Settle a job that has ended, now."""
        self._ended.append(job)
        self._some.set()
        self._due.set()

    def report(self, job: Job, *, last: bool) -> None:
        """Settle a job that has ended, together with others: unless it is the ``last`` of those that wait,
        more will end soon.
        """
        self._ended.append(job)
        if not self._some.is_set():
            self._some.set()
        if (last or len(self._ended) >= self._enough) and not self._due.is_set():
            self._due.set()

    def ack_late(self, handled: list[Delivery]) -> None:
        """Ack messages that were counted as handled when their take became leases."""
        self._late.append(handled)
        self._some.set()
        self._due.set()

    def join(self) -> None:
        """Wait until the thread has ended, once ``stopping`` is set."""
        self._some.set()
        self._due.set()
        self._thread.join()

    def settle(self, connection: psycopg.Connection[Any]) -> None:
        """Settle every job that has ended. After psycopg.Error, call it again."""
        self._judge()
        self._commit()
        self._write(connection)

    @property
    def _waits(self) -> bool:
        """Whether something judged is not written yet."""
        return bool(self._unsettled or self._acks or self._whole)

    def _judge(self) -> None:
        again: list[Job] = []
        judged: list[Job] = []
        while self._late:
            self._acks += self._late.popleft()
        while self._ended:
            job = self._ended.popleft()
            if not job.ended or job.settled:
                continue
            job.settled = True
            judged.append(job)
            if job.fault is None and not (job.acked or job.missed or job.unfit or job.rest):
                # By far the most: handled, and to be acked with others.
                take = job.handed[0].take if job.handed else None
                if take is None or not take.count(job.handed):
                    self._acks += job.handed
                elif not take.left:
                    self._whole.append(take)
                if self.meter is not None:
                    self.meter.measure(job.handed)
                continue
            take = job.deliveries[0].take
            if take is not None and self.taker is not None:
                if job.acked and not (job.missed or job.unfit):
                    self.taker.release(take)
                else:
                    self.taker.convert(take)
            if job.acked:
                self.counts["handled"] += len(job.handed)
                self._prefetch.drop(job.handed)
                self._queue.note_settled(job.handed)
            fates, following = divide(
                job, consumer=self._spec, transaction=self._sink.transaction, stopping=self._stopping.is_set()
            )
            self._unsettled += fates
            self._note_error(fates)
            if self.meter is not None:
                acked = [delivery for delivery, verdict in fates if verdict.action == "ack"]
                self.meter.measure(job.handed if job.acked else acked)
            if following:
                self._log.warning("a batch failed; part of it is run again", queue=self._queue.name)
                again.append(following)
        self.timings.count(judged)
        if self._spec.fair or self._spec.limit:
            self._prefetch.measure(judged)
        if again:
            self._sink.submit(again)

    def _note_error(self, fates: list[Fate]) -> None:
        for _, verdict in fates:
            if verdict.error:
                # Further lines of a database error quote values of the row.
                self.last_error = verdict.error.partition("\n")[0], time.time()

    def _commit(self) -> None:
        """End the takes of which all was handled. What they lost is due again."""
        whole, self._whole = self._whole, []
        for take in whole:
            assert self.taker is not None
            ended = self.taker.commit(take)
            if ended and ended[0].lost:
                self.counts["lost"] += len(ended)
                self._log.warning(
                    "take lost: its transaction was over, or our commit went through unconfirmed",
                    queue=self._queue.name,
                    msg_ids=[delivery.msg_id for delivery in ended],
                )
            else:
                self.counts["handled"] += len(ended)
            self._prefetch.drop(ended)

    def _write(self, connection: psycopg.Connection[Any]) -> None:
        if not self._unsettled and not self._acks:
            return
        with self.renewal:
            for delivery in self._acks:
                delivery.settling = True
            for delivery, _ in self._unsettled:
                delivery.settling = True
        self.counts += settle(connection, self._queue, self._unsettled, acks=self._acks, log=self._log)
        self._queue.note_settled(self._acks)
        for delivery, verdict in self._unsettled:
            self._queue.note_settled([delivery], after=verdict.delay)
        self._prefetch.drop([*self._acks, *(delivery for delivery, _ in self._unsettled)])
        self._unsettled, self._acks = [], []

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._waits and not self._late:
                    self._some.wait()
                    self._some.clear()
                    self._due.wait(PAUSE)
                    self._due.clear()
                self._judge()
                self._commit()
                if self._unsettled or self._acks:
                    self._reconnecting.attempt(
                        self._write, until=self._stopping, log=self._log, queue=self._queue.name
                    )
                self._progress()
        except BaseException as error:  # noqa: BLE001
            self.failure = error
            self._stopping.set()
            self._progress()
        finally:
            self._reconnecting.close()
