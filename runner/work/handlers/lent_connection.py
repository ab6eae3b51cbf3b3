"""Connections that are lent to transactional handlers; each remembers the errors of its own statements.

A handler may raise an error of another connection. That error is the handler's fault, even if it looks like a
database error. So the worker classifies an error by the connection that it came from, not by its type.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import wraps
from types import CoroutineType
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncServerCursor
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from changelane.runner.live.causes import follow
from changelane.runner.live.connection_watchdog import WatchedAsyncConnection, WatchedConnection
from changelane.runner.work.handlers.exchange import (
    NOTHING,
    SWEEP,
    SWEEP_PREPARED,
    begin,
    commit,
    discard,
    roll_back,
)

PLAIN = ("INSERT", "UPDATE", "DELETE", "MERGE")

KEPT = 100
"""Errors that are remembered for one call, at most: a handler may catch any number."""

_Method = TypeVar("_Method", bound=Callable[..., Any])


class _Memory:
    """``raised`` are the database errors of one call's statements; ``calls`` its coroutines, if async.

    ``waits`` counts the call's waits for an answer, ``plain`` those that were for a plain write.
    """

    def __init__(self) -> None:
        self.waits = self.plain = 0
        self.raised: list[psycopg.Error] = []
        self.calls: list[CoroutineType[Any, Any, Any]] = []

    def note(self, error: BaseException) -> None:
        if isinstance(error, psycopg.Error) and len(self.raised) < KEPT:
            self.raised.append(error)

    def count(self, status: str | None) -> None:
        """Count a statement by its status text from the server."""
        self.plain += (status or "").partition(" ")[0] in PLAIN

    @property
    def sweep(self) -> bytes:
        """The statement that cleans the session. Plain writes leave no prepared statement behind."""
        if not self.waits:
            return NOTHING
        return SWEEP if self.waits <= self.plain else SWEEP_PREPARED

    def add(self, call: CoroutineType[Any, Any, Any]) -> None:
        self.calls = [old for old in self.calls if inspect.getcoroutinestate(old) != inspect.CORO_CLOSED]
        self.calls.append(call)

    def find(self, error: BaseException) -> list[psycopg.Error]:
        """Errors of this connection that are ``error`` itself or one of its causes."""
        return [own for link in follow(error) for own in self.raised if own is link]

    def take_open(self) -> list[str]:
        """Names of the calls that nobody awaited to their end; calls that never began are closed."""
        names = []
        for call in self.calls:
            state = inspect.getcoroutinestate(call)
            if state != inspect.CORO_CLOSED:
                names.append(call.cr_code.co_name.removeprefix("_").removesuffix("_counted"))
            if state == inspect.CORO_CREATED:
                call.close()
        self.calls = []
        return names


_FORBIDDEN = "the worker ends this transaction, together with the acknowledgement"


class _PlainCursor(psycopg.Cursor[Any]):
    def execute(self, *arguments: Any, **options: Any) -> Self:
        super().execute(*arguments, **options)
        cast(LentConnection, self.connection).memory.count(self.statusmessage)
        return self


class LentConnection(WatchedConnection):
    """``hold`` and ``memory`` are for the worker; the rest is for the handler."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.memory = _Memory()
        self.begun = False
        self._held = False
        self._clean = True

    @contextmanager
    def hold(self) -> Iterator[None]:
        """The transaction of one call, ended by ``acknowledge``; nothing of its session remains."""
        _restore(self, _PlainCursor, psycopg.ServerCursor)
        if not self.begun and self.info.transaction_status != TransactionStatus.INTRANS:
            self.wait(begin(self.pgconn))
        self.begun = False
        self.memory = _Memory()
        self._held = True
        try:
            yield
            if not self.memory.waits:
                # Nothing was handed over, so the transaction is as good as new.
                self.begun = True
        except BaseException:
            with suppress(psycopg.Error):
                self._speak(roll_back(self.pgconn))
            raise
        finally:
            self._held = False
            if _is_stuck(self):
                self.close()

    def acknowledge(self, ack: bytes, *, count: int, follow: bool) -> None:
        """As exchange.commit; with ``follow``, the transaction of the next ``hold`` is begun, too."""
        follow = follow and self._clean
        sweep = self.memory.sweep
        with self.lock:
            self._clean = self.wait(commit(self.pgconn, ack=ack, count=count, sweep=sweep, follow=follow))
        if self._clean:
            self.begun = follow
            return
        with suppress(psycopg.Error):
            # The messages are settled, so a handler whose session cannot be cleaned has not failed.
            self._speak(discard(self.pgconn))

    def rest(self) -> None:
        """End a transaction that was begun for a call that does not come."""
        if self.begun:
            self.begun = False
            try:
                with suppress(psycopg.Error):
                    self._speak(roll_back(self.pgconn))
            finally:
                if _is_stuck(self):
                    self.close()

    def wait(self, *arguments: Any, **options: Any) -> Any:
        self.memory.waits += 1
        try:
            return super().wait(*arguments, **options)
        except BaseException as error:
            self.memory.note(error)
            raise

    def _speak(self, steps: PQGen[None]) -> None:
        with self.lock:
            self.wait(steps)
            # The server forgot what the driver prepared, or may know it for something that was rolled back.
            # Left for later, the driver would also deallocate the next statement that it prepares.
            self._prepared.clear()
            self.wait(self._prepared.maintain_gen(self))

    def commit(self) -> None:
        """Refuses: the handler must not end its transaction. Raises psycopg.ProgrammingError."""
        if self._held:
            raise psycopg.ProgrammingError(_FORBIDDEN)
        super().commit()

    def rollback(self) -> None:
        """As ``commit``."""
        if self._held:
            raise psycopg.ProgrammingError(_FORBIDDEN)
        super().rollback()


def _remembered(method: _Method) -> _Method:
    """The async method. Each call of it is in the connection's memory until it has ended."""

    @wraps(method)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        made = method(self, *arguments, **options)
        owner: Any = self.connection if isinstance(self, AsyncCursor) else self
        owner.memory.add(made)
        return made

    return cast(_Method, call)


class _LentCursor(AsyncCursor[Any]):
    async def _execute_counted(self, *arguments: Any, **options: Any) -> Self:
        await super().execute(*arguments, **options)
        cast(LentAsyncConnection, self.connection).memory.count(self.statusmessage)
        return self

    execute = _remembered(_execute_counted)
    executemany = _remembered(AsyncCursor.executemany)


class _LentServerCursor(AsyncServerCursor[Any]):
    execute = _remembered(AsyncServerCursor.execute)
    executemany = _remembered(AsyncServerCursor.executemany)


class LentAsyncConnection(WatchedAsyncConnection):
    """As LentConnection, for async handlers."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.memory = _Memory()
        self.begun = False
        self._held = False
        self._clean = True
        _restore(self, _LentCursor, _LentServerCursor)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """As in LentConnection."""
        _restore(self, _LentCursor, _LentServerCursor)
        if not self.begun:
            await self.wait(begin(self.pgconn))
        self.begun = False
        self.memory = _Memory()
        self._held = True
        try:
            yield
            if not self.memory.waits:
                # Nothing was handed over, so the transaction is as good as new.
                self.begun = True
        except BaseException:
            with suppress(psycopg.Error):
                await self._speak(roll_back(self.pgconn))
            raise
        finally:
            self._held = False
            if _is_stuck(self):
                await self.close()

    async def acknowledge(self, ack: bytes, *, count: int, follow: bool) -> None:
        """As in LentConnection."""
        follow = follow and self._clean
        sweep = self.memory.sweep
        async with self.lock:
            self._clean = await self.wait(
                commit(self.pgconn, ack=ack, count=count, sweep=sweep, follow=follow)
            )
        if self._clean:
            self.begun = follow
            return
        with suppress(psycopg.Error):
            # The messages are settled, so a handler whose session cannot be cleaned has not failed.
            await self._speak(discard(self.pgconn))

    async def rest(self) -> None:
        """As in LentConnection."""
        if self.begun:
            self.begun = False
            try:
                with suppress(psycopg.Error):
                    await self._speak(roll_back(self.pgconn))
            finally:
                if _is_stuck(self):
                    await self.close()

    async def _speak(self, steps: PQGen[None]) -> None:
        async with self.lock:
            await self.wait(steps)
            # As in LentConnection.
            self._prepared.clear()
            await self.wait(self._prepared.maintain_gen(self))

    async def commit(self) -> None:
        """Refuses: the handler must not end its transaction. Raises psycopg.ProgrammingError."""
        if self._held:
            raise psycopg.ProgrammingError(_FORBIDDEN)
        await super().commit()

    async def rollback(self) -> None:
        """As ``commit``."""
        if self._held:
            raise psycopg.ProgrammingError(_FORBIDDEN)
        await super().rollback()

    execute = _remembered(AsyncConnection.execute)

    async def wait(self, *arguments: Any, **options: Any) -> Any:
        self.memory.waits += 1
        try:
            return await super().wait(*arguments, **options)
        except BaseException as error:
            self.memory.note(error)
            raise


def _restore(connection: Any, cursor: type, server_cursor: type) -> None:
    connection.row_factory = tuple_row
    connection.cursor_factory = cursor
    connection.server_cursor_factory = server_cursor


def _is_stuck(connection: LentConnection | LentAsyncConnection) -> bool:
    """Whether the connection is up but cannot begin another transaction."""
    wanted = TransactionStatus.INTRANS if connection.begun else TransactionStatus.IDLE
    busy = connection.info.transaction_status != wanted or connection.pgconn.pipeline_status
    return bool(busy) and not connection.closed
