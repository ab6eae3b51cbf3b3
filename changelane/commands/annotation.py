"""Finds handlers whose annotation does not fit the messages of their queue, without running their code."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

from changelane.commands.output import say
from changelane.contract.manifest import Manifest, load_manifest
from changelane.diagnostic import Diagnostic
from changelane.errors import ManifestError

Misfit = tuple[str, str, str]
"""A queue, what does not fit there, and the fix."""

Taken = Literal["changes", "messages", "both"]


def find_mismatches(
    handlers: Mapping[str, str], *, routes: Mapping[str, Collection[str]], folder: Path
) -> Iterator[Misfit]:
    """Each queue whose handler takes another kind of message than it gets.

    ``handlers`` and ``routes`` are by queue. Handlers are looked for in ``folder``. Handlers that are not
    found there are left out, and so are those whose annotation names neither Change nor Message.
    """
    for queue, handler in handlers.items():
        taken = read_annotation(handler, folder=folder)
        senders = sorted(routes.get(queue, ()))
        if taken == "messages" and senders:
            yield (
                queue,
                f"queue {queue}: {handler} takes messages, and gets the changes of route "
                f"{', '.join(senders)} as their JSON bodies",
                "annotate Change, or Change | Message",
            )
        elif taken == "changes" and not senders:
            yield (
                queue,
                f"queue {queue}: {handler} takes captured changes, and no route sends any here; what else is "
                "sent becomes a dead letter",
                "annotate Message for messages that are sent by other means",
            )


def list_producers(manifest: Manifest) -> dict[str, set[str]]:
    """The routes that send to each queue; changes of a queue reach its dead letters, too."""
    routes: dict[str, set[str]] = {}
    for capture in manifest.captures:
        for queue in capture.queues:
            routes.setdefault(queue, set()).add(capture.route)
    for declared in manifest.queues:
        if declared.dead_letter:
            routes.setdefault(declared.dead_letter, set()).update(routes.get(declared.name, ()))
    return routes


def diagnose_mismatches(file: Path) -> list[Diagnostic]:
    """As ``find_mismatches`` in the current folder, of the spec in a file, which is valid."""
    from changelane.generator.spec.codes import Code
    from changelane.generator.spec.loading import read_spec

    document = read_spec(file)
    spec = document.spec
    routes: dict[str, set[str]] = {}
    for route in spec.routes:
        for queue in route.queues:
            routes.setdefault(queue, set()).add(route.name)
            routes.setdefault(spec.dead_letter(queue), set()).add(route.name)
    handlers = {name: one.handler for name, one in spec.consumers.items() if one.handler}
    return [
        document.diagnose(Code.HANDLER, what, "consumers", queue, "handler", fix=fix, severity="warning")
        for queue, what, fix in find_mismatches(handlers, routes=routes, folder=Path.cwd())
    ]


def warn_of_sending(out: Path, queue: str) -> None:
    """On stderr, where the handler of the queue takes captured changes alone."""
    try:
        manifest = load_manifest(out)
    except ManifestError:
        return
    for consumer in manifest.consumers:
        handler = consumer.handler
        if consumer.queue == queue and handler and read_annotation(handler, folder=Path.cwd()) == "changes":
            say(
                f"warning: {handler} takes captured changes alone: it becomes a dead letter\n"
                "  fix: annotate Change | Message to take both",
                err=True,
            )


def list_mismatches(manifest: Manifest) -> list[Misfit]:
    """As ``find_mismatches`` in the current folder, of what was generated."""
    handlers = {consumer.queue: consumer.handler for consumer in manifest.consumers if consumer.handler}
    return list(find_mismatches(handlers, routes=list_producers(manifest), folder=Path.cwd()))


def read_annotation(handler: str, *, folder: Path) -> Taken | None:
    """What ``module:function`` takes by the text of its file; None where that does not say."""
    module, _, path = handler.partition(":")
    place = folder.joinpath(*module.split("."))
    file = next(
        (found for found in (place.with_suffix(".py"), place / "__init__.py") if found.is_file()), None
    )
    try:
        tree = ast.parse(file.read_bytes()) if file else None
    except (SyntaxError, ValueError, RecursionError, OSError):
        tree = None
    functions = [
        node
        for node in (tree.body if tree else ())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == path
    ]
    if tree is None or not functions:
        return None
    arguments = functions[-1].args
    first = [*arguments.posonlyargs, *arguments.args][:1]
    if not first:
        return None
    if first[0].annotation is None:
        return "changes"
    names = set(_list_names(first[0].annotation, aliases=_find_aliases(tree)))
    changes, messages = "Change" in names, "Message" in names
    return "both" if changes and messages else "changes" if changes else "messages" if messages else None


def _find_aliases(tree: ast.Module) -> dict[str, str]:
    """Names that the module has for what it imports from changelane."""
    return {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("changelane")
        for alias in node.names
        if alias.asname
    }


def _list_names(annotation: ast.expr, *, aliases: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            yield aliases.get(node.id, node.id)
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                yield from _list_names(ast.parse(node.value, mode="eval").body, aliases=aliases)
            except SyntaxError:
                continue
