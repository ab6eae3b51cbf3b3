"""Finds reasons why a capture cannot be applied to its table."""

from __future__ import annotations

import re

from changelane.contract.manifest import Capture
from changelane.contract.selection import Identity, Selection
from changelane.contract.trigger_order import Triggers, find_earlier, find_rivals
from changelane.runner.compare.compare_tables import ANEW
from changelane.runner.live.observe import Relation
from changelane.text import spell, spell_name, spell_names


def find_block(
    capture: Capture,
    relation: Relation | None,
    *,
    selection: Selection | None = None,
    moved: Identity | None = None,
    stray: str = "",
    broken: str = "",
    triggers: Triggers,
) -> tuple[str, str]:
    """The reason why a capture cannot be applied to its relation, and the fix; empty strings if it can.

    ``selection`` is that of its route. ``moved`` is the table under another name that has its trigger, after
    a rename. ``stray`` says why the route no longer matches the table, ``broken`` is the error of an
    expression that no longer compiles. ``triggers`` are those of others.
    """
    table = spell(capture.identity)
    if relation is None or relation.kind not in "rp":
        return _find_loss(capture, relation, selection=selection, moved=moved, stray=stray)
    if stray:
        return stray, f"{ANEW} and `changelane apply`"
    gone = sorted(set(capture.columns) - set(relation.columns))
    if gone:
        noun = "column" if len(gone) == 1 else "columns"
        return (
            f"{table} has no {noun} {', '.join(map(spell_name, gone))}, which route {capture.route} names",
            f"add the {noun}, or edit the route; then {ANEW}",
        )
    changed = [
        f"column {spell_name(name)} is {relation.columns[name]}, no longer {type}"
        for name, type in sorted(capture.types.items())
        if _forget_length(relation.columns[name]) != _forget_length(type)
    ]
    if changed:
        return (
            f"{table}: {', '.join(changed)}, and route {capture.route} has an expression over it, "
            "by which writes may fail",
            f"see that the expression suits it; then {ANEW}",
        )
    if broken:
        return (
            f"{table}: an expression of route {capture.route} does not hold: {broken}; writes that it is "
            "evaluated for fail",
            f"edit the expression, or take back what changed; then {ANEW}",
        )
    shared = relation.kind != "r" or relation.partition or relation.has_children or relation.has_parents
    if shared and capture.level == "statement" and capture.event != "truncate":
        return (
            f"{table} is partitioned, inherited or foreign now: statement capture would miss changes",
            ANEW,
        )
    return _find_disorder(capture, triggers)


def _find_loss(
    capture: Capture,
    relation: Relation | None,
    *,
    selection: Selection | None,
    moved: Identity | None,
    stray: str,
) -> tuple[str, str]:
    """The reason and the fix where the table does not exist, or is something else now."""
    table = spell(capture.identity)
    named = selection is None or selection.names(capture.identity)
    leave_out = f"take it out of route {capture.route}; then {ANEW}" if named else ANEW
    if relation is None and moved:
        return (
            f"table {table} does not exist; its trigger is on {spell(moved)}, so it was renamed or moved",
            _follow(capture, moved, selection, named=named),
        )
    if relation is None:
        return f"table {table} does not exist", f"create it, or {leave_out}" if named else ANEW
    if stray:
        return stray, f"{ANEW} and `changelane apply`"
    if relation.kind == "f":
        return (
            f"{table} is a foreign table now, whose rows change where no trigger of this server fires",
            leave_out,
        )
    return f"{table} is not a table", leave_out


def _find_disorder(capture: Capture, triggers: Triggers) -> tuple[str, str]:
    """Triggers created since the last `inspect` that send changes ahead of earlier ones."""
    table = spell(capture.identity)
    rivals = find_rivals(capture.identity, triggers)
    if rivals and capture.level == "statement" and capture.event != "truncate" and not capture.reason:
        return (
            f"{table} has triggers that may change its rows before a statement trigger fires: "
            f"{spell_names(rivals)}; their changes would be sent before those that fired them",
            ANEW,
        )
    earlier = find_earlier(capture.trigger_name, capture.level, triggers.get(capture.identity, ()))
    if earlier:
        return (
            f"{table} has triggers whose names sort before that of the capture: {spell_names(earlier)}; "
            "their changes would be sent before those that fired them",
            f"{ANEW}, which finds a name that sorts first",
        )
    return "", ""


def _follow(capture: Capture, moved: Identity, selection: Selection | None, *, named: bool) -> str:
    """The edit that makes the route follow its table to another name."""
    if named:
        return f"name {spell(moved)} in route {capture.route}; then {ANEW}: no message is lost or sent twice"
    if selection and any(pattern.matches(*moved) for pattern in selection.tables):
        return f"{ANEW}: no message is lost or sent twice"
    return (
        f"{ANEW}, and `changelane apply --prune` drops the trigger; "
        f"or name {spell(moved)} in route {capture.route} to go on capturing it"
    )


def _forget_length(type: str) -> str:
    """A type without its length or precision, on which no expression depends."""
    return re.sub(r"\(\d+(,-?\d+)?\)", "", type)
