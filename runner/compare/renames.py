"""Finds captures whose route or table was renamed: the new trigger replaces the old one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from changelane.contract.manifest import Capture
from changelane.contract.marker import SCHEMA, TRIGGER_EVENTS
from changelane.contract.queue_name import fold
from changelane.contract.selection import list_ancestors
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import Function, Observed, Trigger
from changelane.text import spell

_SENDS = re.compile(r"""pgmq\.(?:send(?:_batch)?\((E?)'([^']{1,94})'|"q_((?:[^"]|""){1,94})")""")


@dataclass(frozen=True, slots=True)
class Rename:
    """The orphan ``trigger`` is replaced by ``capture`` in one transaction; so is its ``function`` if it is
    the project's. ``known``: the capture sends all that the orphan sends; otherwise the replacement needs a
    prune. ``doubled``: the capture's trigger exists already, so the orphan is only dropped.
    """

    capture: Capture
    trigger: Object
    function: Object | None
    known: bool
    doubled: bool = False

    @property
    def objects(self) -> list[Object]:
        return [thing for thing in (self.trigger, self.function) if thing]

    def explain_double(self) -> Object:
        """The trigger, with the reason why its changes are sent twice."""
        above = spell(self.capture.identity)
        return replace(
            self.trigger,
            detail=f"{self.trigger.place} is a partition of {above}, whose trigger of route "
            f"{self.capture.route} sends the same changes",
            fix="--prune drops it",
        )


def find_renames(objects: Iterable[Object], observed: Observed) -> list[Rename]:
    """Every orphaned trigger with a declared trigger for the same rows and event. That one will be added to
    the same table, or is on a partitioned table above, present or to be added.

    Both together would send each change twice. They count as the same route if table or declaration are
    equal, or if the new one sends to every queue of the orphan. An orphan that sends elsewhere is no rename.
    """
    objects = tuple(objects)
    functions = {
        thing.name: thing for thing in objects if thing.kind == "function" and thing.state == "orphaned"
    }
    added, there = _list_captures(objects)
    renames = []
    for thing in objects:
        if thing.kind != "trigger" or thing.state != "orphaned" or not thing.table:
            continue
        trigger = observed.triggers[(*thing.table, thing.name)]
        function = functions.get(trigger.function.removeprefix(f"{SCHEMA}."))
        above = set(list_ancestors(thing.table, observed.tables))
        for captures, tables in ((added, {thing.table, *above}), (there, above)):
            rivals = [
                capture
                for capture in captures
                if capture.identity in tables and TRIGGER_EVENTS[capture.event] & trigger.type
            ]
            if found := _choose(trigger, rivals, observed.functions):
                capture, known = found
                renames.append(Rename(capture, thing, function, known, doubled=captures is there))
                break
    return renames


def _list_captures(objects: Iterable[Object]) -> tuple[list[Capture], list[Capture]]:
    """Captures whose trigger will be added, and those whose trigger fires already."""
    added, there = [], []
    for thing in objects:
        if thing.kind == "trigger" and thing.capture:
            if thing.state == "missing" and thing.action:
                added.append(thing.capture)
            elif thing.state in ("ok", "outdated", "drifted"):
                there.append(thing.capture)
    return added, there


def _choose(
    trigger: Trigger, rivals: list[Capture], functions: Mapping[str, Function]
) -> tuple[Capture, bool] | None:
    """The capture that replaces the trigger, and whether it sends all that the trigger sends."""
    marker = trigger.marker
    assert marker is not None
    # The hash of a route leaves out its name.
    for capture in rivals:
        if capture.route == marker.name or capture.spec == marker.spec:
            return capture, True
    function = functions.get(trigger.function.removeprefix(f"{SCHEMA}."))
    sent = set(map(fold, read_queues(function)))
    for capture in rivals:
        if sent and sent <= set(map(fold, capture.queues)):
            return capture, True
    for capture in rivals:
        if not sent or sent & set(map(fold, capture.queues)):
            return capture, False
    return None


def read_queues(function: Function | None) -> frozenset[str]:
    """The queues that a capture's function sends to, by its marker; empty if it was changed since."""
    if function is None or function.marker is None or function.marker.live != function.live:
        return frozenset()
    return frozenset(function.marker.queues) or find_queues(function.body)


def find_queues(body: str) -> frozenset[str]:
    """The queues in the body of a capture's function: of one that lost its marker, as some tools drop
    comments, or that version 0.1 made. Names are in lower case where the body names tables.
    """
    return frozenset(
        table.replace('""', '"') if table else name.replace("\\\\", "\\") if escaped else name
        for escaped, name, table in _SENDS.findall(body)
    )
