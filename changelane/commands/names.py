"""Completes names of queues, routes, tables and schedules in a shell, from the manifest in ``sql_out/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from changelane.contract.manifest import Manifest, load_manifest
from changelane.errors import ManifestError

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _complete(list_names: Callable[[Manifest], set[str]]) -> Complete:
    """A completion by these names. Without a manifest there is no name to complete."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        # A shell that completes runs no command: the global options are parsed, and not more.
        out: Path = ctx.find_root().params.get("out") or Path("sql_out")
        try:
            names = list_names(load_manifest(out))
        except (ManifestError, OSError):
            return []
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]

    return complete


complete_queue = _complete(lambda manifest: {queue.name for queue in manifest.queues})
complete_consumer = _complete(lambda manifest: {consumer.queue for consumer in manifest.consumers})
complete_route = _complete(lambda manifest: {route.name for route in manifest.routes})
complete_schedule = _complete(lambda manifest: {schedule.name for schedule in manifest.schedules})
complete_table = _complete(lambda manifest: {".".join(table.identity) for table in manifest.tables})
