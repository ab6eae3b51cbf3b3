"""``changelane pause``: have workers claim no more from a queue."""

from __future__ import annotations

import click

from changelane.cli import Settings
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.session import reach
from changelane.runner.operate.pause import pause


@click.command()
@click.argument("queue")
@click.pass_obj
def command(settings: Settings, queue: str) -> None:
    """Have all workers stop claiming from QUEUE within about a second, and keep those that start from it.

    Handlers that run finish; messages that no handler has are given back, which spends no attempt. Changes
    are captured as before.
    """
    needs = need_command("pause", queue)
    with reach(settings.database_url, doing="pause", needs=needs) as conn:
        changed = pause(conn, queue)
    click.echo(f"Queue {queue} is paused." if changed else f"Queue {queue} was paused already.")
