"""Finds risks for the order of messages that no trigger name can remove: triggers of others that write other
rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import dataclass

from changelane.contract.catalog import Trigger
from changelane.contract.manifest import Capture, Manifest
from changelane.contract.trigger_order import find_rivals
from changelane.runner.live.observe import Observed
from changelane.text import spell, spell_names

_ROWS = frozenset({"insert", "update", "delete"})


@dataclass(frozen=True, slots=True)
class Risk:
    """Messages of one row that may be sent in the wrong order: the cause, the consequence and the fix."""

    what: str
    why: str
    fix: str


def find_risks(manifest: Manifest, observed: Observed) -> Iterator[Risk]:
    """Risks by table: routes with statement capture, row triggers that may write other rows, and keys that
    can pass from one row to another.
    """
    captures: dict[tuple[str, str], list[Capture]] = defaultdict(list)
    for capture in manifest.captures:
        if capture.event != "truncate":
            captures[capture.identity].append(capture)
    keyed = {route.name for route in manifest.routes if route.keyed}
    ordered = {consumer.queue for consumer in manifest.consumers if consumer.keyed}
    for place in sorted(captures):
        yield from _find_declared(place, captures[place], observed)
        yield from _find_row_triggers(place, observed)
        yield from _find_passing_keys(place, captures[place], observed, keyed=keyed, ordered=ordered)


def _find_declared(place: tuple[str, str], captures: Iterable[Capture], observed: Observed) -> Iterator[Risk]:
    declared = {
        capture.route for capture in captures if (capture.level, capture.reason) == ("statement", "declared")
    }
    rivals = find_rivals(place, observed.foreign.triggers)
    if rivals and declared:
        yield Risk(
            what=f"route {', '.join(sorted(declared))} declares capture: statement for {spell(place)}, and "
            f"{spell_names(rivals)} may change its rows before that fires",
            why="such a change is sent before the one that fired it: a replica may end with an older row",
            fix="delete `capture: statement` from the route, then changelane generate and apply",
        )


def _find_row_triggers(place: tuple[str, str], observed: Observed) -> Iterator[Risk]:
    foreign = observed.foreign
    suspects = [
        trigger
        for trigger in foreign.triggers.get(place, ())
        if trigger.level == "row"
        and trigger.enabled != "disabled"
        and trigger.deferrable != "deferred"
        and _ROWS.intersection(trigger.events)
        # A row deleted by a foreign key's action is not one that the statement itself deletes.
        and (trigger.changes is None or "update" in trigger.events)
        and foreign.may_write(place, trigger)
    ]
    why = (
        "such a row's second change is sent before its first: a statement that changes several rows may "
        "leave a replica with an older row"
    )
    if after := _name(suspects, timing="after"):
        yield Risk(
            what=f"{after} on {spell(place)} may change rows that the same statement changed after the row "
            "for which it fires",
            why=why,
            fix="let it fire FOR EACH STATEMENT, or as a constraint trigger INITIALLY DEFERRED; or change "
            "one row at a time",
        )
    if before := _name(suspects, timing="before"):
        yield Risk(
            what=f"{before} on {spell(place)} may change rows that the same statement has changed already",
            why=why,
            fix="let a trigger AFTER, FOR EACH STATEMENT, change other rows; or change one row at a time",
        )


def _name(triggers: list[Trigger], *, timing: str) -> str:
    return spell_names(sorted({trigger.name for trigger in triggers if trigger.timing == timing}))


def _find_passing_keys(
    place: tuple[str, str],
    captures: Collection[Capture],
    observed: Observed,
    *,
    keyed: Collection[str],
    ordered: Set[str],
) -> Iterator[Risk]:
    """Deferrable keys can pass to another row before their old row is deleted. Other keys are checked row by
    row: the key is free before another row takes it, so its delete is sent first.
    """
    relation = observed.relations.get(place)
    if relation is None:
        return
    routes = sorted(
        {
            capture.route
            for capture in captures
            if (capture.event, capture.level) == ("update", "row")
            and not ordered.isdisjoint(capture.queues)
            and (relation.defers_unique_key if capture.route in keyed else relation.defers_primary_key)
            and {other.event for other in captures if other.route == capture.route} >= _ROWS
        }
    )
    if routes:
        yield Risk(
            what=f"route {', '.join(routes)} captures {spell(place)} by row for a queue in key order, and "
            "the table's key is DEFERRABLE: one statement, as SET id = id + 1, may pass it from row to row",
            why="the delete of a key's old row may then be sent after the insert of its new row: a replica "
            "may end without a row that is there",
            fix="change such keys by one statement a row; or make the key NOT DEFERRABLE; or declare "
            "`capture: statement`, if no trigger of others changes the table",
        )
