"""What contradicts ``fair`` and ``limit`` of a consumer."""

from __future__ import annotations

from collections.abc import Iterator

from changelane.diagnostic import Diagnostic
from changelane.generator.spec.codes import Code
from changelane.generator.spec.yaml_source import Source, Step


def check_fair(source: Source) -> Iterator[Diagnostic]:
    """Every contradiction, from the raw tree."""
    consumers = source.find("consumers")
    for queue in consumers.content if consumers and isinstance(consumers.content, dict) else ():
        path: tuple[Step, ...] = ("consumers", queue)
        for key in ("fair", "limit"):
            node = source.find(*path, key)
            if node is None or not isinstance(node.content, dict):
                continue
            yield from _check_ordering(source, path, key)
            yield from _check_partitioned(source, path, key, queue)
            if key == "limit" and not node.content:
                message = "`limit` bounds nothing"
                fix = "for example `limit: {concurrency: 20, rate: 200/s}`, or delete `limit`"
                yield source.diagnose(Code.EMPTY, message, *path, key, key=True, fix=fix)


def _check_ordering(source: Source, path: tuple[Step, ...], key: str) -> Iterator[Diagnostic]:
    if _text(source, *path, "ordering") == "key":
        yield source.diagnose(
            Code.FAIR,
            f"`{key}` is given with `ordering: key`, whose claims take the first message of each key, "
            "whatever its turn and the limits",
            *path,
            key,
            key=True,
            fix="for one message of a key at a time: `fair: {by: key, concurrency: 1}` without `ordering`, "
            f"which takes the oldest first but lets a retry fall behind; or delete `{key}`",
        )


def _check_partitioned(source: Source, path: tuple[Step, ...], key: str, queue: str) -> Iterator[Diagnostic]:
    if _text(source, "queues", queue, "kind") != "partitioned":
        return
    needs = key == "fair" or source.find(*path, key, "concurrency") is not None
    if needs:
        yield source.diagnose(
            Code.FAIR,
            f"`{key}` needs one index over all messages, and a partitioned queue has one for each partition",
            *path,
            key,
            key=True,
            fix=f"let the queue be `kind: logged`, or delete `{key}`"
            + ("" if key == "fair" else "; `limit: {rate: ...}` alone works"),
        )


def _text(source: Source, *path: Step) -> str:
    node = source.find(*path)
    return str(node.content) if node is not None and isinstance(node.content, str) else ""
