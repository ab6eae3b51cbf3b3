"""Whether the worker's role may work its queues, checked before the first claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from changelane.contract.access import Operation
from changelane.contract.manifest import Consumer
from changelane.contract.queue_name import archive_table, queue_table
from changelane.errors import DatabaseError
from changelane.runner.live.missing_rights import (
    Need,
    find_hidden,
    find_lacks,
    list_grants,
    need_pruning,
    need_queue,
    read_role,
)

CLAIMING: tuple[Operation, ...] = ("read", "delete")
SENDING: tuple[Operation, ...] = ("send",)
WAKING = (
    Need("changelane", "pauses", "SELECT", "queue"),
    Need("changelane", "doze", "EXECUTE"),
    Need("changelane", "rouse", "EXECUTE"),
)
"""Rights for wake-ups and for reading pauses."""


def need_working(consumer: Consumer) -> list[Need]:
    """The rights without which a worker cannot work the consumer's queue."""
    keeps = consumer.archive is not None or consumer.on_exhausted == "archive"
    needs = need_queue(consumer.queue, CLAIMING, keeps=keeps, calls=False)
    needs.append(Need("pgmq", queue_table(consumer.queue), "UPDATE", "headers"))
    needs += need_queue(consumer.dead_letter, SENDING, reads=False)
    if consumer.dead_letters and consumer.dead_letters.keep:
        needs += need_pruning(queue_table(consumer.dead_letter))
    if any(limit and limit.rate for limit in (consumer.fair, consumer.limit)):
        needs.append(Need("changelane", "buckets", "SELECT", "tokens"))
        needs.append(Need("changelane", "spend_tokens", "EXECUTE"))
    return needs


def list_worker_grants(connection: Connection[Any], consumers: Sequence[Consumer], *, role: str) -> list[str]:
    """The GRANTs that ``role`` needs to work the queues, to be woken, and to prune. Raises psycopg.Error."""
    needs = [*WAKING]
    for consumer in consumers:
        needs += need_working(consumer)
        if consumer.archive:
            needs += need_pruning(archive_table(consumer.queue))
    return list_grants(connection, needs, role=role)


def check_rights(connection: Connection[Any], consumers: Sequence[Consumer]) -> None:
    """Raise DatabaseError with every GRANT that the role lacks for queues that exist, and when row security
    would make a queue look empty. Raises psycopg.Error.
    """
    needs = [need for consumer in consumers for need in need_working(consumer)]
    role = read_role(connection)
    if lacks := find_lacks(connection, needs):
        raise DatabaseError(
            f"{_name(consumers)} there, and role {role} may not work all of it", fix="; ".join(lacks)
        )
    if hidden := find_hidden(connection, [consumer.queue for consumer in consumers]):
        raise DatabaseError(
            f"row security shows role {role} no message of queue {', '.join(hidden)}, which may hold some",
            fix=f"declare queues.{hidden[0]}.access: [{{role: {role}, allow: [send, read, delete]}}], then "
            "run `changelane generate` and `apply`",
        )


def describe_lack(connection: Connection[Any]) -> str:
    """Why there is no wake-up and no pause, and the fix. Raises psycopg.Error."""
    lacks = find_lacks(connection, WAKING)
    if lacks:
        return (
            f"schema changelane is there, and not visible to role {read_role(connection)}: {'; '.join(lacks)}"
        )
    return "the database has no schema changelane, or an older one: run `changelane apply`"


def _name(consumers: Sequence[Consumer]) -> str:
    names = ", ".join(consumer.queue for consumer in consumers)
    return f"queue {names} is" if len(consumers) == 1 else f"queues {names} are"
