"""``changelane inspect``."""

from __future__ import annotations

import click

from changelane.cli import Settings
from changelane.commands.output import say
from changelane.contract.file import write_whole
from changelane.runner.live.inspect import inspect
from changelane.runner.live.session import reach


@click.command(help="Write sql_out/catalog.json from the live schema.")
@click.pass_obj
def command(settings: Settings) -> None:
    with reach(settings.database_url, doing="inspect") as conn:
        catalog = inspect(conn)
    path = settings.out / "catalog.json"
    text = catalog.dump()
    if path.exists() and path.read_bytes() == text.encode():
        say(f"{path}: up to date, {len(catalog.tables)} tables")
        return
    write_whole(path, text)
    say(f"{path}: written, {len(catalog.tables)} tables")
