"""Works one queue: claims, hands to handlers, settles. One thread, one connection."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import psycopg

from changelane.errors import DatabaseError
from changelane.manifest import Consumer as Spec
from changelane.runner.work.division import divide
from changelane.runner.work.handler import Handler
from changelane.runner.work.job import Job
from changelane.runner.work.link import Link
from changelane.runner.work.message import Delivery
from changelane.runner.work.pace import Pace
from changelane.runner.work.pool import make_pool
from changelane.runner.work.queue import Queue, explain
from changelane.runner.work.settle import Fate, settle
from changelane.runner.work.stock import Stock
from changelane.runner.work.tasks import Loop
from changelane.runner.work.verdict import Released, TimedOut, is_transient

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from changelane.runner.work.metrics import Meter

ACK_PAUSE = 0.02
"""Seconds that a finished message waits at most for others to be acked with."""

LAST_PAUSE = 5.0
"""Seconds between attempts to reconnect, at most."""


class Consumer:
    """Claims for one handler, no more than it can soon use.

    ``idle`` means that nothing more is to be had until ``wake``.
    """

    def __init__(
        self,
        *,
        spec: Spec,
        queue: Queue,
        handler: Handler,
        conninfo: str,
        loop: Loop | None,
        cell: threading.Lock,
        log: FilteringBoundLogger,
    ) -> None:
        self.spec = spec
        self.queue = queue
        self.counts: Counter[str] = Counter()
        self.idle = False
        self.failure: BaseException | None = None
        self.meter: Meter | None = None
        self._log = log
        self._transaction = handler.transaction
        self._ended: deque[Job] = deque()
        self._unsettled: list[Fate] = []
        # A renewal that overtook a retry would undo its delay: both bear the same fencing token.
        self.renewal = threading.Lock()
        self._event = threading.Event()
        self._stopping = threading.Event()
        self._deadline: float | None = None
        self._link = Link(conninfo, name=f"changelane work {queue.name}")
        self._pause = 0.0
        self._woken = False
        self._pace = Pace(rate=spec.rate)
        self._pool = make_pool(
            handler=handler, queue=queue, spec=spec, conninfo=conninfo, loop=loop, report=self._report
        )
        self._stock = Stock(
            spec=spec, handler=handler, pool=self._pool, cell=cell, conclude=self._ended.append
        )
        self._timeout = None if handler.asynchronous else spec.timeout
        self._thread = threading.Thread(target=self._run, name=f"consume-{queue.name}", daemon=True)

    @property
    def held(self) -> list[Delivery]:
        """What is claimed and not settled; a copy."""
        return self._stock.snapshot()

    def start(self) -> None:
        self._pool.start()
        self._thread.start()

    def wake(self) -> None:
        """Messages are due."""
        self._woken = True
        self.idle = False
        self._event.set()

    @property
    def paused(self) -> bool:
        return self._pace.paused

    def pause(self, paused: bool) -> None:
        """Claim no more and give back what no handler has, or go on."""
        self._pace.paused = paused
        self.wake()

    def stop(self, *, deadline: float) -> None:
        """Claim no more, release what no handler has, wait for the rest until ``deadline`` (monotonic)."""
        self._deadline = deadline
        self._stopping.set()
        self._event.set()

    def join(self, *, timeout: float) -> None:
        self._thread.join(timeout)

    @property
    def stuck(self) -> bool:
        """Whether handlers still run."""
        return bool(self._pool.running)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def expire(self) -> list[int]:
        """Fail jobs that ran past their timeout; returns the server processes of their transactions.

        For handlers in threads, which cannot be stopped: the result is discarded when it comes, and until
        then the thread keeps its slot.
        """
        if self._timeout is None:
            return []
        backends = []
        limit = time.monotonic() - self._timeout
        for job in self._pool.running.copy():
            if job.started is None or job.started > limit or job.ended:
                continue
            if job.end(TimedOut(f"the handler ran longer than its timeout of {self._timeout:g} s")):
                self._log.error(
                    "handler past its timeout; its thread cannot be stopped and keeps its slot",
                    queue=self.queue.name,
                    msg_ids=[delivery.msg_id for delivery in job.deliveries],
                    timeout=self._timeout,
                )
                if job.backend is not None:
                    backends.append(job.backend)
                self._ended.append(job)
                self._event.set()
        return backends

    def _report(self, job: Job) -> None:
        self._ended.append(job)
        full = len(self._ended) * 4 >= self._stock.size
        if (full or not self._pool.waiting) and not self._event.is_set():
            self._event.set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._guarded(self._turn)
            self._finish()
        except psycopg.Error as error:
            self.failure = explain(error, queue=self.queue.name)
        except BaseException as error:  # noqa: BLE001
            self.failure = error
        finally:
            self._link.close()

    def _guarded(self, step: Any) -> bool:
        """Run a step; after a transient error drop the connection and pause. True when it went well."""
        try:
            step(self._link.open())
            self._pause = 0.0
            return True
        except (psycopg.Error, DatabaseError) as error:
            if not is_transient(error):
                raise
            self._link.close()
            self._pause = min(LAST_PAUSE, self._pause * 2 or 0.1)
            self._log.warning(
                "database unavailable; trying again",
                queue=self.queue.name,
                retry_in=self._pause,
                error=str(error).partition("\n")[0],
            )
            self._stopping.wait(self._pause)
            return False

    def _turn(self, connection: psycopg.Connection[Any]) -> None:
        if self.paused:
            self._stock.give_back()
        if self._settle(connection):
            self.idle = False
        self.counts["lost"] += self._stock.dispatch_suspects(connection, self.queue)
        limit, busy = self._pace.admit(self._stock.measure_room()), bool(self._stock)
        if limit and (not self.idle or self._pace.is_wading(busy=busy)):
            self._claim(connection, limit=limit, busy=busy)
            return
        # Handlers with a stock say only now and then that they finished something, those without always: so
        # the stock is to be looked at first.
        timeout = ACK_PAUSE if self._pool.waiting else None
        if self._stock.measure_room() and (pause := self._pace.measure_pause(idle=self.idle, busy=busy)):
            timeout = min(timeout or pause, pause)
        if not self._ended:
            self._event.wait(timeout)
        self._event.clear()

    def _claim(self, connection: psycopg.Connection[Any], *, limit: int, busy: bool) -> None:
        self._woken = False
        look = self._pace.choose_look(limit, busy=busy)
        began = time.monotonic()
        claimed = self.queue.claim(connection, limit=limit, lease=self.spec.lease, look=look)
        self._stock.add(claimed)
        looked, full = self.queue.looked, self.queue.full
        self._pace.note(claimed=len(claimed), looked=looked, full=full, seconds=time.monotonic() - began)
        # Of the messages that were passed, each waits for one that will be settled, here or elsewhere.
        self.idle = (not full or looked > len(claimed)) and not self._woken

    def _settle(self, connection: psycopg.Connection[Any]) -> bool:
        """Settle every job that ended; True when there was one."""
        if not self._ended and not self._unsettled:
            return False
        again: list[Job] = []
        while self._ended:
            job = self._ended.popleft()
            if not job.ended or job.settled:
                continue
            job.settled = True
            if job.acked:
                self.counts["handled"] += len(job.handed)
                self._stock.drop(job.handed)
            fates, following = divide(
                job, consumer=self.spec, transaction=self._transaction, stopping=self._stopping.is_set()
            )
            self._unsettled += fates
            if self.meter is not None:
                self.meter.measure(job, fates)
            if following:
                self._log.warning("a batch failed; part of it is run again", queue=self.queue.name)
                again.append(following)
        if again:
            self._pool.submit(again)
        if self._unsettled:
            with self.renewal:
                for delivery, _ in self._unsettled:
                    delivery.settling = True
            self.counts += settle(connection, self.queue, self._unsettled, log=self._log)
            self._stock.drop([delivery for delivery, _ in self._unsettled])
            self._unsettled = []
        return True

    def _finish(self) -> None:
        """Release what no handler took, wait for those that run, cancel them past the deadline."""
        self._stock.give_back()
        self._guarded(self._settle)
        while self._pool.running and time.monotonic() < (self._deadline or 0.0):
            self._event.wait(0.1)
            self._event.clear()
            self._guarded(self._settle)
        if self._pool.running:
            self._log.warning(
                "handlers still running at the end of the grace; their messages are released",
                queue=self.queue.name,
                running=len(self._pool.running),
            )
            self._pool.cancel()
            self._event.wait(0.5)
            for job in self._pool.running.copy():
                if job.end(Released()):
                    self._ended.append(job)
        self._guarded(self._settle)
        self._pool.close()
