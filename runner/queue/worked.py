"""Opens the queues of consumers, each as its consumer works it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from psycopg import Connection

from changelane.contract.manifest import Consumer
from changelane.contract.queue_name import queue_table
from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.queue.coalesced import CoalescedQueue
from changelane.runner.queue.fair import find_unindexed, list_fair
from changelane.runner.queue.fenced import FencedQueue, open_queues
from changelane.runner.queue.ordered import OrderedQueue
from changelane.runner.queue.taken import TakenQueue
from changelane.runner.queue.worker_rights import check_rights


def open_worked(
    connection: Connection[Any], consumers: Sequence[Consumer], *, dated: Collection[str] = ()
) -> list[FencedQueue]:
    """The queue of each consumer, ready to be worked as it declares; ``dated`` as for ``open_queues``.

    Raises DatabaseError that names every queue that the database lacks, that lacks the index for its order,
    or that the role may not work.
    """
    ordered = [consumer.queue for consumer in consumers if consumer.keyed]
    queues = open_queues(
        connection,
        [(consumer.queue, consumer.dead_letter) for consumer in consumers],
        classes={
            **{consumer.queue: TakenQueue for consumer in consumers if may_take(consumer)},
            **{consumer.queue: _choose_class(consumer) for consumer in consumers if consumer.keyed},
            **list_fair(consumers),
        },
        keeping=[consumer.queue for consumer in consumers if consumer.archive],
        dated=dated,
    )
    tables = [queue_table(name) for name in ordered]
    found = (
        {row[0] for row in connection.execute(load_sql(__name__, "indexed"), {"tables": tables})}
        if tables
        else set()
    )
    if lacking := [name for name in ordered if queue_table(name) not in found]:
        noun, verb = ("queue", "lacks") if len(lacking) == 1 else ("queues", "lack")
        raise DatabaseError(
            f"{noun} {', '.join(lacking)} {verb} the index over keys; `ordering: key` and `coalesce` need it",
            fix="run `changelane apply`",
        )
    if lacking := find_unindexed(connection, consumers):
        noun, verb = ("queue", "lacks") if len(lacking) == 1 else ("queues", "lack")
        raise DatabaseError(
            f"{noun} {', '.join(lacking)} {verb} an index for `fair` or `limit`", fix="run `changelane apply`"
        )
    check_rights(connection, consumers)
    return queues


def may_take(consumer: Consumer) -> bool:
    """Whether messages of the consumer may be taken in the transaction that handles them."""
    bound = consumer.keyed or consumer.fair or consumer.limit
    return not (consumer.claim == "lease" or consumer.relay or bound)


def _choose_class(consumer: Consumer) -> Callable[..., FencedQueue]:
    if consumer.coalesce is None:
        return OrderedQueue
    return partial(CoalescedQueue, rule=consumer.coalesce)
