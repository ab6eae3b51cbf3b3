"""Sending messages in the caller's own transaction."""

from __future__ import annotations

import math
from collections.abc import Coroutine, Iterable, Mapping
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, overload

from changelane.change import LATEST
from changelane.contract.envelope import RESERVED
from changelane.contract.sql_text import load_sql
from changelane.encoding import encode

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection

_SQL = load_sql(__name__, "send")
_HELP = "give a psycopg.Connection or AsyncConnection, or SQLAlchemy's or Django's over psycopg 3"

Delay = float | timedelta
Headers = Mapping[str, Any] | None


@overload
def send(
    conn: AsyncConnection[Any],
    queue: str,
    body: Any,
    *,
    delay: Delay = 0,
    headers: Headers = None,
    key: Any = None,
) -> Coroutine[Any, Any, int]: ...


@overload
def send(
    conn: Connection[Any],
    queue: str,
    body: Any,
    *,
    delay: Delay = 0,
    headers: Headers = None,
    key: Any = None,
) -> int: ...


@overload
def send(
    conn: Any,
    queue: str,
    body: Any,
    *,
    delay: Delay = 0,
    headers: Headers = None,
    key: Any = None,
) -> Any: ...


def send(
    conn: Any, queue: str, body: Any, *, delay: Delay = 0, headers: Headers = None, key: Any = None
) -> Any:
    """Send one message in the connection's transaction; returns its ``msg_id``. To be awaited if it is async.

    ``conn`` is a psycopg connection, or what has one: SQLAlchemy's sessions and connections, Django's
    connection. ``body`` is what JSON holds, a dataclass or a pydantic model. ``delay`` is in seconds, or a
    timedelta. ``key`` is what the order of ``ordering: key`` goes by; for a dict, its messages and captured
    changes of that key wait for each other.

    Where the role may use schema changelane, a worker that sleeps is woken by the commit. Raises TypeError or
    ValueError for what cannot be sent, before anything reaches the server; psycopg.Error.
    """
    values = _compose(queue, [body], delay=delay, headers=headers, key=key)
    if not _is_async(conn):
        return _send(conn, values)[0]
    call = _send_async(conn, values)

    async def wait() -> int:
        return (await call)[0]

    return wait()


@overload
def send_batch(
    conn: AsyncConnection[Any],
    queue: str,
    bodies: Iterable[Any],
    *,
    delay: Delay = 0,
    headers: Headers = None,
    key: Any = None,
) -> Coroutine[Any, Any, list[int]]: ...


@overload
def send_batch(
    conn: Connection[Any],
    queue: str,
    bodies: Iterable[Any],
    *,
    delay: Delay = 0,
    headers: Headers = None,
    key: Any = None,
) -> list[int]: ...


@overload
def send_batch(
    conn: Any,
    queue: str,
    bodies: Iterable[Any],
    *,
    delay: Delay = 0,
    headers: Headers = None,
    key: Any = None,
) -> Any: ...


def send_batch(
    conn: Any,
    queue: str,
    bodies: Iterable[Any],
    *,
    delay: Delay = 0,
    headers: Headers = None,
    key: Any = None,
) -> Any:
    """As ``send``, for many messages by one statement; returns their ids in order. None are no statement."""
    values = _compose(queue, bodies, delay=delay, headers=headers, key=key)
    return _send_async(conn, values) if _is_async(conn) else _send(conn, values)


def _compose(
    queue: str, bodies: Iterable[Any], *, delay: Delay, headers: Headers, key: Any
) -> dict[str, Any]:
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    if math.isnan(seconds) or not 0 <= seconds <= LATEST:
        raise ValueError(f"delay={delay}: not a time within ten years")
    head = dict(headers or {})
    check_headers(head)
    return {
        "queue": queue,
        "messages": [encode(body) for body in bodies],
        "headers": encode(head),
        "key": None if key is None else encode(key),
        "delay": seconds,
    }


def check_headers(headers: Mapping[str, Any]) -> None:
    """Raise ValueError for headers that nobody but capture functions and workers may write."""
    if taken := [name for name in RESERVED if name in headers]:
        raise ValueError(f"header {', '.join(taken)} is written by Changelane alone: choose another name")


def _is_async(given: Any) -> bool:
    """Whether it is an AsyncConnection of psycopg or SQLAlchemy, or an AsyncSession."""
    import psycopg

    return isinstance(given, psycopg.AsyncConnection) or any(
        iscoroutinefunction(getattr(type(given), name, None)) for name in ("get_raw_connection", "connection")
    )


def _send(given: Any, values: dict[str, Any]) -> list[int]:
    import psycopg
    from psycopg.rows import tuple_row

    driver = _find_driver(given)
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"cannot send by a {_name(given)}: {_HELP}")
    if not values["messages"]:
        return []
    factory = driver.cursor_factory
    # Django's and others' own cursors do; those with parameters of another form do not.
    kind = psycopg.Cursor if issubclass(factory, psycopg.RawCursor) else factory
    with kind(driver, row_factory=tuple_row) as cursor:
        row: Any = cursor.execute(_SQL, values).fetchone()
    return list(row[0])


def _send_async(given: Any, values: dict[str, Any]) -> Coroutine[Any, Any, list[int]]:
    import psycopg

    if not isinstance(given, psycopg.AsyncConnection):
        return _find_and_send(given, values)
    if not values["messages"]:
        return _wait_for_nothing()
    return _begin(given, values)


async def _wait_for_nothing() -> list[int]:
    return []


def _begin(driver: AsyncConnection[Any], values: dict[str, Any]) -> Coroutine[Any, Any, list[int]]:
    import psycopg
    from psycopg.rows import tuple_row

    factory = driver.cursor_factory
    kind = psycopg.AsyncCursor if issubclass(factory, psycopg.AsyncRawCursor) else factory
    cursor = kind(driver, row_factory=tuple_row)
    # Made here, so that a worker whose handler never awaits it learns of that.
    call = cursor.execute(_SQL, values)

    async def wait() -> list[int]:
        async with cursor:
            await call
            row: Any = await cursor.fetchone()
        return list(row[0])

    return wait()


async def _find_and_send(given: Any, values: dict[str, Any]) -> list[int]:
    import psycopg

    # Of the class, for the attribute may be a property that raises.
    if iscoroutinefunction(getattr(type(given), "connection", None)):
        given = await given.connection()
    raw = await given.get_raw_connection() if hasattr(given, "get_raw_connection") else given
    driver = getattr(raw, "driver_connection", None)
    if not isinstance(driver, psycopg.AsyncConnection):
        raise TypeError(f"cannot send by a {_name(given)}: {_HELP}")
    return await _begin(driver, values) if values["messages"] else []


def _find_driver(given: Any) -> Any:
    """The psycopg connection within: of a Session, a Connection, a pooled one, Django's connection."""
    import psycopg

    if hasattr(given, "ensure_connection"):
        given.ensure_connection()
    for _ in range(4):
        if given is None or isinstance(given, psycopg.Connection):
            break
        inner = getattr(given, "driver_connection", None) or getattr(given, "connection", None)
        given = inner() if callable(inner) and not isinstance(inner, psycopg.Connection) else inner
    return given


def _name(given: Any) -> str:
    kind = type(given)
    return f"{kind.__module__}.{kind.__qualname__}"
