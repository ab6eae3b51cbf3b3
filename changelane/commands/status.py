"""``changelane status``"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable

import click

from changelane.cli import Settings
from changelane.commands.output import say
from changelane.commands.project import load_noted
from changelane.runner.compare.compare import compare
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import observe
from changelane.runner.live.session import reach
from changelane.text import align


@click.command(name="status")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, *, form: str) -> None:
    """One line per object: state, kind, name, table.

    States: ok missing outdated drifted disabled orphaned foreign blocked.
    """
    # The objects made here live to the end. A search for garbage among them would take a tenth of the time.
    gc.disable()
    manifest = load_noted(settings)
    with reach(settings.database_url, doing="status") as conn:
        objects = compare(manifest, observe(conn, manifest))
    if form == "json":
        click.echo(json.dumps({"format_version": 1, "objects": to_rows(objects)}, indent=2))
    else:
        say(render_rows(objects))
        tell_hidden(objects)


def tell_hidden(objects: Iterable[Object]) -> None:
    """Print on stderr the grant that lets this role see the schema."""
    for thing in objects:
        if thing.kind == "schema" and thing.state == "blocked" and thing.fix:
            say(f"  fix: {thing.fix}", err=True)


def to_rows(objects: Iterable[Object]) -> list[dict[str, str]]:
    """The objects as JSON-able records."""
    return [
        {
            "state": thing.state,
            "kind": thing.kind,
            "name": thing.name,
            "table": thing.place,
            "route": thing.route,
            "detail": thing.detail,
            **({"runs": thing.runs} if thing.kind == "schedule" else {}),
        }
        for thing in objects
    ]


def render_rows(objects: Iterable[Object]) -> str:
    """Aligned columns; the detail, if any, comes last."""
    rows = [
        (thing.state, thing.kind, thing.name, thing.place or "-", thing.detail or thing.runs)
        for thing in objects
    ]
    return "\n".join(align(rows))
