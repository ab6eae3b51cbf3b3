"""Writes each message's outcome to its queue: in groups where the statement allows it, each write fenced."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from changelane.contract.manifest import Consumer
from changelane.runner.live.transient import is_passing
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.fenced import FencedQueue
from changelane.runner.work.outcome.verdict import ACK, Verdict, judge
from changelane.runner.work.sinks.fault import Fault
from changelane.runner.work.sinks.job import Job

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

STUCK_DELAY = 30.0
"""Seconds until the next try to move a message that could not go to the dead letters or the archive."""

VANISHED = "the worker vanished while the handler ran: killed, or stalled past the lease"

Fate = tuple[Delivery, Verdict]

_POSTPONED = {"retry": "failed", "release": "released", "block": "blocked"}


def judge_job(job: Job, *, consumer: Consumer) -> list[Fate]:
    """The verdict on each delivery of an ended job that its handler's transaction did not ack.

    When the lease was lost, or ended before the handler got the message, the verdict is a release. The fenced
    UPDATE skips messages that another worker holds now. The others become due at once and do not count as a
    crash.
    """
    if job.fault is not None and job.fault.kind == "lost":
        return [release(item) for item in job.deliveries]
    others = judge_rest(job, consumer=consumer) if job.missed or job.unfit else []
    if job.acked:
        return others
    if job.fault is None:
        return others + [(item, ACK) for item in job.handed]
    judged = job.deliveries if job.started is None else job.handed
    return others + [judge_delivery(item, job.fault, consumer=consumer) for item in judged]


def judge_rest(job: Job, *, consumer: Consumer) -> list[Fate]:
    """The verdict on each delivery that its handler did not get."""
    unfit = [judge_delivery(item, problem, consumer=consumer) for item, problem in job.unfit]
    return unfit + [release(item) for item in job.missed]


def judge_delivery(delivery: Delivery, error: BaseException | Fault | None, *, consumer: Consumer) -> Fate:
    """The verdict on one delivery whose handler raised ``error``, or returned (None)."""
    verdict = judge(
        error,
        failed=delivery.failed,
        released=delivery.released,
        policy=consumer.retry,
        on_exhausted=consumer.on_exhausted,
        returned=delivery.returned,
        suspect=delivery.suspect,
    )
    return delivery, verdict


def release(delivery: Delivery) -> Fate:
    """Give the message back at once, without a charged attempt."""
    return delivery, Verdict("release", delivery.failed, delivery.released + 1, delivery.returned)


def settle(
    connection: psycopg.Connection[Any],
    queue: FencedQueue,
    fates: Iterable[Fate],
    *,
    acks: Sequence[Delivery] = (),
    log: FilteringBoundLogger,
) -> Counter[str]:
    """Write the verdicts, and ack ``acks``; returns how many were handled, failed, released, dead, archived,
    blocked or lost.

    Safe to repeat after a lost connection: rows that the first try wrote count as lost, and nothing is
    written twice. Raises psycopg.Error.
    """
    log = log.bind(queue=queue.name)
    counts: Counter[str] = Counter()
    acks = list(acks)
    postponed: list[Fate] = []
    lost: list[int] = []
    moved: list[Fate] = []
    for delivery, verdict in fates:
        if verdict.action == "ack":
            acks.append(delivery)
        elif verdict.action in ("retry", "release", "block"):
            postponed.append((delivery, verdict))
        else:
            moved.append((delivery, verdict))
    # In the order of sending, whichever handler finished first.
    for delivery, verdict in sorted(moved, key=lambda fate: fate[0].msg_id):
        outcome = _retire(connection, queue, delivery, verdict, log=log)
        if outcome == "stuck":
            postponed.append((delivery, replace(verdict, action="release", delay=STUCK_DELAY)))
        elif outcome == "lost":
            lost.append(delivery.msg_id)
        else:
            counts[outcome] += 1
    if acks:
        gone = queue.ack(connection, acks)
        counts["handled"] += len(gone)
        if len(gone) < len(acks):
            lost += [delivery.msg_id for delivery in acks if delivery.msg_id not in gone]
    if postponed:
        held = queue.postpone(connection, [_note(delivery, verdict) for delivery, verdict in postponed])
        for delivery, verdict in postponed:
            if delivery.msg_id in held:
                counts[_POSTPONED[verdict.action]] += 1
                _tell(delivery, verdict, log=log)
            else:
                lost.append(delivery.msg_id)
    if lost:
        counts["lost"] += len(lost)
        log.warning(
            "lease lost: another worker has the message, or our commit went through unconfirmed", msg_ids=lost
        )
    return counts


def charge(
    connection: psycopg.Connection[Any], queue: FencedQueue, suspects: Sequence[Delivery], *, lease: float
) -> list[Delivery]:
    """Write an attempt down for each message before it begins; returns those still held, with new leases."""
    until = time.monotonic() + lease
    notes = [(item, lease, _note_charge(item)) for item in suspects]
    held = queue.postpone(connection, notes)
    charged = [item for item in suspects if item.msg_id in held]
    for item in charged:
        item.leased_until = until
    return charged


def _note_charge(delivery: Delivery) -> str:
    return delivery.notes(
        failed=delivery.failed + 1,
        released=delivery.released,
        returned=delivery.returned,
        error=VANISHED,
        held=True,
    )


def _note(delivery: Delivery, verdict: Verdict) -> tuple[Delivery, float, str]:
    error = verdict.error or delivery.error
    notes = delivery.notes(
        failed=verdict.failed,
        released=verdict.released,
        returned=verdict.returned,
        error=error,
        blocked=verdict.action == "block",
    )
    return delivery, verdict.delay, notes


def _retire(
    connection: psycopg.Connection[Any],
    queue: FencedQueue,
    delivery: Delivery,
    verdict: Verdict,
    *,
    log: FilteringBoundLogger,
) -> Literal["dead", "archived", "lost", "stuck"]:
    """Move one message out of the queue. A message that cannot be moved stays, so that it is not lost:
    stuck.
    """
    dead = verdict.action == "dead_letter"
    try:
        if dead:
            notes = {"attempts": verdict.failed, "error": verdict.error, "traceback": verdict.traceback}
            moved = queue.move_to_dead_letters(connection, delivery, notes=notes)
        else:
            moved = queue.archive(connection, delivery)
    except psycopg.Error as error:
        if is_passing(error):
            raise
        log.error(
            "could not move a message out of its queue; run `changelane verify`",
            msg_id=delivery.msg_id,
            to=queue.dead_letter if dead else "archive",
            error=_first_line(str(error)),
        )
        return "stuck"
    if not moved:
        return "lost"
    log.error(
        "dead letter" if dead else "archived unhandled",
        msg_id=delivery.msg_id,
        attempts=verdict.failed,
        **_explain(verdict),
    )
    return "dead" if dead else "archived"


def _tell(delivery: Delivery, verdict: Verdict, *, log: FilteringBoundLogger) -> None:
    if not verdict.error:
        return
    if verdict.action == "block":
        log.error(
            "blocked: its key waits; `changelane unblock` lets it go on",
            msg_id=delivery.msg_id,
            attempts=verdict.failed,
            **_explain(verdict),
        )
        return
    log.warning(
        "attempt failed" if verdict.action == "retry" else "released; no attempt is spent",
        msg_id=delivery.msg_id,
        failed=verdict.failed,
        retry_in=round(verdict.delay, 3),
        **({"returned": verdict.returned} if verdict.action == "release" else {}),
        **_explain(verdict),
    )


def _explain(verdict: Verdict) -> dict[str, str]:
    """The error, its place and, for a message's first failure, the traceback."""
    told = {"error": _first_line(verdict.error)}
    if verdict.place:
        told["where"] = verdict.place
    if verdict.failed == 1 and verdict.brief:
        told["exception"] = verdict.brief
    return told


def _first_line(text: str) -> str:
    # Further lines of a database error quote values of the row.
    return text.partition("\n")[0]
