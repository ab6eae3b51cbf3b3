"""Cases in which a trigger does not fire although the spec may expect it to."""

from __future__ import annotations

from collections.abc import Iterable

from changelane.generator.capture.capture import Capture
from changelane.generator.capture.target import Report, SelectedTables
from changelane.generator.spec.codes import Code
from changelane.generator.spec.models import Route


def check_firing(
    route: Route, targets: SelectedTables, captures: Iterable[Capture], *, report: Report
) -> None:
    """Report hypertables of TimescaleDB, and statement triggers, which do not fire for replicated changes.

    ``captures`` are those of the route.
    """
    base = ("routes", route.index)
    for table in targets.declared:
        if table.kind == "hypertable" and route.fire != "origin":
            report(
                Code.WRONG_KIND,
                f"{table} is a hypertable, and TimescaleDB lets none of its triggers fire {route.fire}",
                *base, "fire", fix="delete the key, or take the table out",
            )  # fmt: skip
        elif table.kind == "hypertable":
            report(
                Code.FIRING,
                f"{table} is a hypertable: each chunk gets a copy of the trigger, and chunks that are "
                "dropped or compressed send nothing",
                *base, "name", fix="apply wants TimescaleDB 2.12 or newer, which replaces such triggers",
                warning=True,
            )  # fmt: skip
    if route.fire != "origin" and any(
        capture.level == "statement" and capture.event != "truncate" for capture in captures
    ):
        report(
            Code.FIRING,
            f"`fire: {route.fire}` with statement triggers misses what logical replication applies: "
            "that fires row triggers only",
            *base, "fire", fix="add `capture: row`, or ignore this if no subscription writes the table",
            warning=True,
        )  # fmt: skip
