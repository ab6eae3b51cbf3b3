"""Sessions of visitors: signed cookies, CSRF tokens, and the login token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from changelane.runner.dashboard.web.tokens import Holder, Tokens

LIFETIME = 12 * 3600
"""Seconds for which a session is valid."""

INVITATION = 15 * 60
"""Seconds for which a one-time address is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The visitor of one request. ``user`` may see pages, ``reads_only`` change nothing; ``program`` sent the
    token in a header.

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
    reads_only: bool = False
    form: Mapping[str, list[str]] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a field, as typed."""
        return self.form.get(name, [default])[0]


class Sessions:
    """Issues and checks sessions. Sessions of another process, or from before a restart, are not valid, nor
    is one whose token is gone.

    Without a token, every visitor is a user.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._key = secrets.token_bytes(32)
        self._ended: dict[str, float] = {}
        self._invitation: tuple[str, float] | None = None

    @property
    def guarded(self) -> bool:
        return self._tokens.guarded

    def issue(self, holder: Holder | None = None) -> str:
        """The value of a new cookie: of a guest, or of whom holds a token."""
        mark = self._mark(holder) if holder else ""
        body = f"{mark}.{secrets.token_urlsafe(18)}.{int(time.time()) + LIFETIME}"
        return f"{body}.{self._sign('session', body)}"

    def check(self, cookie: str) -> tuple[bool, Holder | None]:
        """Whether a cookie's value is valid, and whose it is; None for a guest's."""
        body, _, signature = cookie.rpartition(".")
        if not _same(signature, self._sign("session", body)) or cookie in self._ended:
            return False, None
        mark, _, expires = body.split(".")
        if float(expires) < time.time():
            return False, None
        holder = self._tokens.find(mark, self._mark) if mark else None
        return not mark or holder is not None, holder

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

    def admit(self, given: str) -> Holder | None:
        """The holder of the token, checked in constant time; None if it is wrong."""
        return self._tokens.admit(given)

    def invite(self) -> str:
        """A code that logs in one visitor, once, within INVITATION seconds. It replaces the previous code."""
        code = secrets.token_urlsafe(24)
        self._invitation = (code, time.monotonic() + INVITATION)
        return code

    def redeem(self, code: str) -> Holder | None:
        """The holder whom the code lets in, None if it is not valid; it is valid once only."""
        if self._invitation is None or not _same(code, self._invitation[0]):
            return None
        _, until = self._invitation
        self._invitation = None
        return self._tokens.own if time.monotonic() < until else None

    def name(self, cookie: str) -> str:
        """A short name for a session in the audit log. It cannot be used to log in."""
        return self._sign("name", cookie)[:8]

    def _mark(self, holder: Holder) -> str:
        """What a session carries of its token, useless elsewhere; it changes with the token and the right."""
        return self._sign("token", f"{holder.name}:{holder.right}:{holder.digest.hex()}")[:32]

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
