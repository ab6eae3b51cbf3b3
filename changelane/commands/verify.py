"""``changelane verify``"""

from __future__ import annotations

import gc
import json

import click

from changelane.cli import Settings
from changelane.commands.output import say
from changelane.commands.project import load_current
from changelane.commands.status import render_rows, tell_hidden, to_rows
from changelane.runner.apply.destroy import find_owned
from changelane.runner.apply.plan import plan
from changelane.runner.compare.compare_tables import note_unreviewed
from changelane.runner.compare.orphans import explain_retired, find_remains, list_retired
from changelane.runner.live.observe import observe
from changelane.runner.live.session import reach


@click.command(name="verify")
@click.option(
    "--expect",
    type=click.Choice(["present", "absent"]),
    default="present",
    show_default=True,
    help="absent: expect no object with the project's marker, except queues.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, *, expect: str, form: str) -> int:
    """Exit 2 on any difference between sql_out/ and the database, one line each.

    Exits 1 when pipelines.yaml changed since sql_out/ was generated from it.
    """
    # The objects made here live to the end. A search for garbage among them would take a tenth of the time.
    gc.disable()
    manifest = load_current(settings)
    with reach(settings.database_url, doing="verify") as conn:
        observed = observe(conn, manifest)
    notes: tuple[str, ...] = ()
    if expect == "absent":
        differences = tuple(find_remains(manifest.project, observed))
        notes = tuple(map(explain_retired, list_retired(manifest.project, observed)))
        kept = ", ".join(sorted(find_owned(manifest.project, observed)))
        apart = f" except its queues, which only `destroy --drop-queues` drops: {kept}" if kept else ""
        fine = f"Nothing of project {manifest.project} is in the database{apart}."
    else:
        differences = plan(manifest, observed).differences
        notes = tuple(note_unreviewed(manifest, observed))
        fine = f"Database matches {settings.out}/."
    if form == "json":
        record = {"format_version": 1, "differences": to_rows(differences), "notes": notes}
        click.echo(json.dumps(record, indent=2))
    else:
        say(render_rows(differences) if differences else fine)
        for note in notes:
            say(f"note: {note}")
        tell_hidden(differences)
    return 2 if differences else 0
