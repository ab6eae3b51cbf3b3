"""Signatures of Standard Webhooks 1.0: the receiver knows who sent a request, and that nobody changed it.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from urllib.parse import quote

PREFIXES = ("v1,whsec_", "whsec_")
"""What may stand before the key. Supabase shows secrets of its hooks with the longer one."""

SHORTEST, LONGEST = 24, 64
"""Bytes of a key."""

_APART = re.compile(r"[^A-Za-z0-9_~:-]")


class Secret:
    """A key to sign with, never shown."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Secret(...)"

    def sign(self, content: bytes) -> str:
        return base64.b64encode(hmac.digest(self._key, content, "sha256")).decode()


def read_secret(text: str) -> Secret:
    """The secret ``whsec_`` and base64 of 24 to 64 bytes; the prefix may be absent.

    Raises ValueError, which does not show the text.
    """
    encoded = text.strip()
    for prefix in PREFIXES:
        encoded = encoded.removeprefix(prefix)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64 after whsec_") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"it holds {len(key)} bytes, and Standard Webhooks asks for {SHORTEST} to {LONGEST}")
    return Secret(key)


def sign(body: bytes, *, id: str, at: int, secrets: Sequence[Secret]) -> dict[str, str]:
    """The headers of one attempt. ``id`` is that of the message, over all attempts; ``at`` is the time of the
    attempt in seconds since 1970.

    Each secret signs, so that a receiver who has the old or the new one of a rotation takes the request.
    The signed content is parted by dots, so an id has none: such characters are percent-encoded.
    """
    known = _APART.sub(_encode, id)
    content = b"%s.%d.%s" % (known.encode(), at, body)
    return {
        "webhook-id": known,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{secret.sign(content)}" for secret in secrets),
    }


def _encode(found: re.Match[str]) -> str:
    return "%2E" if found[0] == "." else quote(found[0], safe="")
