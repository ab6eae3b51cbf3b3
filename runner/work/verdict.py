"""What becomes of a message, judged from how its handler ended."""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass
from typing import Literal

from changelane.change import DeadLetter, Discard, Retry
from changelane.errors import DatabaseError
from changelane.manifest import Retry as Policy

Action = Literal["ack", "retry", "release", "dead_letter", "archive", "block"]

TRACEBACK_LIMIT = 4000
"""Characters of traceback kept in a dead letter; the end, which says where it failed."""

ERROR_LIMIT = 500

TRANSIENT_CLASSES = ("08", "40", "53")
TRANSIENT_STATES = frozenset({"25006", "25P03", "25P04", "57P01", "57P02", "57P03", "57P05"})
"""Read-only after a failover, sessions and transactions that the server ends by its timeouts, and its
shutdown, crash or start, beside lost connections (08), transaction rollbacks such as serialization failures
and deadlocks (40), and lack of resources (53)."""

CUT_SHORT = frozenset({"55P03", "57014"})
"""Statements cancelled or out of time, and locks not had in time: of a handler, a failure like others."""

BLOCKED = 100 * 365 * 86400.0
"""Seconds for which a message stays that blocks its key: until a person decides."""

FIRST_RELEASE = 0.1
LAST_RELEASE = 30.0

CROWDED = 1.0
"""Seconds for which a message is put off that must run alone, at most."""


class Released(Exception):
    """The worker stops before the handler ran or ended; the message goes back at once."""


class Crowded(Exception):
    """Another message that may be what kills its workers runs in this process; this one is put off."""


class TimedOut(Exception):
    """The handler ran longer than the consumer's timeout."""


class Unfinished(Exception):
    """Attempts were charged in advance and never settled: the worker died each time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``delay`` in seconds; ``failed`` and ``released`` are the counts to write down."""

    action: Action
    failed: int
    released: int
    delay: float = 0.0
    error: str = ""
    traceback: str = ""


ACK = Verdict("ack", failed=0, released=0)


def judge(
    error: BaseException | None,
    *,
    failed: int,
    released: int,
    policy: Policy,
    on_exhausted: Literal["dead_letter", "archive", "block"],
) -> Verdict:
    """How a delivery ends whose handler raised ``error`` (None: returned), after ``failed`` attempts."""
    if error is None or isinstance(error, Discard):
        return ACK
    if isinstance(error, Released):
        return Verdict("release", failed, released + 1)
    if isinstance(error, Crowded):
        return Verdict("release", failed, released + 1, delay=random.uniform(0.5, 1.0) * CROWDED)  # noqa: S311
    if is_transient(error):
        delay = random.uniform(0.5, 1.0) * min(LAST_RELEASE, FIRST_RELEASE * 2.0 ** min(released, 16))  # noqa: S311
        return Verdict("release", failed, released + 1, delay=delay, error=describe(error))
    if isinstance(error, DeadLetter):
        return Verdict(
            "dead_letter", failed + 1, released, error=_clean(_spell(error)[:ERROR_LIMIT]) or "DeadLetter"
        )
    blocked = BLOCKED if on_exhausted == "block" else 0.0
    if isinstance(error, Unfinished):
        return Verdict(on_exhausted, failed, released, delay=blocked, error=describe(error))
    count = failed + 1
    text = describe(error)
    if count >= policy.attempts:
        return Verdict(on_exhausted, count, released, delay=blocked, error=text, traceback=trace(error))
    asked = error.after if isinstance(error, Retry) else None
    delay = compute_backoff(policy, attempt=count) if asked is None else max(0.0, asked)
    return Verdict("retry", count, released, delay=delay, error=text)


def compute_backoff(policy: Policy, *, attempt: int) -> float:
    """Seconds to wait after failed attempt number ``attempt`` (from 1), with jitter.

    The wait lies between half and the whole of ``first`` times 2**(n-1), n or 1 (exponential, linear,
    constant), capped at ``max``, so that messages that failed together do not come back together.
    """
    match policy.backoff:
        case "exponential":
            whole = policy.first * 2.0 ** min(attempt - 1, 62)
        case "linear":
            whole = policy.first * attempt
        case "constant":
            whole = policy.first
    return random.uniform(0.5, 1.0) * min(whole, policy.max)  # noqa: S311


def is_transient(error: BaseException | None) -> bool:
    """Whether the database, not the handler, is to blame: trying again is expected to help.

    Reads ``sqlstate`` wherever a driver puts it, through causes, so that it holds for handlers that
    use another driver or wrap its errors. A psycopg OperationalError without one is a lost connection.
    """
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, DatabaseError):
            return True
        state = getattr(error, "sqlstate", None)
        if isinstance(state, str):
            return state.startswith(TRANSIENT_CLASSES) or state in TRANSIENT_STATES
        if _is_lost_connection(error):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        seen += 1
    return False


def is_passing(error: BaseException) -> bool:
    """Whether a statement of the worker's own is worth repeating: it was cut short, or failed transiently."""
    return getattr(error, "sqlstate", None) in CUT_SHORT or is_transient(error)


def _is_lost_connection(error: BaseException) -> bool:
    import psycopg

    return isinstance(error, psycopg.OperationalError)


def describe(error: BaseException) -> str:
    """Type and message, bounded."""
    text = _spell(error)
    if isinstance(error, Retry):
        text = text or "the handler asked for another attempt"
    elif not isinstance(error, TimedOut | Unfinished):
        text = f"{type(error).__name__}: {text}"
    return _clean(text[:ERROR_LIMIT])


def _spell(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # noqa: BLE001 - a handler's error may be of any class
        return f"(its text raises {type(problem).__name__})"


def trace(error: BaseException) -> str:
    return _clean("".join(traceback.format_exception(error))[-TRACEBACK_LIMIT:])


def _clean(text: str) -> str:
    # jsonb takes neither NUL nor lone surrogates.
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")
