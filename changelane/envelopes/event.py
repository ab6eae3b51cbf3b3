"""One message of a queue, as the formats read it: its text, which they pass on, and its decoded facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, cast

import orjson

from changelane.contract.envelope import ID, LONGEST_ID, ROUTE, ROWS, TEXTS
from changelane.envelopes.record import Refused, make_plain

_STRINGS = (*TEXTS, "at")
_ALL_TEXTS = [str] * len(_STRINGS)
_ROW = {dict, type(None)}
_DEEP = "the message is nested too deep"

# Only where values end matters; numbers of any length must not be converted.
_scan: Callable[[str, int], tuple[Any, int]] = cast(
    Any, json.JSONDecoder(parse_float=len, parse_int=len)
).scan_once
_decode = json.JSONDecoder(
    parse_float=Decimal, parse_int=lambda digits: int(digits) if len(digits) < 4000 else Decimal(digits)
).decode
_PLAIN = {int, str, bool, type(None)}


class Event:
    """``text`` is the message as jsonb prints it, ``headers`` are decoded. ``attempt`` counts from 1.
    ``enqueued_at`` is ISO 8601, or None where nobody read it.

    ``facts`` is the decoded message, empty when it is not an object; its numbers may be inexact, those of
    ``parts`` never. ``is_change``: a capture function wrote it; nothing else is a change, whatever it looks
    like. Receivers de-duplicate by ``id``: printable ASCII, as those of captures are, others are
    percent-encoded. ``own_id`` is empty where the message has none, and ``id`` is its place, which another
    database has, too. ``key`` is the record key as compact JSON, ``{"id":7}``, None without one.

    Raises Refused for a message that is nested too deep.
    """

    def __init__(
        self,
        *,
        text: str,
        queue: str,
        msg_id: int,
        headers: Mapping[str, Any],
        attempt: int = 1,
        enqueued_at: str | None = None,
    ) -> None:
        self.text = text
        self.queue = queue
        self.headers = headers
        self.attempt = attempt
        self.enqueued_at = enqueued_at
        self.facts = _read_facts(text)
        read = self.facts.get
        self.is_change = (
            isinstance(headers.get(ROUTE), str)
            and [type(read(name)) for name in _STRINGS] == _ALL_TEXTS
            and _ROW.issuperset([type(read(name)) for name in ROWS])
        )
        self.own_id = self._find_id()
        self.id = self.own_id or make_plain(f"{queue}:{msg_id}")
        self._parts: dict[str, str] | None = None
        self.key = self._spell_key()

    @property
    def op(self) -> str:
        return str(self.facts["op"])

    @property
    def route(self) -> str:
        return str(self.headers.get(ROUTE, ""))

    @property
    def is_truncated(self) -> bool:
        """Whether the row was cut to its key."""
        return self.is_change and self.facts.get("truncated") is True

    @property
    def parts(self) -> dict[str, str]:
        """The text of each member of the message."""
        if self._parts is None:
            self._parts = split(self.text)
        return self._parts

    def find(self, name: str) -> str | None:
        """The text of a row (``new``, ``old``) or of the key; None where it is null or absent."""
        return self.parts[name] if self.facts.get(name) is not None else None

    def _find_id(self) -> str:
        for value in (self.facts.get(ID) if self.is_change else None, self.headers.get(ID)):
            if isinstance(value, str) and 0 < len(value) <= LONGEST_ID:
                return make_plain(value)
        return ""

    def _spell_key(self) -> str | None:
        key = self.facts.get("key") if self.is_change else None
        if key is None:
            return None
        if _PLAIN.issuperset(map(type, key.values())):
            return orjson.dumps(key).decode()
        members = split(self.parts["key"])
        return "{" + ",".join(f"{spell(name)}:{_respell(value)}" for name, value in members.items()) + "}"


def spell(text: str) -> str:
    """A JSON string."""
    return orjson.dumps(text).decode()


def join(members: Mapping[str, str]) -> str:
    """An object of texts, as jsonb prints it."""
    return "{" + ", ".join(f"{spell(name)}: {value}" for name, value in members.items()) + "}"


def split(text: str) -> dict[str, str]:
    """The members of an object as jsonb prints it, each value as its text. Raises Refused for a text nested
    too deeply.
    """
    members: dict[str, str] = {}
    at = 1
    try:
        while text[at] != "}":
            at += 2 if members else 0
            name, at = _scan(text, at)
            start = at + len(": ")
            _, at = _scan(text, start)
            members[name] = text[start:at]
    except RecursionError:
        raise Refused(_DEEP) from None
    return members


def _read_facts(text: str) -> dict[str, Any]:
    try:
        try:
            value = orjson.loads(text)
        except ValueError:
            value = _decode(text)
    except RecursionError:
        raise Refused(_DEEP) from None
    return value if isinstance(value, dict) else {}


def _respell(value: str) -> str:
    """A string in UTF-8 without escapes that JSON does not ask for: equal keys must be equal bytes."""
    return spell(json.loads(value)) if value.startswith('"') else value
