"""``changelane send``: put a message into a queue."""

from __future__ import annotations

import sys

import click
import orjson

from changelane.cli import Settings
from changelane.commands.annotation import warn_of_sending
from changelane.commands.duration import parse_duration
from changelane.commands.names import complete_queue
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.session import reach
from changelane.runner.operate.send import send
from changelane.runner.queue.identity import find_queue


@click.command()
@click.argument("queue", shell_complete=complete_queue)
@click.argument("message", metavar="JSON")
@click.option(
    "--delay", callback=parse_duration, default="0s", show_default=True, help="Time until the message is due."
)
@click.option("--headers", default="{}", metavar="JSON", help="Headers as a JSON object.")
@click.option("--group", metavar="KEY", help="The key for ordered delivery; default: the message's key.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(
    settings: Settings, *, queue: str, message: str, delay: float, headers: str, group: str | None, form: str
) -> None:
    """Send JSON to QUEUE, or standard input if JSON is -; prints the message's id.

    A handler of Message gets it. A handler that takes captured changes alone refuses it, and it becomes a
    dead letter.
    """
    if message == "-":
        message = sys.stdin.read()
    needs = need_command("send", queue)
    with reach(settings.database_url, doing="send", needs=needs) as conn:
        found = find_queue(conn, queue)
        msg_id = send(conn, found, message, headers=headers, group=group, delay=delay)
    warn_of_sending(settings.out, queue)
    if form == "json":
        click.echo(
            orjson.dumps({"format_version": 1, "queue": queue, "id": msg_id}, option=orjson.OPT_INDENT_2)
        )
    else:
        click.echo(msg_id)
