"""Messages that used up their attempts and block their key: retry them, make them dead letters, or discard
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any, Literal

import psycopg

from changelane.contract.manifest import Manifest
from changelane.errors import DatabaseError, ManifestError
from changelane.runner.operate.peek import Message, peek
from changelane.runner.operate.send import wake
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.identity import find_queue
from changelane.runner.queue.worked import open_worked

LIMIT = 10_000
"""Messages of one call, at most."""

Way = Literal["retry", "dead-letter", "discard"]


def list_blocked(conn: psycopg.Connection[Any], queue: str, *, ids: Sequence[int] = ()) -> list[Message]:
    """The messages that block their key, LIMIT at most. Raises DatabaseError for an id that blocks no key."""
    found = peek(conn, find_queue(conn, queue), state="blocked", ids=ids, limit=LIMIT).messages
    missing = sorted(set(ids) - {message.id for message in found})
    if missing:
        raise DatabaseError(
            f"queue {queue} has no blocked message {', '.join(map(str, missing))}; nothing was changed",
            fix=f"`changelane peek {quote(queue)} --state blocked` shows those that are there",
        )
    return list(found)


def unblock(
    conn: psycopg.Connection[Any], manifest: Manifest, queue: str, blocked: Sequence[Message], *, way: Way
) -> list[int]:
    """Release keys blocked by a failed message: it is due again with all its attempts, becomes a dead letter,
    or is deleted.

    Returns the ids of the messages that were unchanged since they were read. Raises ManifestError for a queue
    without a consumer in the manifest, DatabaseError, psycopg.Error.
    """
    consumers = [consumer for consumer in manifest.consumers if consumer.queue == queue]
    if not consumers:
        raise ManifestError(f"no consumer works queue {queue}", fix="name the queue of a consumer")
    (worked,) = open_worked(conn, consumers)
    done: list[int] = []
    for message in blocked:
        delivery = Delivery(
            msg_id=message.id,
            read_ct=message.deliveries,
            failed=message.attempts,
            released=0,
            error=message.error,
            leased_until=0.0,
            claims=0,
        )
        if way == "retry":
            notes = delivery.notes(failed=0, released=0, error=message.error)
            held = bool(worked.postpone(conn, [(delivery, 0.0, notes)]))
        elif way == "discard":
            held = bool(worked.ack(conn, [delivery]))
        else:
            notes_ = {"attempts": message.attempts, "error": message.error, "traceback": ""}
            held = worked.move_to_dead_letters(conn, delivery, notes=notes_)
        if held:
            done.append(message.id)
    if done:
        wake(conn, find_queue(conn, queue))
    return done
