"""``changelane maintain``: prune archives and dead letters, make and drop partitions."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from changelane.cli import Settings
from changelane.commands.duration import parse_duration
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.commands.project import announce
from changelane.contract.manifest import Queue
from changelane.runner.live.missing_rights import need_maintaining
from changelane.runner.live.session import reach
from changelane.runner.operate.maintain import QueueMaintenance, choose, maintain


@click.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE]...", shell_complete=complete_queue)
@click.option(
    "--max-wait",
    default="60s",
    show_default=True,
    callback=parse_duration,
    metavar="TIME",
    help="How long to wait for each lock.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, queues: tuple[str, ...], max_wait: float, form: str) -> None:
    """Prune archives (`archive: {keep}`) and dead letters (`dead_letters: {keep}`), and let pg_partman make
    and drop partitions: for the named queues, or for all.

    Made for cron. Workers prune archives and dead letters of their queues themselves. Nobody else makes
    partitions, unless pg_partman's background worker runs. Exits 75 if a lock was not obtained; the finished
    work stays.
    """
    chosen = choose(announce(settings, quiet=form == "json"), queues)
    done: list[QueueMaintenance] = []
    try:
        needs = [need for queue in chosen for need in need_maintaining(queue)]
        with reach(settings.database_url, doing="maintain", needs=needs) as conn:
            by_name = {queue.name: queue for queue in chosen}
            for upkeep in maintain(conn, chosen, max_wait=max_wait, notify=_notify):
                done.append(upkeep)
                if form == "text":
                    say(_describe(upkeep, by_name[upkeep.queue]))
    finally:
        if form == "json":
            click.echo(json.dumps({"format_version": 1, "queues": [asdict(one) for one in done]}, indent=2))
    if not chosen and form == "text":
        say("No queue has an archive or dead letters to prune, or partitions.")


def _notify(message: str) -> None:
    say(message, err=True)


def _describe(upkeep: QueueMaintenance, queue: Queue) -> str:
    done = []
    if queue.partition:
        done.append(f"{len(upkeep.made)} partitions made, {len(upkeep.dropped)} dropped")
    elif queue.archive:
        done.append(f"{upkeep.pruned:,} archived messages pruned")
    if upkeep.moved:
        done.append(f"{upkeep.moved:,} messages moved out of the default partition")
    if queue.dead_letters and queue.dead_letters.keep:
        done.append(f"{upkeep.letters:,} dead letters pruned")
    return f"{upkeep.queue}: {', '.join(done)}"
