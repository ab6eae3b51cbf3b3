"""``changelane resume``: let workers claim from a paused queue again."""

from __future__ import annotations

import click

from changelane.cli import Settings
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.session import reach
from changelane.runner.operate.pause import resume


@click.command()
@click.argument("queue", shell_complete=complete_queue)
@click.pass_obj
def command(settings: Settings, queue: str) -> None:
    """Let workers claim from QUEUE again, within about a second."""
    needs = need_command("resume", queue)
    with reach(settings.database_url, doing="resume", needs=needs) as conn:
        changed = resume(conn, queue)
    say(f"Queue {queue} is resumed." if changed else f"Queue {queue} was not paused.")
