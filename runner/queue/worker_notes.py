"""SQL that reads the worker's notes in a message, over ``headers``, ``read_ct`` and ``vt``."""

from __future__ import annotations

from psycopg import sql

from changelane.contract.sql_text import load_sql

LOOK = 1000
"""How many messages are examined at each end of the queue, at most."""

RETURNS = 3
"""How often a message must come back before it is reported."""


def read_count(name: str) -> sql.Composed:
    """One of the counts; 0 when it is missing or not a number, because anyone can send headers."""
    return sql.SQL(load_sql(__name__, "noted")).format(name=sql.Literal(name))


STATE = sql.SQL(load_sql(__name__, "state")).format(seen=read_count("seen"))
"""SQL of a message's state: available, leased, blocked or delayed."""

RETURNED = sql.SQL(load_sql(__name__, "returned")).format(
    **{name: read_count(name) for name in ("attempts", "released", "claims", "returned")}
)
"""SQL of how often a message came back without a charged attempt: after a database error or a worker's death.
"""


def compose_returning(queue: sql.Identifier) -> sql.Composed:
    """The messages of a queue that came back RETURNS times or more: id, times, and the last error."""
    return sql.SQL(load_sql(__name__, "returning")).format(
        queue=queue, returned=RETURNED, least=sql.Literal(RETURNS), look=sql.Literal(LOOK)
    )
