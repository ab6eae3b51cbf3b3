"""``changelane unblock``: release keys blocked by a failed message."""

from __future__ import annotations

import click
import orjson

from changelane.cli import Settings
from changelane.commands.confirm import ask
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.commands.project import announce
from changelane.contract.manifest import load_manifest
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.session import reach
from changelane.runner.operate.unblock import Way, list_blocked, unblock

DONE = {"retry": "to be tried again", "dead-letter": "moved to the dead letters", "discard": "discarded"}


@click.command()
@click.argument("queue", shell_complete=complete_queue)
@click.option("--id", "ids", type=click.IntRange(1, 2**63 - 1), multiple=True, metavar="N",
              help="Only the message with this id. Repeatable.")  # fmt: skip
@click.option("--retry", "way", flag_value="retry", default=True, help="Retry it with all its attempts.")
@click.option("--dead-letter", "way", flag_value="dead-letter", help="Move it to the dead letters.")
@click.option("--discard", "way", flag_value="discard", help="Delete it for good.")
@click.option("--yes", is_flag=True, help="Do not ask; --discard requires it without a terminal.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, *, queue: str, ids: tuple[int, ...], way: Way, yes: bool, form: str) -> None:
    """Release keys of QUEUE that a failed message blocks (`on_exhausted: block`).

    `changelane peek QUEUE --state blocked` shows these messages.
    """
    discards = way == "discard"
    manifest = announce(settings, quiet=form == "json") if discards else load_manifest(settings.out)
    needs = need_command("unblock", queue)
    with reach(settings.database_url, doing="unblock", needs=needs) as conn:
        found = list_blocked(conn, queue, ids=ids)
        if found and discards and not yes:
            ask(f"Discard {_count(len(found))} of {queue} for good?", needs="discarding")
        done = unblock(conn, manifest, queue, found, way=way)
    if form == "json":
        click.echo(
            orjson.dumps(
                {"format_version": 1, "queue": queue, "way": way, "unblocked": sorted(done)},
                option=orjson.OPT_INDENT_2,
            )
        )
    else:
        say(f"{_count(len(done))} of {queue} {DONE[way]}.")


def _count(number: int) -> str:
    return "1 blocked message" if number == 1 else f"{number} blocked messages"
