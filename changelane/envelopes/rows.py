"""Rows for formats that say before and after: whole rows, whatever the route leaves out of ``old``."""

from __future__ import annotations

from changelane.contract.formats import OPERATIONS_OF, Format
from changelane.envelopes.event import Event, join, split
from changelane.envelopes.record import Refused


def require_change(event: Event, format: Format) -> None:
    """Raise Refused for a message that no capture function wrote, or an operation that the format lacks."""
    if not event.is_change:
        raise Refused(f"{format} carries changes alone, and no capture function wrote this message")
    if event.op not in OPERATIONS_OF[format]:
        raise Refused(f"{format} has no {event.op}")


def find_before(event: Event) -> str | None:
    """The row before the change. An update has all its columns, also where the message has only those that
    differ. A deleted row that the message leaves out is its key.
    """
    old = event.find("old")
    if old is None:
        return event.find("key") if event.op == "delete" else None
    new = event.facts.get("new")
    if new is not None and len(event.facts["old"]) < len(new):
        return join({**split(event.parts["new"]), **split(old)})
    return old
