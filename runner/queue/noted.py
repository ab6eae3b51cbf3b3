"""What the worker noted in a message's headers, as SQL over ``headers``, ``read_ct`` and ``vt``."""

from __future__ import annotations

from psycopg import sql

from changelane.runner.live.sql_text import load_sql

LOOK = 1000
"""Messages that are looked at, at most, from each end."""

RETURNS = 3
"""Times that a message comes back before it is named."""


def read_count(name: str) -> sql.Composed:
    """One of the counts, 0 where it is missing or is none: anyone can send headers."""
    return sql.SQL(load_sql(__name__, "noted")).format(name=sql.Literal(name))


STATE = sql.SQL(load_sql(__name__, "state")).format(seen=read_count("seen"))
"""available, leased, blocked or delayed."""

RETURNED = sql.SQL(load_sql(__name__, "returned")).format(
    **{name: read_count(name) for name in ("attempts", "released", "claims", "returned")}
)
"""How often a message came back and no attempt was spent: for the database's sake, or as its worker died."""


def compose_returning(queue: sql.Identifier) -> sql.Composed:
    """The messages of a queue that came back RETURNS times or more: id, times, and the last error."""
    return sql.SQL(load_sql(__name__, "returning")).format(
        queue=queue, returned=RETURNED, least=sql.Literal(RETURNS), look=sql.Literal(LOOK)
    )
