"""The role that capture functions belong to: all that it needs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from changelane.contract.access import find_functions
from changelane.contract.schema import SHARED
from changelane.generator.capture.calls import list_calls
from changelane.generator.capture.capture import Capture

_OURS = ("pgmq", "changelane")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """``functions`` are (schema, name), operators among them; ``queues`` those that captures send to."""

    role: str
    queues: tuple[str, ...]
    schemas: tuple[str, ...]
    functions: tuple[tuple[str, str], ...]


def gather_owner(role: str, captures: Iterable[Capture]) -> Owner:
    """What the captures call and send to."""
    captures = tuple(captures)
    calls = {call for capture in captures for call in list_calls(capture)}
    functions = {("pgmq", name) for name in find_functions(["send"])}
    functions |= {("changelane", name) for name in SHARED}
    return Owner(
        role=role,
        queues=tuple(sorted({queue for capture in captures for queue in capture.queues})),
        schemas=(*_OURS, *sorted({schema for schema, _ in calls})),
        functions=tuple(sorted(functions | calls)),
    )
