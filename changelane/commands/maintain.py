"""``changelane maintain``: prune archives and dead letters, make and drop partitions."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from changelane.cli import Settings
from changelane.commands.duration import parse_duration
from changelane.commands.names import complete_queue, complete_route
from changelane.commands.output import say
from changelane.commands.project import announce
from changelane.contract.manifest import Manifest, Queue
from changelane.runner.live.missing_rights import need_maintaining
from changelane.runner.live.session import reach
from changelane.runner.operate.maintain import QueueMaintenance, choose, maintain
from changelane.runner.operate.outbox import PrunedTable, find_outbox, prune_outbox


@click.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE]...", shell_complete=complete_queue)
@click.option(
    "--outbox",
    metavar="ROUTE",
    shell_complete=complete_route,
    help="Prune relayed rows of this route's outbox table instead.",
)
@click.option(
    "--keep",
    callback=parse_duration,
    metavar="TIME",
    help="With --outbox: for how long to keep rows after they were relayed.",
)
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
def command(
    settings: Settings,
    *,
    queues: tuple[str, ...],
    outbox: str | None,
    keep: float | None,
    max_wait: float,
    form: str,
) -> None:
    """Prune archives (`archive: {keep}`) and dead letters (`dead_letters: {keep}`), and let pg_partman make
    and drop partitions: for the named queues, or for all.

    Made for cron. Workers prune archives and dead letters of their queues themselves. Nobody else makes
    partitions, unless pg_partman's background worker runs. Exits 75 if a lock was not obtained; the finished
    work stays.

    With `--outbox`, it deletes the rows of an outbox table whose messages are in the archive of the route's
    queue, because an engine has confirmed those. It maintains nothing else then.
    """
    if (outbox is None) != (keep is None):
        raise click.UsageError("--outbox and --keep go together, as in `--outbox events --keep 1d`")
    if outbox is not None and queues:
        raise click.UsageError("--outbox names a route, and queues are maintained without it")
    manifest = announce(settings, quiet=form == "json")
    if outbox is not None and keep is not None:
        _prune_outbox(settings, manifest, outbox, keep=keep, max_wait=max_wait, form=form)
        return
    chosen = choose(manifest, queues)
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


def _prune_outbox(
    settings: Settings, manifest: Manifest, route: str, *, keep: float, max_wait: float, form: str
) -> None:
    outbox = find_outbox(manifest, route, keep=keep)
    done: list[PrunedTable] = []
    try:
        with reach(settings.database_url, doing="maintain", needs=outbox.needs) as conn:
            for pruned in prune_outbox(conn, outbox, keep=keep, max_wait=max_wait, notify=_notify):
                done.append(pruned)
                if form == "text":
                    rows = "row" if pruned.pruned == 1 else "rows"
                    say(f"{pruned.table}: {pruned.pruned:,} relayed {rows} pruned")
    finally:
        if form == "json":
            record = {"format_version": 1, "route": route, "tables": [asdict(one) for one in done]}
            click.echo(json.dumps(record, indent=2))


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
