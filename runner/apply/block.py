"""What keeps a capture from its table."""

from __future__ import annotations

import re

from changelane.manifest import Capture
from changelane.runner.apply.object import spell, spell_name
from changelane.runner.apply.observe import Relation


def find_block(capture: Capture, relation: Relation | None, *, moved: str = "") -> tuple[str, str]:
    """Why a capture cannot be applied to its relation, and the help; empty strings where it can.

    ``moved`` is the table, if another, that bears its trigger, which a renamed table takes along.
    """
    table = spell(capture.identity)
    anew = "run `changelane inspect`, then `changelane generate`"
    if relation is None and moved:
        return (
            f"table {table} does not exist; its trigger is on {moved}, so it was renamed or moved",
            f"name {moved} in route {capture.route}; then {anew}: no message is lost or sent twice",
        )
    if relation is None:
        return f"table {table} does not exist", f"create it, or take it out of route {capture.route}"
    if relation.kind == "f":
        return (
            f"{table} is a foreign table now, whose rows change where no trigger of this server fires",
            f"take it out of route {capture.route}",
        )
    if relation.kind not in "rp":
        return f"{table} is not a table", f"name a table in route {capture.route}"
    gone = sorted(set(capture.columns) - set(relation.columns))
    if gone:
        noun = "column" if len(gone) == 1 else "columns"
        return (
            f"{table} has no {noun} {', '.join(map(spell_name, gone))}, which route {capture.route} names",
            f"add the {noun}, or edit the route; then {anew}",
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
            f"see that the expression suits it; then {anew}",
        )
    shared = relation.kind != "r" or relation.partition or relation.has_children or relation.has_parents
    if shared and capture.level == "statement" and capture.event != "truncate":
        return (
            f"{table} is partitioned, inherited or foreign now: statement capture would miss changes",
            anew,
        )
    return "", ""


def _forget_length(type: str) -> str:
    """A type without its length or precision, which no expression is made for."""
    return re.sub(r"\(\d+(,-?\d+)?\)", "", type)
