"""``changelane destroy``"""

from __future__ import annotations

import click

from changelane.cli import Settings
from changelane.commands.confirm import ask
from changelane.commands.duration import parse_duration
from changelane.commands.output import say
from changelane.commands.progress import TextProgress
from changelane.commands.project import announce
from changelane.contract.manifest import Manifest
from changelane.runner.apply.destroy import destroy
from changelane.runner.apply.plan import Plan
from changelane.runner.live.session import reach


@click.command(name="destroy")
@click.option("--yes", is_flag=True, help="Do not ask; required without a terminal.")
@click.option("--drop-queues", is_flag=True, help="Also drop the empty queues that this project created.")
@click.option(
    "--discard-messages",
    "discard",
    metavar="QUEUE",
    multiple=True,
    help="Drop this queue even if it, or its archive, holds messages. Repeatable.",
)
@click.option(
    "--project",
    metavar="NAME",
    help="Destroy this project, not the one in sql_out/, for example after a rename or a lost spec.",
)
@click.option(
    "--max-wait",
    callback=parse_duration,
    default="60s",
    show_default=True,
    help="How long to wait for all locks together.",
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
    """Remove the project's triggers and functions from the database; its queues only on request.

    Refuses if pipelines.yaml and sql_out/ belong to different projects, unless --project names one.
    """
    if discard and not drop_queues:
        raise click.UsageError("--discard-messages goes with --drop-queues")
    if project is None:
        manifest = announce(settings)
    else:
        manifest = Manifest(project=project, files={}, queues=(), captures=(), consumers=())
        say(f"Project {project}")
    teller = TextProgress(out=str(settings.out))

    def confirm(planned: Plan) -> bool:
        if not planned.steps:
            say(f"Nothing of project {planned.project} to destroy.")
            for note in planned.notes:
                say(f"note: {note}")
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
        say(f"Destroyed: {planned.counts[2]}.")
