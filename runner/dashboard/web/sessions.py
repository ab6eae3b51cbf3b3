"""Sessions of visitors: signed cookies, CSRF tokens, and the login token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Literal

LIFETIME = 12 * 3600
"""Seconds for which a session is valid."""

INVITATION = 15 * 60
"""Seconds for which a one-time address is valid."""

Rank = Literal["guest", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The visitor of one request. ``user`` may see pages; ``program`` sent the token in a header.

    ``session`` is the cookie's value, ``fresh``: the browser does not have it yet. ``form`` holds the fields
    of a POST. ``who`` and ``remote`` are for the audit log.
    """

    user: bool
    program: bool
    session: str
    fresh: bool
    csrf: str
    who: str
    remote: str
    form: Mapping[str, list[str]] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a field, as typed."""
        return self.form.get(name, [default])[0]


class Sessions:
    """Issues and checks sessions. Sessions of another process, or from before a restart, are not valid.

    Without a ``token``, every visitor is a user.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._key = secrets.token_bytes(32)
        self._ended: dict[str, float] = {}
        self._invitation: tuple[str, float] | None = None

    @property
    def guarded(self) -> bool:
        return self._token is not None

    def issue(self, rank: Rank) -> str:
        """The value of a new cookie."""
        body = f"{rank}.{secrets.token_urlsafe(18)}.{int(time.time()) + LIFETIME}"
        return f"{body}.{self._sign('session', body)}"

    def check(self, cookie: str) -> Rank | None:
        """The rank in a cookie's value; None if the cookie is not valid."""
        body, _, signature = cookie.rpartition(".")
        if not _same(signature, self._sign("session", body)) or cookie in self._ended:
            return None
        rank, _, expires = body.split(".")
        if float(expires) < time.time():
            return None
        return "user" if rank == "user" else "guest"

    def end(self, cookie: str) -> None:
        """End the session of a cookie."""
        now = time.time()
        self._ended = {value: until for value, until in self._ended.items() if until > now}
        self._ended[cookie] = now + LIFETIME

    def protect(self, cookie: str) -> str:
        """The CSRF token of every form of this session."""
        return self._sign("form", cookie)

    def is_protected(self, cookie: str, given: str) -> bool:
        return _same(given, self.protect(cookie))

    def admit(self, given: str) -> bool:
        """Whether the token is right, checked in constant time."""
        return self._token is not None and _same(given, self._token)

    def invite(self) -> str:
        """A code that logs in one visitor, once, within INVITATION seconds. It replaces the previous code."""
        code = secrets.token_urlsafe(24)
        self._invitation = (code, time.monotonic() + INVITATION)
        return code

    def redeem(self, code: str) -> bool:
        """Whether the code is valid; it is valid once only."""
        if self._invitation is None or not _same(code, self._invitation[0]):
            return False
        _, until = self._invitation
        self._invitation = None
        return time.monotonic() < until

    def name(self, cookie: str) -> str:
        """A short name for a session in the audit log. It cannot be used to log in."""
        return self._sign("name", cookie)[:8]

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def read_cookie(header: str, name: str) -> str:
    """The value of a cookie, or empty."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _same(left: str, right: str) -> bool:
    # Compare hashes, so that lengths and non-ASCII characters do not matter.
    digests = [hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (left, right)]
    return hmac.compare_digest(*digests)
