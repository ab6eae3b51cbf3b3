"""Which consumers of a manifest a worker works."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from changelane.contract.manifest import Consumer, Manifest
from changelane.errors import ManifestError


def choose_consumers(manifest: Manifest, names: Sequence[str]) -> list[Consumer]:
    """The consumers of the named queues, or all. Raises ManifestError for a name that has no consumer."""
    consumers = {consumer.queue: consumer for consumer in manifest.consumers}
    if not consumers:
        raise ManifestError(
            "the manifest has no consumers", fix="add them to pipelines.yaml, then run `changelane generate`"
        )
    for name in names:
        if name not in consumers:
            close = get_close_matches(name, consumers, n=1)
            raise ManifestError(
                f"queue {name} has no consumer",
                fix=f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(consumers))}",
            )
    return [consumers[name] for name in dict.fromkeys(names)] or list(manifest.consumers)
