"""``changelane pause``: stop workers from claiming from a queue."""

from __future__ import annotations

import click

from changelane.cli import Settings
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.session import reach
from changelane.runner.operate.pause import pause


@click.command()
@click.argument("queue", shell_complete=complete_queue)
@click.pass_obj
def command(settings: Settings, queue: str) -> None:
    """Stop all workers from claiming from QUEUE, within about a second. Workers that start later do not claim
    either.

    Running handlers finish. Messages that no handler has yet are given back, which spends no attempt. Changes
    are captured as before.
    """
    needs = need_command("pause", queue)
    with reach(settings.database_url, doing="pause", needs=needs) as conn:
        changed = pause(conn, queue)
    say(f"Queue {queue} is paused." if changed else f"Queue {queue} was paused already.")
