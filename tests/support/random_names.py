"""Random names of queues, as people choose them: Supabase's form accepts any name that is short enough."""

from __future__ import annotations

from random import Random

from changelane.contract.queue_name import LONGEST, find_fault, fold

ROOM = LONGEST - len("_dlq")
"""Bytes of a queue's name whose dead letters have a name by default."""

PIECES = (
    *"abcxyzABCXYZ019", *' _-."%/\\(){}[]:,!?*#@&+=|<>~^`', "%s", "%I", "%%", '""', "{}", "q_", "a_", "_dlq",
    "/*", "*/", "\\n", "=22", "null", "select", "Foo", "my-queue",
)  # fmt: skip
LETTERS = (*"éßñøжλ漢字😀", "́")
"""Beyond ASCII: for databases in UTF-8."""


def draw_queue_names(random: Random, count: int, *, ascii: bool = False) -> list[str]:
    """Names of up to ``ROOM`` bytes that the spec accepts. No two share tables, dead letters included."""
    pieces = PIECES if ascii else PIECES + LETTERS
    names: list[str] = []
    taken: set[str] = set()
    while len(names) < count:
        name = "".join(random.choices(pieces, k=random.choice((1, 2, 3, 5, 8, 40))))
        name = name.encode()[:ROOM].decode(errors="ignore")
        tables = {fold(name), f"{fold(name)}_dlq"}
        if not find_fault(name) and not tables & taken:
            names.append(name)
            taken |= tables
    return names
