"""Keys and values of the models that the generator does not build yet: refused, never ignored."""

from __future__ import annotations

from collections.abc import Iterator

from changelane.diagnostic import Diagnostic
from changelane.generator.codes import Code
from changelane.generator.source import Node, Source, Step

UNSUPPORTED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("api",): (),
    ("queues", "*", "access"): (),
}
"""Values of a key that are refused; none named: the key is. ``*`` is any name or item."""


def find_unsupported(source: Source) -> dict[tuple[Step, ...], Diagnostic]:
    """The places where the spec uses what is not built yet."""
    return {
        path: _refuse(source, path, node, values)
        for pattern, values in UNSUPPORTED.items()
        for path, node in _walk(source.root, pattern, ())
        if not values or node.content in values
    }


def _refuse(source: Source, path: tuple[Step, ...], node: Node, values: tuple[str, ...]) -> Diagnostic:
    key = str(path[-1])
    if values:
        return source.diagnose(
            Code.NOT_SUPPORTED, f"`{key}: {node.content}` is not yet supported", *path, help="delete it"
        )
    return source.diagnose(
        Code.NOT_SUPPORTED, f"`{key}` is not yet supported", *path, key=True, help="delete it"
    )


def _walk(
    node: Node, pattern: tuple[str, ...], path: tuple[Step, ...]
) -> Iterator[tuple[tuple[Step, ...], Node]]:
    if not pattern:
        yield path, node
        return
    steps: list[Step] = [pattern[0]]
    if pattern[0] == "*":
        steps = list(node.content) if isinstance(node.content, dict) else []
        steps += range(len(node.content)) if isinstance(node.content, list) else []
    for step in steps:
        child = node.step(step)
        if child is not None:
            yield from _walk(child, pattern[1:], (*path, step))
