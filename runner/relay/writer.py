"""Writes queue messages as an engine's messages: address, and what the format makes of them."""

from __future__ import annotations

from typing import Any

from changelane.contract.destination import Relay
from changelane.contract.envelope import ROUTE
from changelane.contract.template import Engine, Unfillable, fill, parse_template
from changelane.envelopes.event import Event
from changelane.envelopes.record import Refused, Setting, make_plain
from changelane.envelopes.write import write_event
from changelane.runner.queue.delivery import Delivery, Malformed, decode_json
from changelane.runner.relay.engine import Outgoing

REMEMBERED = 10_000
"""Addresses that are kept, at most: most relays send to few."""

_NAMES = ("op", "schema", "table")


class Writer:
    """Writes the messages of one queue for one relay. Not thread-safe.

    An address of names alone is looked up. One with a key or a column is filled from numbers that are
    decoded exactly, as they may have more digits than a float.
    """

    def __init__(self, relay: Relay, *, engine: Engine, queue: str, attempts: int) -> None:
        self._format = relay.format
        self._setting = Setting(
            binding=engine,
            source=relay.source,
            database=relay.database,
            attempts=attempts,
            tombstone=relay.tombstone,
        )
        self._template = parse_template(relay.address, engine=engine) if relay.address else None
        self._queue = queue
        places = self._template.places if self._template else ()
        self.by_row = any(place.column or place.name == "key" for place in places)
        """Whether the address depends on a row's values."""
        self._addresses: dict[tuple[Any, ...], str] = {}

    def write(self, delivery: Delivery) -> Outgoing | None:
        """The message to send; None where the format sends nothing for it.

        Raises Malformed for a message that has no address, or that the format cannot say.
        """
        if delivery.malformed:
            raise Malformed(delivery.malformed)
        try:
            event = Event(
                text=delivery.text or "null",
                queue=self._queue,
                msg_id=delivery.msg_id,
                headers=delivery.headers,
                attempt=delivery.failed + 1,
                enqueued_at=delivery.enqueued_at,
            )
            record = write_event(event, format=self._format, setting=self._setting)
        except Refused as problem:
            raise Malformed(str(problem)) from None
        if record is None:
            return None
        return Outgoing(
            id=record.id,
            address=self._find_address(event),
            body=record.body,
            key=None if record.key is None else record.key.encode(),
            headers=record.headers,
            tombstone=record.tombstone,
            # Another database, or a queue that was made anew, has the same place.
            lasting=record.id != make_plain(delivery.name),
        )

    def _find_address(self, event: Event) -> str:
        if self._template is None:
            return ""
        if self.by_row:
            content = decode_json(event.text)
            return self._fill(content if isinstance(content, dict) else {}, event)
        names = (event.headers.get(ROUTE), *(event.facts.get(name) for name in _NAMES))
        try:
            known = self._addresses.get(names)
        except TypeError:
            # A hostile message has a list where a name belongs.
            return self._fill(event.facts, event)
        if known is None:
            if len(self._addresses) >= REMEMBERED:
                self._addresses.clear()
            known = self._addresses[names] = self._fill(event.facts, event)
        return known

    def _fill(self, content: dict[str, Any], event: Event) -> str:
        try:
            values = {**content, "route": event.headers.get(ROUTE), "queue": self._queue}
            return fill(self._template, values) if self._template else ""
        except Unfillable as problem:
            raise Malformed(f"no address: {problem}") from None
