"""``changelane replay``: send archived messages again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import orjson

from changelane.cli import Settings
from changelane.commands.confirm import ask
from changelane.commands.duration import parse_duration
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.commands.where import read_where
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.session import reach
from changelane.runner.operate.replay import replay
from changelane.runner.queue.identity import find_queue


def parse_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """An option's callback: an ISO time with its zone, or a time ago such as ``2h``."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        try:
            return datetime.now(UTC) - timedelta(seconds=parse_duration(ctx, param, value))
        except (click.BadParameter, OverflowError):
            raise click.BadParameter(
                f"{value!r} is neither a time nor a duration such as 2h", ctx=ctx, param=param
            ) from None
    if moment.tzinfo is None:
        raise click.BadParameter(
            f"{value!r} has no time zone: write {value}Z, or {value}+02:00", ctx=ctx, param=param
        )
    return moment


@click.command()
@click.argument("queue", shell_complete=complete_queue)
@click.option(
    "--since",
    required=True,
    metavar="T",
    help="Messages archived from this time on: an ISO time, or an age such as `2h`.",
)
@click.option("--until", metavar="T", help="Messages archived before this time; default: now.")
@click.option(
    "--where",
    callback=read_where,
    metavar="EXPR",
    help="Only messages for which this SQL is true, over message, headers, msg_id and enqueued_at.",
)
@click.option("--restart", is_flag=True, help="Start again instead of going on with an interrupted replay.")
@click.option("--yes", is_flag=True, help="Do not ask; required without a terminal.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    queue: str,
    since: str,
    until: str | None,
    where: str | None,
    restart: bool,
    yes: bool,
    form: str,
) -> None:
    """Send archived messages of QUEUE again, in their order, under new ids; the archive stays as it is.

    After an interruption, the same command continues, and sends no message twice.
    """
    settings: Settings = ctx.obj
    options = {param.name: param for param in ctx.command.params}
    first = parse_moment(ctx, options["since"], since)
    last = parse_moment(ctx, options["until"], until) or datetime.now(UTC)
    assert first is not None
    if first >= last:
        raise click.BadParameter(f"{until!r} is not after --since {since}", ctx=ctx, param=options["until"])
    needs = need_command("replay", queue)
    with reach(settings.database_url, doing="replay", needs=needs) as conn:
        found = find_queue(conn, queue)
        if not yes:
            ask(f"Send the archived messages of queue {queue} since {since} again?", needs="sending again")
        total = 0
        for total in replay(
            conn,
            found,
            since=first,
            until=last,
            where=where,
            asked={"since": since, "until": until, "where": where},
            restart=restart,
            notify=lambda text: say(text, err=True),
        ):
            say(f"{total} sent", err=True)
    if form == "json":
        click.echo(
            orjson.dumps({"format_version": 1, "queue": queue, "replayed": total}, option=orjson.OPT_INDENT_2)
        )
    else:
        say(f"{total} message{'' if total == 1 else 's'} of {queue} sent again.")
