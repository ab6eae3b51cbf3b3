"""Headers of records: which, and spelled so that the engine takes any text in them."""

from __future__ import annotations

from changelane.contract.envelope import TRACE
from changelane.contract.template import Engine
from changelane.envelopes.event import Event
from changelane.envelopes.record import CONTENT_TYPE, JSON, make_plain

LONGEST_TRACE = 512
"""Characters of a trace header, as W3C Trace Context asks to carry. Clients' sessions set it, to anything."""

_TRACE = set(TRACE)

_LINES: tuple[Engine, ...] = ("http", "nats")
"""Engines whose headers are lines of text: a line end in a value would begin another header."""


def make_headers(event: Event, *, binding: Engine, content_type: str = JSON, **values: str) -> dict[str, str]:
    """The headers that each format has: id, content type, trace, and ``truncated``. ``values`` are more."""
    headers = {"id": event.id, CONTENT_TYPE: content_type}
    for name, value in values.items():
        headers[name] = spell_header(value, binding=binding)
    if event.is_truncated:
        headers["truncated"] = "true"
    return headers | find_trace(event) if event.headers.keys() & _TRACE else headers


def find_trace(event: Event) -> dict[str, str]:
    """The trace of the writer, to go along. A value that is too long or not plain text is left out."""
    found = {name: event.headers.get(name) for name in TRACE}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str) and len(value) <= LONGEST_TRACE and value.isascii() and value.isprintable()
    }


def spell_header(value: str, *, binding: Engine) -> str:
    """The value, percent-encoded where headers are lines of text."""
    return make_plain(value) if binding in _LINES else value
