"""What a format makes of a message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from changelane.contract.template import Engine

CONTENT_TYPE = "content-type"
JSON = "application/json"

_ENCODED = re.compile(r"[^!#$&-~]")


class Refused(ValueError):
    """The format cannot say this message, in any attempt: the fault is the message's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a format may ask of whoever sends.

    ``binding`` is the engine, which decides how headers are named and spelled. ``source`` is CloudEvents'
    source and Debezium's logical name; empty for the formats' own. ``database`` is Debezium's ``source.db``.
    ``attempts`` are those of the consumer, for Hasura. ``tombstone`` is whether Debezium's deletes have one.
    """

    binding: Engine = "http"
    source: str = ""
    database: str = ""
    attempts: int = 1
    tombstone: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Bytes to send. ``id`` is by what to de-duplicate, ``key`` the record key, None without one.

    ``headers`` have the content type among them; ``body`` is empty for a value of null. ``tombstone`` asks
    for another record after this one, where the engine has records without a value (Kafka): the same key and
    null, so that the log can forget the key.
    """

    id: str
    body: bytes
    headers: dict[str, str]
    key: str | None = None
    tombstone: bool = False

    @property
    def content_type(self) -> str:
        return self.headers[CONTENT_TYPE]


def make_plain(text: str) -> str:
    """The text as printable ASCII: anything else, blanks, ``"`` and ``%`` are percent-encoded, as the HTTP
    binding of CloudEvents asks.
    """
    return _ENCODED.sub(lambda found: quote(found[0], safe=""), text) if _ENCODED.search(text) else text
