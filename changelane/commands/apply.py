"""``changelane apply``"""

from __future__ import annotations

from pathlib import Path

import click

from changelane.cli import Settings
from changelane.commands.confirm import ask
from changelane.commands.duration import parse_duration
from changelane.commands.generated import load_generated
from changelane.commands.names import complete_route
from changelane.commands.output import say
from changelane.commands.progress import JsonProgress, TextProgress
from changelane.runner.apply.apply import apply
from changelane.runner.apply.plan import Plan
from changelane.runner.apply.saved_plan import load_plan
from changelane.runner.live.session import reach


@click.command(name="apply")
@click.argument("saved_plan", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
@click.option("--prune", is_flag=True, help="Destroy triggers and functions that are no longer declared.")
@click.option("--yes", is_flag=True, help="Do not ask; required without a terminal.")
@click.option(
    "--only", metavar="ROUTE", shell_complete=complete_route, help="Apply only this route and its queues."
)
@click.option(
    "--max-wait",
    callback=parse_duration,
    default="60s",
    show_default=True,
    help="How long to wait for all locks together.",
)
@click.option(
    "--single-transaction",
    "together",
    is_flag=True,
    help="Apply all or nothing: every table stays locked until the last one is done.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="json: one event a line; needs --yes, because it cannot ask.")  # fmt: skip
@click.pass_obj
def command(
    settings: Settings,
    *,
    saved_plan: Path | None,
    prune: bool,
    yes: bool,
    only: str | None,
    max_wait: float,
    together: bool,
    form: str,
) -> None:
    """Bring the database to the state in sql_out/, then verify it.

    A table that cannot be captured as sql_out/ says is left as it is. The other tables are applied, then
    apply exits 1.

    With PLAN, a file of `changelane plan --save`, do exactly its steps without asking. If the plan is stale,
    do nothing. Exits 1 when pipelines.yaml changed since sql_out/ was generated from it, 75 when a lock
    was not obtained: the finished steps stay, and it is safe to run again.
    """
    if saved_plan and (prune or only):
        raise click.UsageError("--prune and --only are part of a saved plan: give them to `changelane plan`")
    manifest, files = load_generated(settings)
    saved = load_plan(saved_plan) if saved_plan else None
    teller = JsonProgress(files) if form == "json" else TextProgress(out=str(settings.out))

    def confirm(planned: Plan) -> bool:
        if planned.counts[2] and form == "text":
            say(f"Project {planned.project}")
        teller.tell_plan(planned)
        if not planned.steps or yes or saved:
            return False
        return ask("Apply?", needs="applying", terminal=form == "text")

    with teller, reach(settings.database_url, doing="apply") as conn:
        planned = apply(
            conn,
            manifest,
            files=files,
            prune=prune,
            only=only,
            saved=saved,
            together=together,
            max_wait=max_wait,
            confirm=confirm,
            report=teller.tell_step,
            notify=teller.tell_wait,
        )
        if planned.steps or form == "json":
            teller.tell_end(planned)
