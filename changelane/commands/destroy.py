"""``changelane destroy``"""

from __future__ import annotations

import click

from changelane.cli import Settings
from changelane.commands.apply import ask
from changelane.commands.duration import parse_duration
from changelane.commands.progress import Lines
from changelane.commands.project import announce
from changelane.contract.manifest import Manifest
from changelane.runner.apply.destroy import destroy
from changelane.runner.apply.plan import Plan
from changelane.runner.live.session import reach


@click.command(name="destroy")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--drop-queues", is_flag=True, help="The queues that this project created, too, where empty.")
@click.option(
    "--discard-messages",
    "discard",
    metavar="QUEUE",
    multiple=True,
    help="Drop this queue even if it, or its archive, holds messages. May be given again.",
)
@click.option(
    "--project",
    metavar="NAME",
    help="Another project than that of sql_out/: what it left after it was renamed, or its spec was lost.",
)
@click.option(
    "--max-wait",
    callback=parse_duration,
    default="60s",
    show_default=True,
    help="How long in all to wait for locks.",
)
@click.pass_obj
def command(
    settings: Settings,
    *,
    yes: bool,
    drop_queues: bool,
    discard: tuple[str, ...],
    project: str | None,
    max_wait: float,
) -> None:
    """Remove what bears the project's marker: triggers and functions; queues only when told.

    Refuses where pipelines.yaml and sql_out/ are of two projects, unless --project names the one.
    """
    if discard and not drop_queues:
        raise click.UsageError("--discard-messages goes with --drop-queues")
    if project is None:
        manifest = announce(settings)
    else:
        manifest = Manifest(project=project, files={}, queues=(), captures=(), consumers=())
        click.echo(f"Project {project}")
    teller = Lines(out=str(settings.out))

    def confirm(planned: Plan) -> bool:
        if not planned.steps:
            click.echo(f"Nothing of project {planned.project} to destroy.")
            for note in planned.notes:
                click.echo(f"note: {note}")
            return False
        teller.tell_plan(planned)
        return not yes and ask(f"Destroy project {planned.project}?", needs="destroying")

    with teller, reach(settings.database_url, doing="destroy") as conn:
        planned = destroy(
            conn,
            manifest,
            drop_queues=drop_queues,
            discard=discard,
            max_wait=max_wait,
            confirm=confirm,
            report=teller.tell_step,
            notify=teller.tell_wait,
        )
    if planned.steps:
        click.echo(f"Destroyed: {planned.counts[2]}.")
