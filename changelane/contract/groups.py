"""The groups of a fair queue, and the indexes by which its claims find messages.

A group is the hash of a value of the message. Postgres uses an index only for the very expression that it was
made with. So the expressions are spelled here alone, for generated files, for the worker, and for ``plan``,
which compares what ``pg_get_indexdef`` prints.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from changelane.contract.envelope import GROUP

Paths = Sequence[Sequence[str]]
"""Places in a message, each a sequence of names. The single place ``key`` is the key of per-key ordering."""

Counted = Literal["group", "queue"]
"""Of what a claim counts the leased messages."""

_SIDES = {"new": ("new", "old")}
"""A deleted row is in ``old``. It belongs to the group that it had."""

LEASED = "((read_ct > 0) AND (((headers -> 'changelane'::text) -> 'seen'::text) IS NULL))"
"""Whether a worker has claimed the message and not given it back; its lease may have ended since."""


@dataclass(frozen=True, slots=True)
class ClaimIndex:
    """``suffix`` ends its name, after the name of the queue's table. ``columns`` and ``where`` are SQL."""

    suffix: str
    purpose: str
    columns: str
    where: str = ""

    @property
    def definition(self) -> str:
        """What ``pg_get_indexdef`` prints after the method."""
        return f"({self.columns}){f' WHERE {self.where}' if self.where else ''}"


def spell_group(by: Paths) -> str:
    """SQL of a message's group, a bigint, over ``message`` and ``headers``, as Postgres prints it.

    Values of one JSON text are one group, so 1 and "1" are two. So are null and what the message lacks.

    No jsonb_hash_extended: it takes 1, -1 and [1] for the same.
    """
    if [list(path) for path in by] == [["key"]]:
        key = f"COALESCE((headers ->> {_spell(GROUP)}), (message ->> 'key'::text))"
        return f"COALESCE(hashtextextended({key}, (0)::bigint), (0)::bigint)"
    group = "(0)::bigint"
    for path in by:
        places = ", ".join(_read(("message", side, *path[1:])) for side in _SIDES.get(path[0], path[:1]))
        group = f"hashtextextended((COALESCE({places}, 'null'::jsonb))::text, {group})"
    return group


def list_claim_indexes(by: Paths, counts: Collection[Counted]) -> list[ClaimIndex]:
    """The indexes of the groups in ``by``, and of the leased messages that are counted."""
    indexes = []
    if by:
        group = spell_group(by)
        indexes.append(ClaimIndex("_group_idx", "turns of groups", f"{group}, vt"))
        if "group" in counts:
            indexes.append(ClaimIndex("_held_idx", "the concurrency of groups", f"{group}, vt", LEASED))
    if "queue" in counts:
        indexes.append(ClaimIndex("_lease_idx", "the concurrency of the queue", "vt", LEASED))
    return indexes


def _read(path: Sequence[str]) -> str:
    place, *names = path
    for name in names:
        place = f"({place} -> {_spell(name)})"
    return place


def _spell(text: str) -> str:
    return f"'{text.replace(chr(39), chr(39) * 2)}'::text"
