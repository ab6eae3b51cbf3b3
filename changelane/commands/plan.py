"""``changelane plan``"""

from __future__ import annotations

import gc
import json
from pathlib import Path

import click

from changelane.cli import Settings
from changelane.commands.annotation import list_mismatches
from changelane.commands.generated import load_generated
from changelane.commands.names import complete_route
from changelane.commands.output import say
from changelane.runner.apply import plan_text
from changelane.runner.apply.plan import plan
from changelane.runner.apply.saved_plan import save_plan
from changelane.runner.live.observe import observe
from changelane.runner.live.session import reach


@click.command(name="plan")
@click.option("--prune", is_flag=True, help="Destroy triggers and functions that are no longer declared.")
@click.option(
    "--only", metavar="ROUTE", shell_complete=complete_route, help="Plan only this route and its queues."
)
@click.option(
    "--save",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan to this file, for `changelane apply FILE`.",
)
@click.option("--exit-code", is_flag=True, help="Exit 2 when there is something to do.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "sql"]), default="text", show_default=True
)
@click.pass_obj
def command(
    settings: Settings, *, prune: bool, only: str | None, path: Path | None, exit_code: bool, form: str
) -> int:
    """Print what apply would do, and the lock that each step takes. Changes nothing.

    Exits 1 when apply would refuse or leave a table out, and when pipelines.yaml changed since sql_out/ was
    generated from it.
    """
    # The objects made here live to the end. A search for garbage among them would take a sixth of the time.
    gc.disable()
    manifest, files = load_generated(settings)
    mismatches = list_mismatches(manifest)
    with reach(settings.database_url, doing="plan") as conn:
        planned = plan(manifest, observe(conn, manifest), prune=prune, only=only)
    if path:
        save_plan(planned, files, path)
    if form == "json":
        warnings = [{"queue": queue, "what": what, "fix": fix} for queue, what, fix in mismatches]
        record = plan_text.to_record(planned, files) | {"warnings": warnings}
        click.echo(json.dumps(record, indent=2))
    else:
        for _, what, fix in mismatches:
            say(f"warning: {what}\n  fix: {fix}", err=True)
        if form == "sql":
            click.echo(plan_text.render_sql(planned, files))
        else:
            say(plan_text.render_text(planned, out=str(settings.out)))
    if planned.problems or planned.left:
        return 1
    return 2 if exit_code and planned.steps else 0
