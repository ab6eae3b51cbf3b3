"""What an answer over HTTP, or none, means for a message."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from changelane.runner.relay.engine import CONFIRMED, Outcome

LATER = (408, 425, 429, 502, 503, 504)
"""Statuses that say nothing about the message: the receiver is busy or away."""

UNAUTHORIZED = (401, 403, 407)
GONE = 410

LONGEST_PAUSE = 3600.0
"""Seconds that ``Retry-After`` is followed, at most."""

SHOWN = 200
"""Characters of an answer that errors show."""


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """``refused`` is for 4xx: no other attempt can succeed. 500 and its like may be the message's fault or
    the receiver's, so they are attempts.
    """
    if 200 <= status < 300:
        return CONFIRMED
    text = _describe(status, body)
    after = read_retry_after(headers.get("Retry-After"))
    if status in LATER:
        return Outcome("unavailable", text, after)
    if status in UNAUTHORIZED:
        return Outcome("misconfigured", f"{text}: it does not know us")
    if status == GONE:
        return Outcome("misconfigured", f"{text}: it wants no more messages")
    if 300 <= status < 400:
        where = _describe_target(headers.get("Location", ""))
        return Outcome("misconfigured", f"{text}{where}: redirects are not followed")
    return Outcome("refused" if 400 <= status < 500 else "failed", text, after)


def read_retry_after(text: str | None) -> float | None:
    """Seconds to wait, from a number or a date; None for neither."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return None if math.isnan(seconds) else min(LONGEST_PAUSE, max(0.0, seconds))


def _describe(status: int, body: bytes) -> str:
    words = "".join(
        letter if letter.isprintable() else " " for letter in body[: SHOWN * 4].decode(errors="replace")
    )
    words = " ".join(words.split())[:SHOWN]
    return f"it answers {status}" + (f" ({words})" if words else "")


def _describe_target(location: str) -> str:
    """Where a redirect leads, without the query, which may hold a secret."""
    try:
        parts = urlsplit(location)
        host = parts.hostname or ""
    except ValueError:
        return ""
    where = f"{host}{parts.path}"[:SHOWN]
    return f" and points to {where}" if where.isprintable() and where else ""
