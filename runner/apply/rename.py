"""Captures whose route or table has a new name: the new trigger takes the old one's place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from changelane.manifest import Capture
from changelane.marker import SCHEMA, TRIGGER_EVENTS
from changelane.runner.apply.object import Object
from changelane.runner.apply.observe import Function, Observed, Trigger

_SENDS = re.compile(r"""pgmq\.(?:send(?:_batch)?\('|"q_)([a-z_][a-z0-9_]{0,46})['"]""")


@dataclass(frozen=True, slots=True)
class Rename:
    """``trigger``, an orphan, makes way for ``capture`` in one transaction, with its ``function`` if that is
    the project's. ``known``: nothing that the orphan sends goes unsent; otherwise it takes a prune.
    """

    capture: Capture
    trigger: Object
    function: Object | None
    known: bool


def find_renames(objects: Iterable[Object], observed: Observed) -> list[Rename]:
    """Every orphaned trigger beside which a new one is to fire on the same table and event for the same rows.

    Both firing would send each change twice. It is the same route, if table or declaration are the same; or
    one that sends to no queue that the new one does not send to. An orphan that sends elsewhere is none.
    """
    objects = tuple(objects)
    functions = {
        thing.name: thing for thing in objects if thing.kind == "function" and thing.state == "orphaned"
    }
    added = [
        thing.capture
        for thing in objects
        if thing.kind == "trigger" and thing.state == "missing" and thing.remedy and thing.capture
    ]
    renames = []
    for thing in objects:
        if thing.kind == "trigger" and thing.state == "orphaned" and thing.table:
            trigger = observed.triggers[(*thing.table, thing.name)]
            rivals = [
                capture
                for capture in added
                if capture.identity == thing.table and TRIGGER_EVENTS[capture.event] & trigger.type
            ]
            found = _choose(trigger, rivals, observed.functions)
            if found:
                name = trigger.function.removeprefix(f"{SCHEMA}.")
                renames.append(Rename(found[0], thing, functions.get(name), known=found[1]))
    return renames


def _choose(
    trigger: Trigger, rivals: list[Capture], functions: Mapping[str, Function]
) -> tuple[Capture, bool] | None:
    """The capture that takes the trigger's place, and whether nothing goes unsent for it."""
    marker = trigger.marker
    assert marker is not None
    # A route's hash is of all but its name.
    for capture in rivals:
        if capture.route == marker.name or capture.spec == marker.spec:
            return capture, True
    sent = read_queues(functions.get(trigger.function.removeprefix(f"{SCHEMA}.")))
    for capture in rivals:
        if sent and sent <= set(capture.queues):
            return capture, True
    for capture in rivals:
        if not sent or sent & set(capture.queues):
            return capture, False
    return None


def read_queues(function: Function | None) -> frozenset[str]:
    """The queues that a capture's function sends to; empty where it is not as it was generated."""
    if function is None or function.marker is None or function.marker.live != function.live:
        return frozenset()
    return frozenset(_SENDS.findall(function.body))
