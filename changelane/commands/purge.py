"""``changelane purge``: delete all messages of a queue."""

from __future__ import annotations

import click
import orjson

from changelane.cli import Settings
from changelane.commands.confirm import ask
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.commands.project import announce
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.session import reach
from changelane.runner.operate.purge import purge
from changelane.runner.queue.identity import find_queue


@click.command()
@click.argument("queue", shell_complete=complete_queue)
@click.option("--yes", is_flag=True, help="Do not ask; required without a terminal.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, *, queue: str, yes: bool, form: str) -> None:
    """Delete every message of QUEUE for good, including those that handlers process now.

    Messages sent meanwhile stay, and so do its archive and its dead letters.
    """
    if (settings.out / "manifest.json").exists():
        announce(settings, quiet=form == "json")
    needs = need_command("purge", queue)
    with reach(settings.database_url, doing="purge", needs=needs) as conn:
        found = find_queue(conn, queue)
        if not yes:
            ask(f"Delete every message of queue {queue} for good?", needs="deleting")
        total = 0
        for deleted in purge(conn, found):
            total += deleted
            say(f"{total} deleted", err=True)
    if form == "json":
        click.echo(
            orjson.dumps({"format_version": 1, "queue": queue, "purged": total}, option=orjson.OPT_INDENT_2)
        )
    else:
        say(f"{total} message{'' if total == 1 else 's'} of {queue} deleted.")
