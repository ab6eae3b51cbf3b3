"""Finds consumers that cannot take their messages, although they are told to."""

from __future__ import annotations

from collections.abc import Iterator

from changelane.diagnostic import Diagnostic
from changelane.generator.spec.codes import Code
from changelane.generator.spec.yaml_source import Source, Step

_REASONS = {
    ("ordering", "key"): "whose claims hold back a key by the lease of its first message",
    ("coalesce", None): "whose claims hold back a key by the leases of its messages",
    ("fair", None): "which counts leased messages",
    ("limit", None): "which counts leased messages",
    ("relay", None): "which waits for an engine",
}
"""Why a key, or a value of it, needs leases."""


def check_claims(source: Source) -> Iterator[Diagnostic]:
    """Every contradiction. A value of the wrong type is skipped, because another check reports it."""
    node = source.find("consumers")
    for queue in node.content if node is not None and isinstance(node.content, dict) else ():
        path: tuple[Step, ...] = ("consumers", queue)
        if _text(source, *path, "claim") != "take":
            continue
        for (key, value), reason in _REASONS.items():
            if source.find(*path, key) is None or (value and _text(source, *path, key) != value):
                continue
            written = f"{key}: {value}" if value else key
            yield source.diagnose(
                Code.CLAIM,
                f"`claim: take` is given with `{written}`, {reason}",
                *path,
                "claim",
                fix=f"delete `claim`, so that messages are leased, or delete `{written}`",
            )


def _text(source: Source, *path: Step) -> str | None:
    node = source.find(*path)
    return node.content if node is not None and isinstance(node.content, str) else None
