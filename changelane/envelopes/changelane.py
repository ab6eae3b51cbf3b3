"""``changelane``: the message, byte by byte as the queue holds it."""

from __future__ import annotations

from changelane.envelopes.event import Event
from changelane.envelopes.headers import make_headers
from changelane.envelopes.record import Record, Setting


def write(event: Event, setting: Setting) -> Record:
    named = {"route": event.route} if event.is_change else {}
    return Record(
        id=event.id,
        body=event.text.encode(),
        headers=make_headers(event, binding=setting.binding, **named),
        key=event.key,
    )
