"""Runs plain handlers, each in a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any

from changelane.runner.live.connection_watchdog import BEGIN
from changelane.runner.live.forked_child import count_forks, end_child
from changelane.runner.live.reconnecting import FIRST_PAUSE
from changelane.runner.live.transient import is_passing
from changelane.runner.queue.delivery import Content
from changelane.runner.queue.identity import name_session
from changelane.runner.work.handlers.call_context import make_context
from changelane.runner.work.handlers.job_queue import JobQueue
from changelane.runner.work.handlers.lender import Lender
from changelane.runner.work.handlers.lent_connection import LentConnection
from changelane.runner.work.handlers.signature import Handler, check_result
from changelane.runner.work.handlers.transaction import blame, check_transaction, is_late
from changelane.runner.work.sinks.connection_shares import PAUSE, GiveUpConnection
from changelane.runner.work.sinks.job import Job
from changelane.runner.work.sinks.protocol import Host


class ThreadPool:
    """A sink of ``size`` threads that take jobs in order, and report each themselves."""

    cancels = False
    overrun = "handler past its timeout; its thread cannot be stopped and keeps its slot"
    held_until = 0.0
    failure = None
    relay_state = None

    def __init__(self, *, handler: Handler, host: Host, size: int) -> None:
        self.batch = handler.batch
        self.transaction = handler.transaction
        # A single message is no less work taken than leased.
        self.lends = LentConnection if handler.transaction and handler.batch else None
        self.size = size
        self.running: set[Job] = set()
        self._handler = handler
        self._queue = host.queue
        self._conninfo = host.conninfo
        self._report = host.report
        self._shares = host.shares
        self._lenders: list[Lender] = []
        self._giving_up = False
        self._waiting: JobQueue[Job | GiveUpConnection | None] = JobQueue()
        self._reserved: dict[Lender, Job] = {}
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{host.queue.name}-{number}", daemon=True)
            for number in range(size)
        ]

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._reserved)

    @property
    def connected(self) -> int:
        return sum(lender.connection is not None for lender in self._lenders)

    def give_up_connection(self) -> None:
        """Give a connection up as soon as a thread is free."""
        if not self._giving_up:
            self._giving_up = True
            self._waiting.put([GiveUpConnection()])

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def submit(self, jobs: list[Job]) -> None:
        self._waiting.put(jobs)

    def withdraw(self) -> list[Job]:
        """Take back the jobs that no thread has taken yet."""
        taken = self._waiting.withdraw()
        jobs = [job for job in taken if isinstance(job, Job)]
        if len(jobs) < len(taken):
            self._giving_up = False
        while self._reserved:
            with suppress(KeyError):
                jobs.append(self._reserved.popitem()[1])
        return jobs

    def cancel(self) -> None:
        """Does nothing: a thread cannot be stopped from outside. Running threads end with the process."""

    def close(self) -> None:
        """Let the threads end and close their connections when they are idle."""
        self._closing.set()
        self._waiting.set_brief(False)
        self._waiting.put([None] * len(self._threads))

    def _serve(self) -> None:
        lender = Lender(
            self._conninfo,
            name=name_session(self._queue.name),
            refused=lambda: self._shares.report(self),
        )
        self._lenders.append(lender)
        own = threading.Lock()
        own.acquire()
        while (job := self._take(lender, own)) is not None:
            if isinstance(job, GiveUpConnection):
                self._give_up(lender)
                continue
            self.running.add(job)
            try:
                done = self._handle(job, lender)
            finally:
                self.running.discard(job)
            if done or job.ended:
                self._report(job)
                if not self.transaction and job.started is not None and job.finished is not None:
                    self._waiting.note(job.finished - job.started)
            else:
                # Another thread may have a connection.
                self._waiting.put([job])
                self._closing.wait(lender.outage.measure_pause())
        lender.close()

    def _take(self, lender: Lender, own: threading.Lock) -> Job | GiveUpConnection | None:
        # Also when the connection was lost since: nobody else would take the job that is set aside.
        reserved = self._reserved.pop(lender, None)
        if reserved is not None:
            return reserved
        if lender.connection is not None:
            lender.rest()
        return self._waiting.take(own)

    def _reserve(self, lender: Lender) -> bool:
        """Set the thread's next job aside, if one waits and no other thread is free for it."""
        job = self._waiting.take_early()
        if isinstance(job, Job):
            self._reserved[lender] = job
            return True
        if job is not None:
            self._waiting.put([job])
        return False

    def _give_up(self, lender: Lender) -> None:
        if lender.connection is None:
            # Only a thread that has a connection can give one up.
            self._waiting.put([GiveUpConnection()])
            self._closing.wait(FIRST_PAUSE)
            return
        lender.close()
        self._giving_up = False
        self._closing.wait(PAUSE)

    def _handle(self, job: Job, lender: Lender) -> bool:
        """Run a job; False when its handler could not begin because no connection was available."""
        while True:
            fresh = lender.connection is None
            try:
                self._run(job, lender)
            except BaseException as error:  # noqa: BLE001
                take = job.deliveries[0].take
                if take is None and not job.begun and is_passing(error):
                    lender.close()
                    if fresh:
                        return False
                    continue
                lent = job.connection if isinstance(job.connection, LentConnection) else lender.lent
                fault = blame(error, lent, begun=job.begun, never=self._handler.never)
                if take is not None and fault.kind == "failed" and lent is not None and is_late(lent):
                    take.unfit, fault = True, replace(fault, kind="transient")
                elif fault.kind == "transient":
                    # The connection itself may be the cause: it is read-only, or holds stale plans.
                    lender.close()
                job.end(fault)
            return True

    def _run(self, job: Job, lender: Lender) -> None:
        if not self._handler.transaction:
            contents = job.start(self._handler.takes.read)
            if contents:
                self._call(job, contents)
            job.end()
            return
        take = job.deliveries[0].take
        if take is not None and take.start():
            try:
                self._run_taken(job, take.connection.connection)
                take.left = 0
            finally:
                take.running = False
            return
        connection = job.connection = lender.lend()
        connection.wire.cancels, connection.wire.limit = False, BEGIN
        with connection.hold():
            lender.outage.end()
            contents = job.start(self._handler.takes.read)
            if not contents:
                job.end()
                return
            connection.wire.limit = inf
            try:
                self._call(job, contents, connection)
            finally:
                connection.wire.limit = lender.limit
            check_transaction(connection)
            connection.acknowledge(
                self._queue.spell_ack(job.handed),
                count=len(job.handed),
                follow=not lender.pooled and self._reserve(lender),
            )
        job.end(acked=True)

    def _run_taken(self, job: Job, connection: LentConnection) -> None:
        """Run a job in the transaction that took its messages."""
        job.connection = connection
        limit = connection.wire.limit
        connection.wire.cancels = False
        with connection.hold():
            contents = job.start(self._handler.takes.read)
            if not contents:
                job.end()
                return
            connection.wire.limit = inf
            try:
                self._call(job, contents, connection)
            finally:
                connection.wire.limit = limit
            check_transaction(connection)
            connection.acknowledge(self._queue.spell_ack(job.handed), count=len(job.handed), follow=False)
        job.end(acked=True)

    def _call(self, job: Job, contents: list[Content], *arguments: Any) -> None:
        argument: Any = contents if self._handler.batch else contents[0]
        context = make_context(job)
        job.begun = True
        parent = count_forks()
        try:
            result = context.run(self._handler.function, argument, *arguments)
        except BaseException as error:
            end_child(parent, error)
            raise
        end_child(parent)
        if result is not None:
            check_result(result)
