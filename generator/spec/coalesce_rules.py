"""Finds what cannot be merged: settings beside ``coalesce``, and routes that send to its queue."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic_core import PydanticCustomError

from changelane.diagnostic import Diagnostic
from changelane.generator.spec.codes import Code
from changelane.generator.spec.scalars import read_duration, show
from changelane.generator.spec.yaml_source import Source, Step


def check_coalesce(source: Source) -> Iterator[Diagnostic]:
    """Every contradiction. A value of the wrong type is skipped, because another check reports it."""
    merging = [queue for queue in _list(source, "consumers") if source.find("consumers", queue, "coalesce")]
    for queue in merging:
        yield from _check_times(source, "consumers", queue, "coalesce")
        yield from _check_consumer(source, "consumers", queue)
    if merging:
        yield from _check_routes(source, merging)


def _check_times(source: Source, *path: Step) -> Iterator[Diagnostic]:
    quiet, at_most = _seconds(source, *path, "quiet"), _seconds(source, *path, "at_most")
    if at_most is None:
        return
    if not quiet and (quiet is not None or source.find(*path, "quiet") is None):
        yield source.diagnose(
            Code.COALESCE,
            "`at_most` limits how long a key waits to be quiet, and without `quiet` none waits",
            *path,
            "at_most",
            fix="add `quiet: 2s`, or delete `at_most`",
        )
    elif quiet and at_most < quiet:
        yield source.diagnose(
            Code.COALESCE,
            f"`at_most` ({_text(source, *path, 'at_most')}) is shorter than `quiet` "
            f"({_text(source, *path, 'quiet')}): no key could be quiet for so long",
            *path,
            "at_most",
            fix="raise `at_most`, or lower `quiet`",
        )


def _check_consumer(source: Source, *path: Step) -> Iterator[Diagnostic]:
    if _text(source, *path, "ordering") == "key":
        yield source.diagnose(
            Code.COALESCE,
            "`coalesce` handles one change of a key at a time itself, the last state last",
            *path,
            "ordering",
            fix="delete `ordering: key`; or delete `coalesce`, where each change counts",
        )
    for key in ("fair", "limit"):
        if source.find(*path, key) is not None:
            yield source.diagnose(
                Code.COALESCE,
                f"`{key}` is given with `coalesce`, whose claims take whole keys, whatever their turn "
                "and the limits",
                *path,
                key,
                key=True,
                fix=f"delete `{key}`, or `coalesce`; `rate` and `concurrency` of the consumer itself hold",
            )
    if _text(source, *path, "relay", "format") == "outbox":
        yield source.diagnose(
            Code.COALESCE,
            "each row of an outbox is an event, and `coalesce` would drop those that are deleted again",
            *path,
            "relay",
            "format",
            fix="delete `coalesce`, or choose another format",
        )


def _check_routes(source: Source, merging: list[Step]) -> Iterator[Diagnostic]:
    for index in _list(source, "routes"):
        route = ("routes", index)
        queues = {_text(source, *route, "queue")}
        queues |= {_text(source, *route, "queues", place) for place in _list(source, *route, "queues")}
        for queue in (queue for queue in merging if queue in queues):
            for place in _list(source, *route, "events"):
                if _text(source, *route, "events", place) == "truncate":
                    yield source.diagnose(
                        Code.COALESCE,
                        f"a truncation has no key, so it would pass the changes that consumer "
                        f"{show(str(queue))} holds back, and these would bring rows back",
                        *route,
                        "events",
                        place,
                        fix="take truncate from the events; a route of its own can send it to another queue",
                    )


def _seconds(source: Source, *path: Step) -> float | None:
    try:
        return read_duration(_text(source, *path))
    except PydanticCustomError:
        return None


def _list(source: Source, *path: Step) -> list[Step]:
    node = source.find(*path)
    if node is None or not isinstance(node.content, dict | list):
        return []
    return list(node.content) if isinstance(node.content, dict) else list(range(len(node.content)))


def _text(source: Source, *path: Step) -> str:
    node = source.find(*path)
    return node.content if node is not None and isinstance(node.content, str) else ""
