"""Decides when a worker that drains its queues has done so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from shlex import quote
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from changelane.errors import ChangelaneError
from changelane.runner.queue.ordered import OrderedQueue
from changelane.runner.work.process.consumer import Consumer

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


def is_drained(
    left: Sequence[tuple[str, float, bool]],
    *,
    consumers: Mapping[str, Consumer],
    connection: Connection[Any],
    asked: bool,
    log: FilteringBoundLogger,
) -> bool:
    """Whether the worker may end. ``left`` are the queues that hold messages: the name, the seconds until the
    next message is due, and whether the queue is paused.

    Raises ChangelaneError where a paused queue or blocked keys keep the rest, unless a person ``asked`` the
    worker to drain while it ran.
    """
    paused = [name for name, _, rests in left if rests]
    if paused and asked:
        log.warning("not drained, because a queue is paused; ending all the same", queues=paused)
        return True
    never = [name for name, seconds, _ in left if seconds == inf]
    if len(never) == len(left):
        if never:
            log.warning("messages that are never due are left, beyond the year 9999", queues=never)
        log.info("drained")
        return True
    if paused:
        raise ChangelaneError(
            f"queue {paused[0]} is paused, so it cannot be drained",
            fix=f"run `changelane resume {quote(paused[0])}`",
        )
    if not all(_is_stuck(consumers[name], connection) for name, _, _ in left):
        return False
    if asked:
        log.warning("not drained: the rest waits for blocked keys; ending all the same")
        return True
    raise ChangelaneError(
        f"not drained: in queue {', '.join(name for name, _, _ in left)}, messages that failed for "
        "good block their keys",
        fix=f"`changelane unblock {quote(left[0][0])}` tries them again, buries or discards them",
    )


def _is_stuck(consumer: Consumer, connection: Connection[Any]) -> bool:
    """Whether all messages that are left wait for blocked keys."""
    queue = consumer.queue
    if not isinstance(queue, OrderedQueue) or consumer.held or not consumer.idle:
        return False
    blocked, others = queue.count_blocked(connection)
    return bool(blocked) and not others
