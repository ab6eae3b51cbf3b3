"""``changelane validate``: report every problem of the spec in one run, as text or as data."""

from __future__ import annotations

import click

from changelane.cli import Settings
from changelane.commands.annotation import diagnose_mismatches
from changelane.commands.output import say
from changelane.commands.report import FORMATS, report
from changelane.contract.catalog import load_catalog
from changelane.contract.missing import describe_missing
from changelane.diagnostic import Diagnostic
from changelane.generator.check import build, find_problems


def collect(settings: Settings, *, live: bool) -> tuple[Diagnostic, ...]:
    """All problems and warnings, by position; empty if there is none.

    Raises SpecError if the file is not YAML, ChangelaneError when it or the database cannot be read.
    """
    path = settings.out / "catalog.json"
    catalog = load_catalog(path) if path.exists() else None
    if live:
        from changelane.commands.live import find_live_problems

        problems = find_live_problems(settings, catalog)
    else:
        problems = find_problems(settings.file, catalog)
    if any(problem.severity == "error" for problem in problems):
        return problems
    if catalog is not None and not live:
        # Postgres' own grammar parses all rendered SQL.
        build(settings.file, catalog)
    return tuple(sorted([*problems, *diagnose_mismatches(settings.file)]))


@click.command(name="validate")
@click.option(
    "--live",
    is_flag=True,
    help="Also check tables, columns, pgmq and privileges of the database, and the destinations of relays; "
    "changes nothing.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="github: annotations for a pull request.",
)
@click.pass_obj
def command(settings: Settings, *, live: bool, form: str) -> int:
    """Check the spec, its expressions and the SQL.

    Tables and columns are checked against sql_out/catalog.json if it exists; with --live, against the
    database. Exits 1 on any error.
    """
    code = report(lambda: collect(settings, live=live), form=form)
    if form == "text":
        say(f"{settings.file} is valid")
        if not live and not (path := settings.out / "catalog.json").exists():
            say(f"{describe_missing(path)}: tables and columns were not checked", err=True)
            say("  fix: run `changelane inspect` to write it, or add --live", err=True)
    return code
