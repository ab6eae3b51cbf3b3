"""``changelane peek``: look at the messages of a queue."""

from __future__ import annotations

from dataclasses import asdict

import click
import orjson

from changelane.cli import Settings
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.commands.where import read_where
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.moment import LAST, spell_time
from changelane.runner.live.session import reach
from changelane.runner.operate.peek import STATES, Message, Page, State, peek
from changelane.runner.queue.identity import find_queue
from changelane.text import align

BODY = 60
"""The most characters of a message that a row shows, where it is no change."""


@click.command()
@click.argument("queue", shell_complete=complete_queue)
@click.option(
    "--state", type=click.Choice(STATES), help="Only messages in this state; default: all but archived ones."
)
@click.option("--id", "ids", type=click.IntRange(1, 2**63 - 1), multiple=True, metavar="N",
              help="Show this message in full. Repeatable.")  # fmt: skip
@click.option(
    "--where",
    callback=read_where,
    metavar="EXPR",
    help="Only messages for which this SQL is true, over message, headers, msg_id and enqueued_at.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--after", type=click.IntRange(0, 2**63 - 1), metavar="N", help="Start after this id.")
@click.option("--newest", is_flag=True, help="Newest first.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(
    settings: Settings,
    *,
    queue: str,
    state: State | None,
    ids: tuple[int, ...],
    where: str | None,
    limit: int,
    after: int | None,
    newest: bool,
    form: str,
) -> None:
    """Look at the messages of QUEUE without a change to them.

    States: available (or waiting for its key's turn); delayed (sent with a delay, or to be retried); leased
    (claimed, no outcome yet); blocked (failed, and blocks its key until you decide); archived. Dead letters
    are in a queue of their own: see `changelane dead-letter`.
    """
    needs = need_command("peek", queue)
    with reach(settings.database_url, doing="peek", needs=needs) as conn:
        page = peek(
            conn,
            find_queue(conn, queue),
            state=state,
            ids=ids,
            where=where,
            limit=max(limit, len(ids)),
            after=after,
            newest=newest,
        )
    if form == "json":
        click.echo(_render_json(queue, page))
        return
    if ids:
        say("\n\n".join(map(_render, page.messages)), nl=bool(page.messages))
    else:
        for line in _render_table(page.messages):
            say(line)
    if page.next is not None:
        say(f"there may be more: --after {page.next}", err=True)
    elif not page.messages:
        say("no messages", err=True)


def _render_table(messages: tuple[Message, ...]) -> list[str]:
    if not messages:
        return []
    rows = [("ID", "STATE", "ENQUEUED", "DUE", "DELIVERIES", "ATTEMPTS", "KEY", "CHANGE")]
    rows += [
        (
            str(message.id),
            message.state,
            spell_time(message.enqueued_at),
            _tell_due(message),
            str(message.deliveries),
            str(message.attempts),
            message.key or "-",
            _tell_content(message),
        )
        for message in messages
    ]
    return align(rows)


def _tell_content(message: Message) -> str:
    change = f"{message.operation} {message.table}".strip()
    body = " ".join(line.strip() for line in message.message.splitlines())
    return change or (body if len(body) <= BODY else f"{body[: BODY - 3]}...")


def _tell_due(message: Message) -> str:
    if message.state in ("available", "blocked", "archived"):
        return "-"
    return "never" if message.due >= LAST else spell_time(message.due)


def _render(message: Message) -> str:
    return "\n".join(
        [
            f"message {message.id}: {message.state}",
            f"enqueued {spell_time(message.enqueued_at)}, due {_tell_due(message)}",
            f"deliveries: {message.deliveries}, failed attempts: {message.attempts}",
            *([f"error: {message.error}"] if message.error else []),
            f"message: {message.message}",
            f"headers: {message.headers or '{}'}",
        ]
    )


def _render_json(queue: str, page: Page) -> str:
    entries = []
    for message in page.messages:
        exact = {"key": message.key, "message": message.message, "headers": message.headers}
        fragments = {name: text and orjson.Fragment(text) for name, text in exact.items()}
        entries.append({**asdict(message), **fragments})
    value = {"format_version": 1, "queue": queue, "messages": entries, "next": page.next}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
