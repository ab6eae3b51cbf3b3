"""Asks the database about every second whether it answers, on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
from anyio import to_thread

from changelane.errors import DatabaseError
from changelane.runner.dashboard.data.pool import Pool
from changelane.runner.live.session import explain

EVERY = 0.7
"""Seconds between two questions."""

PATIENCE = 1.5
"""Seconds for an answer, after which the database is away."""

SILENT = DatabaseError(
    f"the database has not answered for {PATIENCE:g} s", fix="look whether its server runs and can be reached"
)


async def follow(pool: Pool, tell: Callable[[DatabaseError | None], Awaitable[None]]) -> None:
    """Tell after each question why the database is away, None if it answered. Runs until cancelled."""
    while True:
        asked = asyncio.ensure_future(to_thread.run_sync(_ask, pool, abandon_on_cancel=True))
        try:
            done, _ = await asyncio.wait([asked], timeout=PATIENCE)
            if not done:
                await tell(SILENT)
            # A second question would wait for the same server.
            await tell(await asked)
        finally:
            asked.cancel()
        await asyncio.sleep(EVERY)


def _ask(pool: Pool) -> DatabaseError | None:
    try:
        with pool.lend() as conn:
            conn.execute("SELECT 1")
    except DatabaseError as error:
        return error
    except psycopg.Error as error:
        return explain(error, doing="the database")
    return None
