"""``changelane grants``: the rights that a worker's role needs."""

from __future__ import annotations

import json

import click

from changelane.cli import Settings
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.commands.project import load_current
from changelane.contract.access import works
from changelane.contract.manifest import Consumer, Manifest
from changelane.errors import ChangelaneError
from changelane.runner.live.missing_rights import find_absent
from changelane.runner.live.session import reach
from changelane.runner.queue.worker_rights import list_worker_grants


@click.command(name="grants")
@click.argument("queues", nargs=-1, metavar="[QUEUE]...", shell_complete=complete_queue)
@click.option("--role", required=True, metavar="NAME", help="The role that the worker connects as.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, queues: tuple[str, ...], role: str, form: str) -> None:
    """Print the GRANTs that a role needs to work the queues with a consumer, or the named queues.

    They cover what the consumers declare and no more: claims, retries, dead letters, archives and their
    pruning, wake-ups and pauses. The role need not exist yet; nothing is changed. Run it again after `apply`
    made queues.
    """
    manifest = load_current(settings)
    consumers = _choose(manifest, queues)
    with reach(settings.database_url, doing="grants") as conn:
        if absent := find_absent(conn, [consumer.queue for consumer in consumers]):
            raise ChangelaneError(
                f"queue {', '.join(absent)} is not there", fix="run `changelane apply` first"
            )
        grants = list_worker_grants(conn, consumers, role=role)
    notes = [
        f"queue {consumer.queue} has `access`, so row security hides its messages from role {role}: declare "
        "it there, too, with send, read and delete"
        for consumer in consumers
        if _hides(manifest, consumer.queue, role=role)
    ]
    if form == "json":
        click.echo(json.dumps({"format_version": 1, "grants": grants, "notes": notes}, indent=2))
        return
    say("\n".join(f"{grant};" for grant in grants))
    for note in notes:
        say(f"note: {note}", err=True)


def _choose(manifest: Manifest, queues: tuple[str, ...]) -> list[Consumer]:
    consumers = {consumer.queue: consumer for consumer in manifest.consumers}
    if unknown := [queue for queue in queues if queue not in consumers]:
        raise ChangelaneError(
            f"no consumer is declared for queue {', '.join(unknown)}",
            fix=f"those with one are: {', '.join(sorted(consumers)) or 'none'}",
        )
    return [consumers[queue] for queue in queues or consumers]


def _hides(manifest: Manifest, queue: str, *, role: str) -> bool:
    declared = {access.role: access.allow for access in manifest.access if access.queue == queue}
    return bool(declared) and not works(declared.get(role, ()))
