"""Which consumers of a manifest a worker works."""

from __future__ import annotations

from collections.abc import Sequence

from changelane.contract.manifest import Consumer, Manifest
from changelane.errors import ManifestError
from changelane.suggestion import suggest


def choose_consumers(manifest: Manifest, names: Sequence[str]) -> list[Consumer]:
    """The consumers of the named queues, or all. Raises ManifestError for a name that has no consumer."""
    consumers = {consumer.queue: consumer for consumer in manifest.consumers}
    if not consumers:
        raise ManifestError(
            "the manifest has no consumers", fix="add them to pipelines.yaml, then run `changelane generate`"
        )
    for name in names:
        if name not in consumers:
            raise ManifestError(
                f"queue {name} has no consumer",
                fix=suggest(name, consumers, otherwise=f"there are: {', '.join(sorted(consumers))}"),
            )
    return [consumers[name] for name in dict.fromkeys(names)] or list(manifest.consumers)
