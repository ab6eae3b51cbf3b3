"""Holds the columns that ``fair`` takes turns by against what routes send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from changelane.diagnostic import Diagnostic
from changelane.generator.capture.capture import Capture
from changelane.generator.capture.relay_columns import find_column_lack
from changelane.generator.spec.codes import Code
from changelane.generator.spec.fair_models import parse_place
from changelane.generator.spec.yaml_source import Plain, Source, Step


def check_group_columns(source: Source, captures: Sequence[Capture]) -> Iterator[Diagnostic]:
    """Each column of ``by`` that no captured message of the queue has: all would be one group."""
    consumers = source.find("consumers")
    for queue in consumers.content if consumers and isinstance(consumers.content, dict) else ():
        sent = [capture for capture in captures if queue in capture.queues and capture.event != "truncate"]
        for text, path in _list_places(source, "consumers", queue, "fair", "by"):
            place = parse_place(text)
            if not sent or place[0] not in ("new", "old") or len(place) < 2:
                continue
            lacks = [find_column_lack(place[1], capture) for capture in sent]
            first = lacks[0]
            if first is not None and all(lacks):
                yield source.diagnose(
                    Code.FAIR if first.code is Code.RELAY else first.code,
                    f"groups by {text}, which no message has: {first.why}",
                    *path, fix=first.fix,
                )  # fmt: skip


def _list_places(source: Source, *path: Step) -> Iterator[tuple[str, tuple[Step, ...]]]:
    node = source.find(*path)
    content = None if node is None else node.content
    if isinstance(content, (str, Plain)):
        yield str(content), path
    elif isinstance(content, list):
        for position, item in enumerate(content):
            if isinstance(item.content, str):
                yield str(item.content), (*path, position)
