"""Decides the outcome of a message from the way its handler ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from changelane.contract.manifest import Retry as Policy
from changelane.runner.live.jitter import vary
from changelane.runner.work.sinks.fault import Fault, read_fault

Action = Literal["ack", "retry", "release", "dead_letter", "archive", "block"]

FREE_RETURNS = 20
"""How often a message is handled again after a database error; each further time is a failed attempt."""

BLOCKED = 100 * 365 * 86400.0
"""Seconds for which a message that blocks its key stays: until a person decides."""

FIRST_RELEASE = 0.1
LAST_RELEASE = 30.0

LONGEST_WAIT = 1.0
"""The longest delay, in seconds, of a message that must run alone."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``delay`` in seconds; ``failed``, ``released`` and ``returned`` are the counts to write down.

    ``returned`` counts how often a message came back because of a database error.
    """

    action: Action
    failed: int
    released: int
    returned: int = 0
    delay: float = 0.0
    error: str = ""
    place: str = ""
    traceback: str = ""
    brief: str = ""


ACK = Verdict("ack", failed=0, released=0)


def judge(
    error: BaseException | Fault | None,
    *,
    failed: int,
    released: int,
    policy: Policy,
    on_exhausted: Literal["dead_letter", "archive", "block"],
    returned: int = 0,
    suspect: bool = False,
) -> Verdict:
    """The verdict on a delivery whose handler raised ``error`` (None: returned), after ``failed`` attempts.

    An interrupted call is not counted as released, so that it counts like a worker's death. For a suspect,
    whose attempt was charged, it is a failed attempt.
    """
    fault = read_fault(error) if isinstance(error, BaseException) else error
    if fault is None or fault.kind == "discard":
        return ACK
    if fault.kind in ("released", "lost"):
        return Verdict("release", failed, released + 1, returned)
    if fault.kind == "must_wait":
        wait = vary(LONGEST_WAIT, 0.5, 1.0)
        return Verdict("release", failed, released + 1, returned, delay=wait)
    free = returned < FREE_RETURNS and not suspect
    if (fault.kind == "transient" and returned < FREE_RETURNS) or (fault.kind == "interrupted" and free):
        wait = vary(min(LAST_RELEASE, FIRST_RELEASE * 2.0 ** min(returned, 16)), 0.5, 1.0)
        noted = released + (fault.kind == "transient")
        return Verdict(
            "release", failed, noted, returned + 1, delay=wait, error=fault.text, place=fault.place
        )
    blocked = BLOCKED if on_exhausted == "block" else 0.0
    if fault.kind == "unfinished":
        return Verdict(on_exhausted, failed, released, returned, delay=blocked, error=fault.text)
    count = failed + 1
    action: Action = "retry"
    delay = compute_backoff(policy, attempt=count) if fault.after is None else fault.after
    if fault.kind == "dead_letter" or fault.final:
        action, delay = "dead_letter", 0.0
    elif count >= policy.attempts:
        action, delay = on_exhausted, blocked
    return Verdict(
        action,
        count,
        released,
        returned,
        delay=delay,
        error=fault.text,
        place=fault.place,
        traceback=fault.trace,
        brief=fault.brief,
    )


def compute_backoff(policy: Policy, *, attempt: int) -> float:
    """Seconds to wait after failed attempt number ``attempt`` (from 1), with jitter.

    The wait is ``first`` times 2**(n-1), n or 1 (exponential, linear, constant), at most ``max``. Jitter
    takes off up to half of it, so that messages that failed together do not come back together.
    """
    match policy.backoff:
        case "exponential":
            whole = policy.first * 2.0 ** min(attempt - 1, 62)
        case "linear":
            whole = policy.first * attempt
        case "constant":
            whole = policy.first
    return vary(min(whole, policy.max), 0.5, 1.0)
