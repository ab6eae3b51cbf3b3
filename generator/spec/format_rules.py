"""Finds contradictions between the format of a relay and the routes of its queue."""

from __future__ import annotations

from collections.abc import Iterator

from changelane.contract.formats import FORMATS, OPERATIONS_OF, OUTBOX_COLUMNS
from changelane.diagnostic import Diagnostic
from changelane.generator.spec.codes import Code
from changelane.generator.spec.scalars import show
from changelane.generator.spec.yaml_source import Source, Step


def check_formats(source: Source) -> Iterator[Diagnostic]:
    """Each route that sends what the format of a relay on its queue cannot say. A value of the wrong type is
    skipped, because another check reports it.
    """
    formats = {
        queue: format
        for queue in _list(source, "consumers")
        for format in FORMATS
        if format == _text(source, "consumers", queue, "relay", "format")
    }
    for index in _list(source, "routes"):
        route = ("routes", index)
        named = _text(source, *route, "name")
        events = [_text(source, *route, "events", event) for event in _list(source, *route, "events")]
        queues = [_text(source, *route, "queue")]
        queues += [_text(source, *route, "queues", queue) for queue in _list(source, *route, "queues")]
        for queue in (queue for queue in queues if queue in formats):
            format, place = formats[queue], ("consumers", queue, "relay", "format")
            for event in (event for event in events if event and event not in OPERATIONS_OF[format]):
                yield source.diagnose(
                    Code.RELAY,
                    f"{format} has no {event}, which route {show(named)} sends: each would be a dead letter",
                    *place,
                    fix=f"take {event} from the events of {named}, or choose another format",
                )
            if format == "outbox" and (lacking := _find_lacking(source, route)):
                yield source.diagnose(
                    Code.RELAY,
                    f"outbox reads {', '.join(lacking)}, which route {show(named)} leaves out",
                    *place,
                    fix=f"send {', '.join(lacking)} in the payload of {named}",
                )


def _find_lacking(source: Source, route: tuple[Step, ...]) -> list[str]:
    """Columns of an outbox that the payload leaves out. ``type`` may be absent."""
    needed = [column for column in OUTBOX_COLUMNS if column != "type"]
    payload = (*route, "payload")
    excluded = {_text(source, *payload, "exclude", index) for index in _list(source, *payload, "exclude")}
    given = [_text(source, *payload, "columns", index) for index in _list(source, *payload, "columns")]
    return [column for column in needed if column in excluded or (given and column not in given)]


def _list(source: Source, *path: Step) -> list[Step]:
    """The keys of a mapping, or the positions of a list."""
    node = source.find(*path)
    if node is None or not isinstance(node.content, dict | list):
        return []
    return list(node.content) if isinstance(node.content, dict) else list(range(len(node.content)))


def _text(source: Source, *path: Step) -> str:
    node = source.find(*path)
    return node.content if node is not None and isinstance(node.content, str) else ""
