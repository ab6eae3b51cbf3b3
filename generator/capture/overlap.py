"""Changes that two routes send to one queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from changelane.contract.catalog import Table
from changelane.contract.selection import Identity, list_ancestors
from changelane.generator.capture.capture import Capture


@dataclass(slots=True)
class Overlap:
    """``route`` and ``other``, the earlier one in the spec, both send changes of ``tables`` to ``queue``."""

    route: str
    other: str
    queue: str
    tables: dict[Identity, None] = field(default_factory=dict)

    def __str__(self) -> str:
        first, *more = map(".".join, self.tables)
        others = f" and of {len(more)} more table{'s' * (len(more) > 1)}" if more else ""
        return (
            f"routes {self.other} and {self.route} both send changes of {first}{others} to queue {self.queue}"
        )


def find_overlaps(captures: Iterable[Capture], tables: Mapping[Identity, Table]) -> list[Overlap]:
    """One overlap for each pair of routes and queue, listed under the later route. Two routes with `when` do
    not count, because their conditions may exclude each other.
    """
    captures = tuple(captures)
    order = {name: at for at, name in enumerate(dict.fromkeys(capture.route for capture in captures))}
    sending: dict[tuple[Identity, str, str], list[Capture]] = {}
    for capture in captures:
        for queue in capture.queues:
            sending.setdefault((capture.table.identity, queue, capture.event), []).append(capture)
    found: dict[tuple[str, str, str], Overlap] = {}
    for capture in captures:
        above = list_ancestors(capture.table.identity, tables) if capture.event != "truncate" else ()
        for place in (capture.table.identity, *above):
            for queue in capture.queues:
                for other in sending.get((place, queue, capture.event), ()):
                    if other.route == capture.route or (capture.when and other.when):
                        continue
                    first, last = sorted((capture.route, other.route), key=order.__getitem__)
                    double = found.setdefault((last, first, queue), Overlap(last, first, queue))
                    double.tables.setdefault(capture.table.identity)
    return [found[key] for key in sorted(found, key=lambda key: (order[key[0]], order[key[1]], key[2]))]
