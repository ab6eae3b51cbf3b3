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
from psycopg import AsyncConnection, AsyncCursor, AsyncServerCursor, Connection
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from changelane.contract.sql_text import load_sql
from changelane.runner.live.causes import follow
from changelane.runner.live.connection_watchdog import WatchedAsyncConnection, WatchedConnection

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
    def commit(self) -> bytes:
        """The commands that end the transaction and clean the session. The ack and plain writes leave no
        prepared statement behind; the ack alone leaves nothing to clean.
        """
        if self.waits <= 1:
            return _COMMIT_CLEAN
        return _COMMIT if self.waits <= self.plain + 1 else _COMMIT_PREPARED

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


_BEGIN = b"BEGIN"
_COMMIT_CLEAN = b"COMMIT"
_COMMIT = f"COMMIT; {load_sql(__name__, 'sweep')}".encode()
_COMMIT_PREPARED = f"COMMIT; {load_sql(__name__, 'sweep_prepared')}".encode()
_ROLLBACK = f"ROLLBACK; {load_sql(__name__, 'sweep_prepared')}".encode()
_DISCARD = b"DISCARD ALL"
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
        self._held = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """The transaction of one call; nothing of its session remains afterwards."""
        _restore(self, _PlainCursor, psycopg.ServerCursor)
        self._send(_BEGIN)
        self.memory = _Memory()
        self._held = True
        try:
            yield
            self._end(self.memory.commit)
        except BaseException:
            with suppress(psycopg.Error):
                self._end(_ROLLBACK)
            raise
        finally:
            self._held = False
            if _is_stuck(self):
                self.close()

    def _send(self, command: bytes) -> None:
        # BEGIN and COMMIT as the driver sends them, without a cursor: it would double the cost of a short
        # call.
        self.wait(self._exec_command(command))

    def _end(self, statement: bytes) -> None:
        if statement is _COMMIT_CLEAN:
            self._send(statement)
            return
        cursor = psycopg.Cursor(self, row_factory=tuple_row)
        cursor.execute(statement, prepare=False)
        while cursor.nextset():
            pass
        found = cursor.fetchone()
        if found is not None and found[1]:
            cursor.execute(_DISCARD, prepare=False)

    def wait(self, *arguments: Any, **options: Any) -> Any:
        self.memory.waits += 1
        try:
            return super().wait(*arguments, **options)
        except BaseException as error:
            self.memory.note(error)
            raise

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
        self._held = False
        _restore(self, _LentCursor, _LentServerCursor)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """As in LentConnection."""
        _restore(self, _LentCursor, _LentServerCursor)
        await self._send(_BEGIN)
        self.memory = _Memory()
        self._held = True
        try:
            yield
            await self._end(self.memory.commit)
        except BaseException:
            with suppress(psycopg.Error):
                await self._end(_ROLLBACK)
            raise
        finally:
            self._held = False
            if _is_stuck(self):
                await self.close()

    async def _send(self, command: bytes) -> None:
        await self.wait(self._exec_command(command))

    async def _end(self, statement: bytes) -> None:
        if statement is _COMMIT_CLEAN:
            await self._send(statement)
            return
        cursor = AsyncCursor(self, row_factory=tuple_row)
        await cursor.execute(statement, prepare=False)
        while cursor.nextset():
            pass
        found = await cursor.fetchone()
        if found is not None and found[1]:
            await cursor.execute(_DISCARD, prepare=False)

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


def _is_stuck(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    """Whether the connection is up but cannot begin another transaction."""
    busy = connection.info.transaction_status != TransactionStatus.IDLE or connection.pgconn.pipeline_status
    return bool(busy) and not connection.closed
