"""Writes queue messages as an engine's messages: address, body, record key, headers."""

from __future__ import annotations

from typing import Any

import orjson

from changelane.contract.destination import Relay
from changelane.contract.envelope import ID, LONGEST_ID, ROUTE, TRACE
from changelane.contract.template import Engine, Unfillable, fill, parse_template
from changelane.runner.queue.delivery import Delivery, Malformed, decode_json
from changelane.runner.relay.engine import Outgoing

LONGEST_HEADER = 512
"""Characters of a trace header. Writers' sessions set it, so that it may be anything."""

REMEMBERED = 10_000
"""Addresses that are kept, at most: most relays send to few."""

_NAMES = ("op", "schema", "table")


class Writer:
    """Writes the messages of one queue for one relay. Not thread-safe.

    The body is passed on as text. What the address needs is decoded fast; a key or a column is decoded
    exactly, as numbers may have more digits than a float.
    """

    def __init__(self, relay: Relay, *, engine: Engine, queue: str) -> None:
        self._template = parse_template(relay.subject, engine=engine)
        self._queue = queue
        self._exact = any(place.column or place.name == "key" for place in self._template.places)
        self._addresses: dict[tuple[Any, ...], str] = {}

    def write(self, delivery: Delivery) -> Outgoing:
        """Raises Malformed for a message that has no address, or that cannot be read."""
        if delivery.malformed:
            raise Malformed(delivery.malformed)
        text = delivery.text or "null"
        body = decode_json(text) if self._exact else _glance(text)
        content: dict[str, Any] = body if isinstance(body, dict) else {}
        headers = delivery.headers
        id = _read_id(content.get(ID)) or _read_id(headers.get(ID))
        sent = {"id": id or delivery.name}
        for name in TRACE:
            value = headers.get(name)
            if isinstance(value, str) and len(value) <= LONGEST_HEADER and _is_plain(value):
                sent[name] = value
        return Outgoing(id=id, address=self._find_address(content, headers), body=text.encode(), headers=sent)

    def _find_address(self, content: dict[str, Any], headers: dict[str, Any]) -> str:
        route = headers.get(ROUTE)
        if self._exact:
            return self._render(content, route)
        names = (route, *(content.get(name) for name in _NAMES))
        try:
            known = self._addresses.get(names)
        except TypeError:
            # A hostile message has a list where a name belongs.
            return self._render(content, route)
        if known is None:
            if len(self._addresses) >= REMEMBERED:
                self._addresses.clear()
            known = self._addresses[names] = self._render(content, route)
        return known

    def _render(self, content: dict[str, Any], route: Any) -> str:
        try:
            return fill(self._template, {**content, "route": route, "queue": self._queue})
        except Unfillable as problem:
            raise Malformed(f"no address: {problem}") from None


def _glance(text: str) -> Any:
    """JSON whose numbers may be inexact."""
    try:
        return orjson.loads(text)
    except ValueError:
        return decode_json(text)


def _read_id(value: Any) -> str:
    """The id, or empty when the value is none: it goes into headers."""
    return value if isinstance(value, str) and len(value) <= LONGEST_ID and _is_plain(value) else ""


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
