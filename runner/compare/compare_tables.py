"""Compares the live tables that a route matches with those that ``sql_out/`` captures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from changelane.contract.manifest import Manifest, Route
from changelane.contract.selection import Identity, list_ancestors
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import Observed
from changelane.text import spell, spell_name

ANEW = "run `changelane inspect`, then `changelane generate`"


Selected = Mapping[str, Mapping[Identity, Identity]]
"""Route to the live tables that need its triggers, each with the table that it is captured as."""


def compare_tables(manifest: Manifest, observed: Observed, *, selected: Selected) -> Iterator[Object]:
    """Tables that a route matches and ``sql_out/`` does not capture, and declared tables whose key
    changed.
    """
    known = {table.identity: table for table in manifest.tables}
    captured = list_captured(manifest)
    for route in manifest.routes:
        bearers = captured.get(route.name, set())
        for identity, declared in selected[route.name].items():
            if identity not in bearers:
                yield Object(
                    kind="table",
                    name=spell(identity),
                    table=identity,
                    route=route.name,
                    state="missing",
                    detail=_explain_missing(route, identity, declared),
                    fix=f"{ANEW} and `changelane apply`, or leave it out with `except`",
                )
                continue
            relation, table = observed.relations.get(identity), known.get(identity)
            if route.keyed or identity != declared or relation is None or table is None:
                continue
            if tuple(relation.primary_key) != table.primary_key:
                yield Object(
                    kind="table",
                    name=spell(identity),
                    table=identity,
                    route=route.name,
                    state="outdated",
                    detail=_explain_key(route, identity, table.primary_key, tuple(relation.primary_key)),
                    fix=f"{ANEW} and `changelane apply`, or name a `key` in route {route.name}",
                )


def list_captured(manifest: Manifest) -> dict[str, set[Identity]]:
    """Route to the tables that have its triggers according to ``sql_out/``."""
    captured: dict[str, set[Identity]] = {}
    for capture in manifest.captures:
        captured.setdefault(capture.route, set()).add((capture.schema_, capture.table))
    return captured


def list_selected_tables(manifest: Manifest, observed: Observed) -> Selected:
    """The live tables that each route selects, by the selection in the manifest."""
    # TRUNCATE of a child does not empty its parent, so a route with only truncate events excludes children.
    spreading = {capture.route for capture in manifest.captures if capture.event != "truncate"}
    return {
        route.name: {
            table.identity: declared.identity
            for declared, table in route.selection.spread(
                route.selection.declare(observed.tables), observed.tables
            )
            if table is declared or route.name in spreading
        }
        for route in manifest.routes
    }


def find_unmatched_tables(
    manifest: Manifest, observed: Observed, *, selected: Selected
) -> dict[tuple[str, Identity], str]:
    """(route, table) to the reason, for captured tables that the route no longer matches."""
    strays = {}
    captured = list_captured(manifest)
    for route in manifest.routes:
        for identity in sorted(captured.get(route.name, set()) - selected[route.name].keys()):
            table = observed.tables.get(identity)
            if table is None:
                continue
            name = spell(identity)
            above = [
                parent
                for parent in list_ancestors(identity, observed.tables)
                if parent in selected[route.name]
            ]
            if above:
                strays[route.name, identity] = (
                    f"{name} is a partition of {spell(above[0])} now, which route {route.name} captures, "
                    "too: each of its changes is sent twice"
                )
            elif table.partition_of is not None:
                strays[route.name, identity] = (
                    f"{name} is a partition of {spell(table.partition_of)} now, and route {route.name} "
                    "matches no partitions"
                )
            else:
                strays[route.name, identity] = (
                    f"{name} no longer inherits from a table of route {route.name}, and is sent as one"
                )
    return strays


def note_unreviewed(manifest: Manifest, observed: Observed) -> Iterator[str]:
    """A note for each table with columns that are not in the catalog, with the effect on its routes."""
    routes: dict[Identity, list[Route]] = {}
    captured = list_captured(manifest)
    for route in manifest.routes:
        for identity in captured.get(route.name, ()) if route.sends != "named" else ():
            routes.setdefault(identity, []).append(route)
    for table in manifest.tables:
        relation = observed.relations.get(table.identity)
        fresh = [name for name in relation.columns if name not in table.columns] if relation else []
        if not fresh or table.identity not in routes:
            continue
        noun = "column" if len(fresh) == 1 else "columns"
        does = "; ".join(
            f"route {route.name} {'sends' if route.sends == 'all' else 'does not send'} "
            f"{'it' if len(fresh) == 1 else 'them'}"
            for route in routes[table.identity]
        )
        yield (
            f"{spell(table.identity)} has {noun} {', '.join(map(spell_name, sorted(fresh)))}, which "
            f"catalog.json has not: {does}; {ANEW} to review that"
        )


def _explain_missing(route: Route, identity: Identity, declared: Identity) -> str:
    name = spell(identity)
    if identity != declared:
        return (
            f"{name} inherits from {spell(declared)}, which route {route.name} captures, and sql_out/ has no "
            "capture for it: its writes send nothing"
        )
    pattern = next(pattern for pattern in route.selection.tables if pattern.matches(*identity))
    return (
        f"{name} matches {pattern} of route {route.name}, and sql_out/ has no capture for it: "
        "its writes send nothing"
    )


def _explain_key(route: Route, identity: Identity, before: tuple[str, ...], after: tuple[str, ...]) -> str:
    was = f"({', '.join(map(spell_name, before))})" if before else "none"
    now = f"is ({', '.join(map(spell_name, after))})" if after else "went away"
    return f"the primary key of {spell(identity)} was {was} and {now}: route {route.name} sends the old one"
