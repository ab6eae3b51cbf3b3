"""Prints the diagnostics of a command: text for people on stderr, data on stdout."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from changelane.commands.output import say
from changelane.diagnostic import Diagnostic, render_github, render_json, render_text
from changelane.errors import SpecError

FORMATS = ["text", "json", "github"]


def report(collect: Callable[[], Sequence[Diagnostic]], *, form: str) -> int:
    """Print the diagnostics that ``collect`` returns, or raises as a SpecError, in one of FORMATS; returns
    the exit code.

    As text, raises SpecError if there is an error.
    """
    try:
        diagnostics = collect()
    except SpecError as error:
        diagnostics = error.diagnostics
    failed = any(diagnostic.severity == "error" for diagnostic in diagnostics)
    if form == "json":
        click.echo(render_json(diagnostics))
    elif form == "github":
        if diagnostics:
            click.echo(render_github(diagnostics))
    elif failed:
        raise SpecError(diagnostics)
    elif diagnostics:
        say(render_text(diagnostics), err=True)
    return int(failed)
