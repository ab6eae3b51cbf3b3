"""``changelane generate``."""

from __future__ import annotations

import gc

import click

from changelane.cli import Settings
from changelane.commands.output import say
from changelane.commands.report import FORMATS, report
from changelane.contract.catalog import load_catalog
from changelane.contract.manifest import Manifest, load_manifest
from changelane.diagnostic import Diagnostic
from changelane.errors import ManifestError
from changelane.generator.check import build
from changelane.generator.render.sql_out import Output, find_stale, write
from changelane.text import spell


@click.command(name="generate")
@click.option("--check", is_flag=True, help="Write nothing; exit 2 when sql_out/ is stale.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Format of problems in the spec. Data go to stdout; the written files are then named on stderr.",
)
@click.pass_obj
def command(settings: Settings, *, check: bool, form: str) -> int:
    """Render sql_out/ from pipelines.yaml and the catalog."""
    # The objects made here live to the end. A search for garbage among them would take an eighth of the time.
    gc.disable()
    catalog = load_catalog(settings.out / "catalog.json")
    outputs: list[Output] = []

    def collect() -> tuple[Diagnostic, ...]:
        outputs.append(build(settings.file, catalog)[1])
        return outputs[0].warnings

    code = report(collect, form=form)
    notes = form != "text"
    for output in outputs:
        code = (
            check_stale(output, settings, notes=notes) if check else write_out(output, settings, notes=notes)
        )
    return code


def check_stale(output: Output, settings: Settings, *, notes: bool) -> int:
    """Print the stale files; returns the exit code. ``notes`` go to stderr."""
    stale = find_stale(output, settings.out)
    for name in stale:
        say(f"stale: {settings.out / name}", err=notes)
    if stale:
        say("  fix: run `changelane generate` and commit what it writes", err=True)
        return 2
    say(f"{settings.out}: up to date", err=notes)
    return 0


def write_out(output: Output, settings: Settings, *, notes: bool) -> int:
    """Write the files that differ and print their names; returns the exit code. ``notes`` go to stderr."""
    left = describe_left(output, settings)
    touched = write(output, settings.out)
    for name in touched:
        say(f"{'wrote' if name in output.files else 'deleted'} {settings.out / name}", err=notes)
    if not touched:
        say(f"{settings.out}: up to date", err=notes)
    if left:
        say(left, err=True)
    return 0


def describe_left(output: Output, settings: Settings) -> str:
    """Describe what a project of another name, the one in the present manifest, leaves in the database; empty
    if nothing.
    """
    try:
        old = load_manifest(settings.out)
    except ManifestError:
        return ""
    new = Manifest.model_validate_json(output.files["manifest.json"]).project
    if new == old.project:
        return ""
    tables = sorted({spell(capture.identity) for capture in old.captures})
    counted = [
        f"{len(old.captures)} triggers on {', '.join(tables)}" if tables else "",
        f"queues {', '.join(queue.name for queue in old.queues)}" if old.queues else "",
        "access to queues" if old.access else "",
        "schema pgmq_public" if old.api else "",
    ]
    return (
        f"warning: project {old.project} is project {new} now. The objects applied as {old.project} stay in "
        f"the database, and their triggers still send: {'; '.join(filter(None, counted)) or 'nothing'}\n"
        f"  fix: after the next apply, changes are sent twice until `changelane destroy --project "
        f"{old.project}` removes all of them except queues. Or take the old name again, and generate"
    )
