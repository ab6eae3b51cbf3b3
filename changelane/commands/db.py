"""``changelane db``: control the local server."""

from __future__ import annotations

import os
from pathlib import Path

import click
from psycopg.pq import Conninfo

from changelane.cli import Settings
from changelane.commands.output import say
from changelane.runner.live import database
from changelane.runner.local import server
from changelane.runner.local.folders import find_leftovers


@click.group
def command() -> None:
    """Start, stop or reach the local server. Its data are in .changelane/ of the current directory."""


@command.command
def start() -> None:
    """Start the server unless it runs, and print its URL."""
    root = Path.cwd() / server.FOLDER
    running = server.find(root)
    url = database.start_local()
    say(f"the server of {root} {'runs already' if running else 'has started'}", err=True)
    for left in find_leftovers():
        say(f"a deleted or moved folder left {left}; unless it was moved: rm -r {left}", err=True)
    click.echo(url)


@command.command
def stop() -> None:
    """Stop the server; its data stay."""
    root = Path.cwd() / server.FOLDER
    stopped = server.stop(root)
    say(f"the server of {root} {'has stopped' if stopped else 'does not run'}", err=True)


@command.command
def url() -> None:
    """Print the URL; starts the server on demand."""
    click.echo(database.start_local())


@command.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Open psql in the database that the other commands use. Pass ARGUMENTS on to psql."""
    program = str(server.find_binary("psql"))
    conninfo = database.resolve(settings.database_url)
    # Report a wrong URL here, with an explanation.
    database.connect(conninfo).close()
    # The environment hides the password; the command line would show it in the process list.
    named = {
        option.envvar.decode(): option.val.decode()
        for option in Conninfo.parse(conninfo.encode())
        if option.val and option.envvar
    }
    # A complete server address overrides the PG* variables of the environment.
    kept = {name: value for name, value in os.environ.items() if not (named and name.startswith("PG"))}
    environment = kept | named
    os.execve(program, ["psql", *arguments], environment)  # noqa: S606
