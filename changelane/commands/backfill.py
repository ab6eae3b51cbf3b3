"""``changelane backfill``: send existing rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
import orjson

from changelane.cli import Settings
from changelane.commands.duration import parse_duration
from changelane.commands.names import complete_route, complete_table
from changelane.commands.output import say
from changelane.contract.catalog import load_catalog
from changelane.contract.manifest import Manifest, load_manifest
from changelane.errors import ChangelaneError
from changelane.generator.check import build
from changelane.generator.render.backfill_sql import Backfill, list_backfills
from changelane.generator.render.sql_out import find_stale
from changelane.runner.compare.compare import compare
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import observe
from changelane.runner.live.session import reach
from changelane.runner.operate.backfill import Source, Step, backfill


@click.command()
@click.argument("route", shell_complete=complete_route)
@click.option("--table", metavar="SCHEMA.NAME", shell_complete=complete_table,
              help="Only this table of the route.")  # fmt: skip
@click.option("--where", metavar="EXPR", help="Only rows for which this SQL is true, over new.")
@click.option("--chunk", type=click.IntRange(1, 100_000), default=1000, show_default=True,
              help="Number of keys per transaction.")  # fmt: skip
@click.option(
    "--max-depth", type=click.IntRange(min=1), help="Wait while a queue holds at least this many messages."
)
@click.option(
    "--max-wait",
    callback=parse_duration,
    default="60s",
    show_default=True,
    help="How long to wait for rows that other sessions lock.",
)
@click.option("--restart", is_flag=True, help="Start again instead of going on with an interrupted backfill.")
@click.option("--sql", "show", is_flag=True, help="Print the SQL that would send rows; send nothing.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(
    settings: Settings,
    *,
    route: str,
    table: str | None,
    where: str | None,
    chunk: int,
    max_depth: int | None,
    max_wait: float,
    restart: bool,
    show: bool,
    form: str,
) -> None:
    """Send the existing rows of ROUTE's tables as messages with the operation `snapshot`.

    Works in chunks by primary key, each a short transaction. After an interruption, the same command
    continues. If a row changes meanwhile, its trigger sends the change after the row's snapshot.
    """
    sources, skipped = list_sources(settings, route=route, table=table, where=where)
    for name in skipped:
        say(f"skipped: {name}, which has no primary key to go by", err=True)
    if show:
        say("\n".join(source.setup for source in sources))
        return
    manifest = load_manifest(settings.out)
    counts: dict[str, int] = {}
    with reach(settings.database_url, doing="backfill") as conn:
        wrong = [
            f"{thing} is {thing.state}"
            for thing in compare(manifest, observe(conn, manifest))
            if thing.route == route and thing.state != "ok" and not _is_new(thing)
        ]
        if wrong:
            raise ChangelaneError(
                f"changes made meanwhile would be lost: {', '.join(wrong)}",
                fix="run `changelane apply` first",
            )
        for source in sources:
            steps = backfill(
                conn,
                source,
                asked={"where": where},
                chunk=chunk,
                restart=restart,
                max_depth=max_depth,
                max_wait=max_wait,
                notify=lambda text: say(text, err=True),
            )
            counts[source.name] = _show(steps, name=source.name)
    if form == "json":
        tables = [{"table": name, "sent": sent} for name, sent in counts.items()]
        record = {"format_version": 1, "route": route, "tables": tables, "skipped": skipped}
        click.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    else:
        for name, sent in counts.items():
            say(f"{sent} row{'' if sent == 1 else 's'} of {name} read, and sent as route {route} sends them.")


def list_sources(
    settings: Settings, *, route: str, table: str | None, where: str | None
) -> tuple[list[Source], list[str]]:
    """The rows of the route's tables, or of ``table`` (``schema.name``) alone, and the tables without a
    primary key. Raises ChangelaneError.
    """
    document, output = build(settings.file, catalog := load_catalog(settings.out / "catalog.json"))
    if find_stale(output, settings.out):
        raise ChangelaneError(
            f"{settings.out} is not what {settings.file} says", fix="run `changelane generate`, then apply"
        )
    found, skipped = list_backfills(document, catalog, route=route, table=table, where=where)
    manifest = load_manifest(settings.out)
    return [_describe(manifest, entry) for entry in found], skipped


def _is_new(thing: Object) -> bool:
    """Whether the table is not captured yet, so that its rows are not sent."""
    return thing.kind == "table" and thing.state == "missing"


def _describe(manifest: Manifest, entry: Backfill) -> Source:
    return Source(
        project=manifest.project,
        route=entry.route,
        schema=entry.schema,
        table=entry.table,
        key=entry.key,
        whole=entry.whole,
        queues=entry.queues,
        setup=entry.setup,
        where=entry.where,
    )


def _show(steps: Iterator[Step], *, name: str) -> int:
    """Show progress on stderr: a bar on a terminal, else a line per chunk; returns the number of rows
    sent.
    """
    if not sys.stderr.isatty():
        sent = 0
        for step in steps:
            sent = step.sent
            say(f"{name}: {sent} of about {step.total}" if step.total else f"{name}: {sent}", err=True)
        return sent
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        sent = 0
        for step in steps:
            sent = step.sent
            bar.update(task, completed=sent, total=step.total)
        bar.update(task, completed=sent, total=sent)
    return sent
