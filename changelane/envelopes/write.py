"""A message in one of the formats."""

from __future__ import annotations

from collections.abc import Callable

from changelane.contract.formats import Format
from changelane.envelopes import changelane, cloudevents, debezium, hasura, outbox, row, supabase
from changelane.envelopes.event import Event
from changelane.envelopes.record import Record, Setting

Writer = Callable[[Event, Setting], Record | None]

_WRITERS: dict[Format, Writer] = {
    "changelane": changelane.write,
    "cloudevents": cloudevents.write,
    "cloudevents_structured": cloudevents.write_structured,
    "debezium": debezium.write,
    "hasura": hasura.write,
    "supabase": supabase.write,
    "outbox": outbox.write,
    "row": row.write,
}


def write_event(event: Event, *, format: Format, setting: Setting) -> Record | None:
    """The record to send, or None where the format has nothing to send for this message.

    Raises Refused for a message that the format cannot say.
    """
    return _WRITERS[format](event, setting)
