"""The connections that transactional handlers are lent: each knows what its own statements raised.

An error of another connection of the handler's is the handler's, however much it looks like one of the
database's. So errors are told apart by where they came from, not by what they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from types import CoroutineType
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncServerCursor
from psycopg.rows import tuple_row

from changelane.runner.work.fault import follow
from changelane.runner.work.watchdog import WatchedAsyncConnection, WatchedConnection

KEPT = 100
"""Errors that are remembered of one call, at most: a handler may catch any number."""

_Method = TypeVar("_Method", bound=Callable[..., Any])


class _Memory:
    """``raised`` are the database's errors of one call's statements; ``calls`` its coroutines, if async."""

    def __init__(self) -> None:
        self.raised: list[psycopg.Error] = []
        self.calls: list[CoroutineType[Any, Any, Any]] = []

    def note(self, error: BaseException) -> None:
        if isinstance(error, psycopg.Error) and len(self.raised) < KEPT:
            self.raised.append(error)

    def add(self, call: CoroutineType[Any, Any, Any]) -> None:
        self.calls = [old for old in self.calls if inspect.getcoroutinestate(old) != inspect.CORO_CLOSED]
        self.calls.append(call)

    def find(self, error: BaseException) -> list[psycopg.Error]:
        """The errors of ours that are this one, or lie behind it."""
        return [own for link in follow(error) for own in self.raised if own is link]

    def take_open(self) -> list[str]:
        """Names of the calls that nobody awaited to their end; those that never began are closed."""
        names = []
        for call in self.calls:
            state = inspect.getcoroutinestate(call)
            if state != inspect.CORO_CLOSED:
                names.append(call.cr_code.co_name)
            if state == inspect.CORO_CREATED:
                call.close()
        self.calls = []
        return names


class LentConnection(WatchedConnection):
    """``begin`` and ``memory`` are the worker's; the rest is the handler's."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.memory = _Memory()

    def begin(self) -> None:
        """Forget what the last handler made of it."""
        self.memory = _Memory()
        _restore(self, psycopg.Cursor, psycopg.ServerCursor)

    def wait(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().wait(*arguments, **options)
        except BaseException as error:
            self.memory.note(error)
            raise


def _remembered(method: _Method) -> _Method:
    """The async method, each call of it in the memory of its connection until it has ended."""

    @wraps(method)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        made = method(self, *arguments, **options)
        owner: Any = self.connection if isinstance(self, AsyncCursor) else self
        owner.memory.add(made)
        return made

    return call  # type: ignore[return-value]


class _LentCursor(AsyncCursor[Any]):
    execute = _remembered(AsyncCursor.execute)
    executemany = _remembered(AsyncCursor.executemany)


class _LentServerCursor(AsyncServerCursor[Any]):
    execute = _remembered(AsyncServerCursor.execute)
    executemany = _remembered(AsyncServerCursor.executemany)


class LentAsyncConnection(WatchedAsyncConnection):
    """As LentConnection, for async handlers."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.memory = _Memory()
        self.begin()

    def begin(self) -> None:
        """Forget what the last handler made of it."""
        self.memory = _Memory()
        _restore(self, _LentCursor, _LentServerCursor)

    execute = _remembered(AsyncConnection.execute)

    async def wait(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().wait(*arguments, **options)
        except BaseException as error:
            self.memory.note(error)
            raise


def _restore(connection: Any, cursor: type, server_cursor: type) -> None:
    connection.row_factory = tuple_row
    connection.cursor_factory = cursor
    connection.server_cursor_factory = server_cursor
