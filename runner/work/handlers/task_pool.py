"""Runs async handlers: tasks on an event loop for each queue, in a thread of its own."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections import deque
from contextlib import suppress
from math import inf
from typing import Any

from changelane.runner.live.connection_watchdog import BEGIN
from changelane.runner.live.forked_child import count_forks, end_child, keep_from_children
from changelane.runner.live.reconnecting import FIRST_PAUSE
from changelane.runner.live.transient import is_passing
from changelane.runner.queue.delivery import Content
from changelane.runner.queue.identity import name_session
from changelane.runner.work.handlers.call_context import InContext, find_job, make_context
from changelane.runner.work.handlers.lender import AsyncLender
from changelane.runner.work.handlers.signature import Handler, check_result
from changelane.runner.work.handlers.transaction import (
    blame,
    check_awaited,
    check_transaction,
)
from changelane.runner.work.sinks.connection_shares import PAUSE, GiveUpConnection
from changelane.runner.work.sinks.fault import Released, TimedOut
from changelane.runner.work.sinks.job import Job
from changelane.runner.work.sinks.protocol import Host


class TaskPool:
    """A sink of ``size`` tasks that take jobs in order, and report each in the thread of their event loop."""

    lends = None
    cancels = True
    overrun = "handler past its timeout, and not to be cancelled, for something blocks its event loop"
    held_until = 0.0
    relay_state = None
    failure = None

    def __init__(self, *, handler: Handler, host: Host, size: int, timeout: float | None) -> None:
        self.batch = handler.batch
        self.transaction = handler.transaction
        self.size = size
        self.running: dict[Job, asyncio.Task[Any] | None] = {}
        self._exits: dict[Job, BaseException] = {}
        self._handler = handler
        self._queue = host.queue
        self._conninfo = host.conninfo
        self._timeout = timeout
        self._report = host.report
        # Each queue has its own loop, so a handler that blocks it delays only its own queue.
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        keep_from_children(self)
        self._shares = host.shares
        self._lenders: list[AsyncLender] = []
        self._giving_up = False
        self._waiting: deque[Job | GiveUpConnection] = deque()
        self._reserved: dict[AsyncLender, Job] = {}
        self._ready: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._reserved)

    @property
    def connected(self) -> int:
        return sum(lender.connection is not None for lender in self._lenders)

    def give_up_connection(self) -> None:
        """Give a connection up as soon as a task is free. Thread-safe."""
        if not self._giving_up:
            self._giving_up = True
            self._waiting.append(GiveUpConnection())
            self._loop.call_soon_threadsafe(self._wake_tasks)

    def start(self) -> None:
        async def begin() -> None:
            self._tasks = [asyncio.create_task(self._serve()) for _ in range(self.size)]

        threading.Thread(target=self._turn, name=f"asyncio-{self._queue.name}", daemon=True).start()
        asyncio.run_coroutine_threadsafe(begin(), self._loop).result()

    def _turn(self) -> None:
        # A handler may stop the loop that runs it, or one of its tasks or callbacks may exit.
        parent = count_forks()
        while not self._loop.is_closed():
            try:
                self._loop.run_forever()
            except BaseException as error:  # noqa: BLE001
                end_child(parent, error, told=False)
                self._fail(error)
            end_child(parent)

    def list_descriptors(self) -> list[int]:
        """Descriptors that a forked child must close: through them it could change what the parent waits
        for.
        """
        return [self._selector.fileno()] if isinstance(self._selector, selectors.EpollSelector) else []

    def _fail(self, error: BaseException) -> None:
        """End the call whose task or callback exited, because that ends an event loop."""
        job = find_job(error.__traceback__)
        task = self.running.get(job) if job is not None else None
        if job is not None and task is not None:
            self._exits[job] = error
            task.cancel()

    def submit(self, jobs: list[Job]) -> None:
        self._waiting.extend(jobs)
        self._loop.call_soon_threadsafe(self._wake_tasks)

    def withdraw(self) -> list[Job]:
        """Take back the jobs that no task has taken yet."""
        jobs: list[Job] = []
        while self._reserved:
            with suppress(KeyError):
                jobs.append(self._reserved.popitem()[1])
        while True:
            try:
                job = self._waiting.popleft()
            except IndexError:
                return jobs
            if isinstance(job, Job):
                jobs.append(job)
            else:
                self._giving_up = False

    def cancel(self) -> None:
        """Cancel the running handlers; their messages are released, not failed."""
        self._closing = True
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._tasks])

    def close(self) -> None:
        """Let the tasks end and close their connections when they are idle."""
        self._closing = True
        self._loop.call_soon_threadsafe(self._wake_tasks)

    def _wake_tasks(self) -> None:
        count = self.size if self._closing else len(self._waiting)
        while count and self._ready:
            sleeper = self._ready.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                count -= 1

    async def _take(self, lender: AsyncLender) -> Job | GiveUpConnection | None:
        reserved = self._reserved.pop(lender, None)
        if reserved is not None:
            return reserved
        while True:
            try:
                await lender.rest()
                return self._waiting.popleft()
            except asyncio.CancelledError:
                # The handler cancelled its own task and ended before that took effect.
                if self._closing:
                    raise
            except IndexError:
                if self._closing:
                    return None
                sleeper = self._loop.create_future()
                self._ready.append(sleeper)
                try:
                    await sleeper
                except asyncio.CancelledError:
                    # As above.
                    if self._closing:
                        raise

    def _reserve(self, lender: AsyncLender) -> bool:
        """Set the task's next job aside, if one waits and no other task is free for it."""
        if self._ready:
            return False
        try:
            job = self._waiting.popleft()
        except IndexError:
            return False
        if isinstance(job, Job):
            self._reserved[lender] = job
            return True
        self._waiting.append(job)
        return False

    async def _serve(self) -> None:
        lender = AsyncLender(
            self._conninfo,
            name=name_session(self._queue.name),
            refused=lambda: self._shares.report(self),
        )
        self._lenders.append(lender)
        while (job := await self._take(lender)) is not None:
            if isinstance(job, GiveUpConnection):
                await self._give_up(lender)
                continue
            self.running[job] = asyncio.current_task()
            try:
                done = await self._handle(job, lender)
            finally:
                task = self.running.pop(job)
                self._exits.pop(job, None)
                if job.ended:
                    self._report(job)
            await self._forget_cancellation(task)
            if not done and not job.ended:
                # Another task may have a connection.
                self._waiting.appendleft(job)
                self._wake_tasks()
                await asyncio.sleep(lender.outage.measure_pause())
        await lender.close()

    async def _give_up(self, lender: AsyncLender) -> None:
        if lender.connection is None:
            # Only a task that has a connection can give one up.
            self._waiting.append(GiveUpConnection())
            self._wake_tasks()
            await asyncio.sleep(FIRST_PAUSE)
            return
        await lender.close()
        self._giving_up = False
        await asyncio.sleep(PAUSE)

    async def _handle(self, job: Job, lender: AsyncLender) -> bool:
        """Run a job; False when its handler could not begin because no connection was available."""
        while True:
            fresh = lender.connection is None
            try:
                await self._run(job, lender)
            except asyncio.CancelledError as error:
                if self._closing:
                    job.end(Released())
                    raise
                job.end(self._exits.get(job, error))
            except BaseException as error:  # noqa: BLE001
                if not job.begun and is_passing(error):
                    await lender.close()
                    if fresh:
                        return False
                    continue
                fault = blame(error, lender.connection, begun=job.begun, never=self._handler.never)
                if fault.kind == "transient":
                    # The connection itself may be the cause: it is read-only, or holds stale plans.
                    await lender.close()
                job.end(fault)
            return True

    async def _forget_cancellation(self, task: asyncio.Task[Any] | None) -> None:
        """Clear a cancellation that a handler left on its own task, so that the next handler does not receive
        it.
        """
        while task is not None and task.cancelling() and not self._closing:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                if self._closing:
                    raise
            task.uncancel()

    async def _run(self, job: Job, lender: AsyncLender) -> None:
        if not self._handler.transaction:
            contents = job.start(self._handler.takes.read)
            if contents:
                await self._call(job, contents)
            job.end()
            return
        connection = job.connection = await lender.lend()
        connection.wire.cancels, connection.wire.limit = False, BEGIN
        async with connection.hold():
            lender.outage.end()
            contents = job.start(self._handler.takes.read)
            if not contents:
                job.end()
                return
            connection.wire.limit = inf
            try:
                await self._call(job, contents, connection)
            finally:
                connection.wire.limit = lender.limit
            check_awaited(connection)
            check_transaction(connection)
            await connection.acknowledge(
                self._queue.spell_ack(job.handed),
                count=len(job.handed),
                follow=not lender.pooled and self._reserve(lender),
            )
        job.end(acked=True)

    async def _call(self, job: Job, contents: list[Content], *arguments: Any) -> None:
        argument: Any = contents if self._handler.batch else contents[0]
        context = make_context(job)
        job.begun = True
        parent = count_forks()
        # The limit is for the handler only: an ack that has begun is not cut off.
        scope = asyncio.timeout(self._timeout)
        try:
            async with scope:
                try:
                    call = context.run(self._handler.function, argument, *arguments)
                    result = await InContext(context, call)
                except BaseException as error:
                    end_child(parent, error)
                    raise
                end_child(parent)
                if result is not None:
                    check_result(result)
        except TimeoutError as error:
            if scope.expired():
                raise TimedOut(f"the handler ran longer than its timeout of {self._timeout:g} s") from error
            raise
        if job in self._exits:
            raise self._exits[job]
