"""Runs plain handlers, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, cast

from changelane.runner.work.fault import LeaseLost
from changelane.runner.work.handler import Handler, check_result
from changelane.runner.work.inside import make_context
from changelane.runner.work.job import Job
from changelane.runner.work.lent import LentConnection
from changelane.runner.work.link import Link
from changelane.runner.work.queue import Queue
from changelane.runner.work.transaction import blame, check_transaction, excusing

RECONNECT_PAUSE = 0.5


class Threads:
    """``size`` threads that take jobs in order; ``report`` is called, in the thread, after each."""

    def __init__(
        self, *, handler: Handler, queue: Queue, conninfo: str, size: int, report: Callable[[Job], None]
    ) -> None:
        self.size = size
        self.running: set[Job] = set()
        self._handler = handler
        self._queue = queue
        self._conninfo = conninfo
        self._report = report
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{queue.name}-{number}", daemon=True)
            for number in range(size)
        ]

    @property
    def waiting(self) -> int:
        return self._waiting.qsize()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def submit(self, jobs: list[Job]) -> None:
        for job in jobs:
            self._waiting.put(job)

    def withdraw(self) -> list[Job]:
        """Take back what no thread has taken yet."""
        jobs: list[Job] = []
        while True:
            try:
                job = self._waiting.get_nowait()
            except Empty:
                return jobs
            if job is not None:
                jobs.append(job)

    def cancel(self) -> None:
        """A thread cannot be stopped from outside; those still running end with the process."""

    def close(self) -> None:
        """Let the threads end and close their connections, once they have nothing to do."""
        for _ in self._threads:
            self._waiting.put(None)

    def _serve(self) -> None:
        link = Link(self._conninfo, name=f"changelane work {self._queue.name}", kind=LentConnection)
        while (job := self._waiting.get()) is not None:
            self.running.add(job)
            try:
                self._run(job, cast(LentConnection, link.open()) if self._handler.transaction else None)
            except BaseException as error:  # noqa: BLE001
                fault = blame(error, cast(LentConnection | None, link.connection), begun=job.begun)
                job.end(fault)
                if fault.kind == "transient":
                    # It may be what is wrong: read-only, or with plans of tables as they were.
                    link.close()
                if link.connection is None and self._handler.transaction:
                    time.sleep(RECONNECT_PAUSE)
            finally:
                self.running.discard(job)
                self._report(job)
        link.close()

    def _run(self, job: Job, connection: LentConnection | None) -> None:
        changes = job.start(self._handler.row)
        if not changes:
            job.end()
            return
        argument: Any = changes if self._handler.batch else changes[0]
        if connection is None:
            self._call(job, argument)
            job.end()
            return
        job.backend = connection.info.backend_pid
        connection.begin()
        with connection.transaction():
            self._call(job, argument, connection)
            check_transaction(connection)
            with excusing():
                held = self._queue.ack_within(connection, job.handed)
            if held != len(job.handed):
                raise LeaseLost
        job.end(acked=True)

    def _call(self, job: Job, *arguments: Any) -> None:
        context = make_context(job)
        job.begun = True
        check_result(context.run(self._handler.function, *arguments))
