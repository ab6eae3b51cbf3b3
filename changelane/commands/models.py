"""``changelane models``"""

from __future__ import annotations

from pathlib import Path

import click

from changelane.cli import Settings
from changelane.contract.catalog import load_catalog
from changelane.contract.file import write_whole
from changelane.generator.row_types import render_models


@click.command(name="models")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output.")
@click.option("--check", is_flag=True, help="Write nothing; exit 2 if FILE is stale.")
@click.pass_obj
def command(settings: Settings, *, output: Path | None, check: bool) -> int:
    """Write typed rows of the captured tables, for handlers that take Change[OrdersRow].

    Reads pipelines.yaml and sql_out/catalog.json; run it after `changelane generate`.
    """
    if check and output is None:
        raise click.UsageError("--check goes with --output")
    text = render_models(settings.file, load_catalog(settings.out / "catalog.json"))
    if output is None:
        click.echo(text, nl=False)
        return 0
    if output.exists() and output.read_bytes() == text.encode():
        click.echo(f"{output}: up to date")
        return 0
    if check:
        click.echo(f"stale: {output}")
        click.echo(f"  fix: run `changelane models --output {output}` and commit what it writes", err=True)
        return 2
    write_whole(output, text)
    click.echo(f"wrote {output}")
    return 0
