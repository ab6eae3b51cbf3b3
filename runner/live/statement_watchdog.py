"""Ends a statement that overruns, from another session.

A statement can lift ``statement_timeout`` for the next one, and a function can catch the cancellation.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from changelane.errors import ChangelaneError, DatabaseError
from changelane.runner.live.database import connect

LAST = 1.0
"""Seconds between the cancellation and the end of the whole session."""


@contextmanager
def limit(conn: psycopg.Connection[Any], *, seconds: float, doing: str) -> Iterator[None]:
    """Cancel the statement on ``conn`` after ``seconds``, and end its session LAST later.

    Raises ChangelaneError if it had to do so.
    """
    row = conn.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    assert row is not None
    done, late = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        late.set()
        with suppress(psycopg.Error):
            conn.cancel_safe(timeout=LAST)
        if not done.wait(LAST):
            _end(conn, row[0])

    watching = threading.Thread(target=watch, name="changelane-watchdog", daemon=True)
    watching.start()
    try:
        yield
    except (psycopg.Error, DatabaseError):
        if not late.is_set():
            raise
    finally:
        done.set()
        watching.join()
    if late.is_set():
        raise ChangelaneError(
            f"{doing} took longer than {seconds:g} s and was ended", fix="ask for less; nothing was kept"
        )


def _end(conn: psycopg.Connection[Any], pid: int) -> None:
    with suppress(psycopg.Error, DatabaseError):
        given = make_conninfo(conn.info.dsn, password=conn.info.password or None)
        with connect(given, application_name="changelane watchdog") as other:
            other.execute("SELECT pg_catalog.pg_terminate_backend(%s)", [pid])
