"""``changelane schema``"""

from __future__ import annotations

import click

from changelane.generator.spec.json_schema import render_schema


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema (draft-07) of pipelines.yaml. Editors use it to complete and check the file."""
    click.echo(render_schema(), nl=False)
