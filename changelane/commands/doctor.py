"""``changelane doctor``"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from changelane.cli import Settings
from changelane.commands.output import say
from changelane.contract.digest import find_change
from changelane.contract.manifest import load_manifest
from changelane.runner.doctor.destinations import find_destination_problems
from changelane.runner.doctor.examine import examine
from changelane.runner.doctor.visibility import find_blind_spots
from changelane.runner.live.session import reach


@click.command(name="doctor")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, *, form: str) -> int:
    """List present and approaching problems: what, why it matters, and the fix. Exits 2 on any finding.

    `changelane verify` compares the database with sql_out/; doctor checks everything around them.
    """
    manifest = load_manifest(settings.out)
    with reach(settings.database_url, doing="doctor") as conn:
        change = find_change(settings.file, manifest, out=settings.out)
        findings = examine(conn, manifest, change=change)
        notes = find_blind_spots(conn, manifest)
    findings += find_destination_problems(manifest)
    for note in notes:
        say(f"note: {note}", err=True)
    if form == "json":
        records = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"format_version": 2, "findings": records, "notes": notes}, indent=2))
    elif findings:
        say(
            "\n\n".join(
                f"{finding.what} [{finding.code}]\n  why: {finding.why}\n  fix: {finding.fix}"
                for finding in findings
            )
        )
    else:
        say("Nothing found.")
    return 2 if findings else 0
