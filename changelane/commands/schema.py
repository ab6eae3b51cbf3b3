"""``changelane schema``"""

from __future__ import annotations

import click

from changelane.generator.spec.json_schema import render_schema


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema (draft-07) of pipelines.yaml, by which editors complete and check it."""
    click.echo(render_schema(), nl=False)
