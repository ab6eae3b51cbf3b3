"""Runs async handlers: tasks on an event loop that each queue has to itself, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from changelane.runner.database import connect_async
from changelane.runner.work.handler import Handler, check_result
from changelane.runner.work.job import Job, LeaseLost
from changelane.runner.work.queue import Queue
from changelane.runner.work.transaction import blame, check_transaction, excusing
from changelane.runner.work.verdict import Released, TimedOut

RECONNECT_PAUSE = 0.5


class Tasks:
    """``size`` tasks that take jobs in order; ``report`` is called, in the loop's thread, after each."""

    def __init__(
        self,
        *,
        handler: Handler,
        queue: Queue,
        conninfo: str,
        size: int,
        timeout: float | None,
        report: Callable[[Job], None],
    ) -> None:
        self.size = size
        self.running: set[Job] = set()
        self._handler = handler
        self._queue = queue
        self._conninfo = conninfo
        self._timeout = timeout
        self._report = report
        # Not shared with other queues: a handler that blocks it holds up its own kind only.
        self._loop = asyncio.new_event_loop()
        self._waiting: deque[Job] = deque()
        self._ready: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        async def begin() -> None:
            self._tasks = [asyncio.create_task(self._serve()) for _ in range(self.size)]

        threading.Thread(target=self._turn, name=f"asyncio-{self._queue.name}", daemon=True).start()
        asyncio.run_coroutine_threadsafe(begin(), self._loop).result()

    def _turn(self) -> None:
        # A handler may stop the loop that runs it.
        while True:
            self._loop.run_forever()

    def submit(self, jobs: list[Job]) -> None:
        self._waiting.extend(jobs)
        self._loop.call_soon_threadsafe(self._rouse)

    def withdraw(self) -> list[Job]:
        """Take back what no task has taken yet."""
        jobs = []
        while True:
            try:
                jobs.append(self._waiting.popleft())
            except IndexError:
                return jobs

    def cancel(self) -> None:
        """Cancel the running handlers; their messages are released, not failed."""
        self._closing = True
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._tasks])

    def close(self) -> None:
        """Let the tasks end and close their connections, once they have nothing to do."""
        self._closing = True
        self._loop.call_soon_threadsafe(self._rouse)

    def _rouse(self) -> None:
        count = self.size if self._closing else len(self._waiting)
        while count and self._ready:
            sleeper = self._ready.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                count -= 1

    async def _take(self) -> Job | None:
        while True:
            try:
                return self._waiting.popleft()
            except IndexError:
                if self._closing:
                    return None
                sleeper = self._loop.create_future()
                self._ready.append(sleeper)
                try:
                    await sleeper
                except asyncio.CancelledError:
                    # Of a handler that cancelled its own task, and ended before that took effect.
                    if self._closing:
                        raise

    async def _serve(self) -> None:
        connection: AsyncConnection[Any] | None = None
        while (job := await self._take()) is not None:
            self.running.add(job)
            try:
                if self._handler.transaction and (connection is None or connection.closed):
                    connection = await self._connect()
                await self._run(job, connection)
            except asyncio.CancelledError as error:
                if self._closing:
                    job.end(Released())
                    raise
                job.end(error)
            except BaseException as error:  # noqa: BLE001
                job.end(blame(error, connection))
                if connection is None and self._handler.transaction:
                    await asyncio.sleep(RECONNECT_PAUSE)
            finally:
                self.running.discard(job)
                self._report(job)
        if connection is not None:
            await connection.close()

    async def _connect(self) -> AsyncConnection[Any]:
        name = f"changelane work {self._queue.name}"
        connection = await connect_async(self._conninfo, application_name=name)
        found = await (await connection.execute("SELECT pg_catalog.pg_backend_pid()")).fetchone()
        if found != (connection.info.backend_pid,):
            # As a Link: behind a pooler, nothing is prepared.
            connection.prepare_threshold = None
        return connection

    async def _run(self, job: Job, connection: AsyncConnection[Any] | None) -> None:
        changes = job.start(self._handler.row)
        if not changes:
            job.end()
            return
        argument: Any = changes if self._handler.batch else changes[0]
        if connection is None:
            await self._call(argument)
            job.end()
            return
        job.backend = connection.info.backend_pid
        connection.row_factory = tuple_row
        async with connection.transaction():
            await self._call(argument, connection)
            check_transaction(connection)
            with excusing():
                held = await self._queue.ack_within_async(connection, job.handed)
            if held != len(job.handed):
                raise LeaseLost
        job.end(acked=True)

    async def _call(self, *arguments: Any) -> None:
        # The limit is the handler's alone: an ack that has begun is not cut off.
        scope = asyncio.timeout(self._timeout)
        try:
            async with scope:
                check_result(await self._handler.function(*arguments))
        except TimeoutError as error:
            if scope.expired():
                raise TimedOut(f"the handler ran longer than its timeout of {self._timeout:g} s") from error
            raise
