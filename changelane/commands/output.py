"""Prints text for a person."""

from __future__ import annotations

import click

from changelane.text import clean


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text that may hold names and values of others: no character of them acts on the terminal."""
    click.echo(clean(text), err=err, nl=nl)
