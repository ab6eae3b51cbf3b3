"""``changelane db``: the local server by hand."""

from __future__ import annotations

import os
from pathlib import Path

import click
from psycopg.pq import Conninfo

from changelane.cli import Settings
from changelane.runner.live import database
from changelane.runner.local import server
from changelane.runner.local.place import find_left


@click.group
def command() -> None:
    """Start, stop or reach the local server, whose data are in .changelane/ of the current directory."""


@command.command
def start() -> None:
    """Start it unless it runs, and print its URL."""
    root = Path.cwd() / server.FOLDER
    running = server.find(root)
    url = database.start_local()
    click.echo(f"the server of {root} {'runs already' if running else 'has started'}", err=True)
    for left in find_left():
        click.echo(f"a deleted or moved folder left {left}; unless it was moved: rm -r {left}", err=True)
    click.echo(url)


@command.command
def stop() -> None:
    """Stop it; its data stay."""
    root = Path.cwd() / server.FOLDER
    stopped = server.stop(root)
    click.echo(f"the server of {root} {'has stopped' if stopped else 'does not run'}", err=True)


@command.command
def url() -> None:
    """Print its URL; starts it on demand."""
    click.echo(database.start_local())


@command.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Open psql, with all ARGUMENTS as psql takes them, in the database that the other commands use."""
    program = str(server.find_binary("psql"))
    conninfo = database.resolve(settings.database_url)
    # Here a wrong URL gets its explanation.
    database.connect(conninfo).close()
    # In the environment, not on the command line: there a password would show in the process list.
    named = {
        option.envvar.decode(): option.val.decode()
        for option in Conninfo.parse(conninfo.encode())
        if option.val and option.envvar
    }
    # A server that is named whole leaves nothing to the PG* of the environment.
    kept = {name: value for name, value in os.environ.items() if not (named and name.startswith("PG"))}
    environment = kept | named
    os.execve(program, ["psql", *arguments], environment)  # noqa: S606
