"""``row``: the row alone; headers say what happened to it.

It is the row after the change, and for a delete the one before. Any other message is passed on as it is.
"""

from __future__ import annotations

from changelane.envelopes.event import Event
from changelane.envelopes.headers import make_headers
from changelane.envelopes.record import Record, Refused, Setting
from changelane.envelopes.rows import find_before, require_change


def write(event: Event, setting: Setting) -> Record:
    text: str | None = event.text
    named = {}
    if event.is_change:
        require_change(event, "row")
        text = find_before(event) if event.op == "delete" else event.find("new")
        facts = event.facts
        named = {
            "op": event.op, "schema": facts["schema"], "table": facts["table"], "route": event.route,
        }  # fmt: skip
    if text is None:
        raise Refused("the message has no row: its route leaves it out, and the table has no key")
    return Record(
        id=event.id,
        body=text.encode(),
        headers=make_headers(event, binding=setting.binding, **named),
        key=event.key,
    )
