"""``changelane dead-letter``: look at dead letters, redrive them, or discard them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
import orjson

from changelane.cli import Settings
from changelane.commands.confirm import ask
from changelane.commands.names import complete_queue
from changelane.commands.output import say
from changelane.commands.project import announce
from changelane.commands.where import read_where
from changelane.contract.manifest import load_manifest
from changelane.runner.live.missing_rights import need_command
from changelane.runner.live.moment import spell_time
from changelane.runner.live.session import reach
from changelane.runner.operate.dead_letter import (
    DeadLetterQueue,
    Letter,
    choose,
    discard,
    find_dead_letter_queue,
    read,
    redrive,
)
from changelane.text import align

SHOWN = 20


def chosen(*, limit: int | None) -> Callable[[Any], Any]:
    """The arguments that every sub-command takes to choose letters."""

    decorators: tuple[Callable[[Any], Any], ...] = (
        click.pass_obj,
        click.option(
            "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            default=limit,
            show_default=limit is not None,
            help="At most N letters, oldest first.",
        ),
        click.option(
            "--where",
            callback=read_where,
            metavar="EXPR",
            help="Only letters for which this SQL is true, over message, headers, msg_id and enqueued_at.",
        ),
        click.option(
            "--id",
            "ids",
            type=click.IntRange(1, 2**63 - 1),
            multiple=True,
            metavar="N",
            help="Only the letter with this id. Repeatable.",
        ),
        click.argument("queue", shell_complete=complete_queue),
    )

    def decorate(function: Any) -> Any:
        for decorator in decorators:
            function = decorator(function)
        return function

    return decorate


@click.group
def command() -> None:
    """Look at the dead letters of QUEUE, send them back to it, or discard them.

    QUEUE is the queue that they come from. The name of its dead-letter queue works, too.
    """


@command.command(name="list")
@chosen(limit=SHOWN)
def list_(
    settings: Settings, *, queue: str, ids: tuple[int, ...], where: str | None, limit: int, form: str
) -> None:
    """List dead letters, one line each: id, time of failure, attempts, key, and the first line of the
    error.
    """
    letters, more = look(settings, queue=queue, ids=ids, where=where, limit=limit)
    if form == "json":
        click.echo(render_json(letters, more=more))
        return
    for line in render_table(letters):
        say(line)
    tell_rest(letters, more=more)


@command.command
@chosen(limit=SHOWN)
def show(
    settings: Settings, *, queue: str, ids: tuple[int, ...], where: str | None, limit: int, form: str
) -> None:
    """Show dead letters in full: message, headers, error and traceback."""
    letters, more = look(settings, queue=queue, ids=ids, where=where, limit=limit)
    if form == "json":
        click.echo(render_json(letters, more=more))
        return
    say("\n\n".join(render_letter(letter) for letter in letters), nl=bool(letters))
    tell_rest(letters, more=more)


@command.command(name="redrive")
@chosen(limit=None)
def redrive_(
    settings: Settings, *, queue: str, ids: tuple[int, ...], where: str | None, limit: int | None, form: str
) -> None:
    """Send dead letters back to their queue: all, or the chosen ones; either all of these or none.

    Each message has all its attempts again, and a new id.
    """
    dlq = find_dead_letter_queue(load_manifest(settings.out), queue)
    needs = [*need_command("dead-letter discard", dlq.queue), *need_command("send", dlq.source)]
    with reach(settings.database_url, doing="dead-letter redrive", needs=needs) as conn:
        moved = redrive(conn, dlq, choose(conn, dlq, ids=ids, where=where, limit=limit))
    if form == "json":
        pairs = [{"id": old, "new_id": new} for old, new in sorted(moved.items())]
        value = {"format_version": 1, "queue": dlq.source, "redriven": pairs}
        click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    else:
        say(f"{count(len(moved))} of {dlq.queue} sent back to {dlq.source}.")


@command.command(name="discard")
@click.option("--yes", is_flag=True, help="Do not ask; required without a terminal.")
@chosen(limit=None)
def discard_(
    settings: Settings,
    *,
    queue: str,
    ids: tuple[int, ...],
    where: str | None,
    limit: int | None,
    form: str,
    yes: bool,
) -> None:
    """Delete dead letters for good: all, or the chosen ones."""
    dlq = find_dead_letter_queue(announce(settings, quiet=form == "json"), queue)
    needs = need_command("dead-letter discard", dlq.queue)
    with reach(settings.database_url, doing="dead-letter discard", needs=needs) as conn:
        found = choose(conn, dlq, ids=ids, where=where, limit=limit)
        if found and not yes:
            ask(f"Discard {count(len(found))} of {dlq.queue} for good?", needs="discarding")
        gone = discard(conn, dlq, found)
    if form == "json":
        value = {"format_version": 1, "queue": dlq.queue, "discarded": sorted(gone)}
        click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    else:
        say(f"{count(len(gone))} of {dlq.queue} discarded.")


def look(
    settings: Settings, *, queue: str, ids: tuple[int, ...], where: str | None, limit: int
) -> tuple[list[Letter], bool]:
    """The chosen letters, and whether there are more than ``limit``."""
    dlq: DeadLetterQueue = find_dead_letter_queue(load_manifest(settings.out), queue)
    needs = need_command("dead-letter", dlq.queue)
    with reach(settings.database_url, doing="dead-letter", needs=needs) as conn:
        found = choose(conn, dlq, ids=ids, where=where, limit=limit + 1)
        return read(conn, dlq, found[:limit]), len(found) > limit


def tell_rest(letters: list[Letter], *, more: bool) -> None:
    if not letters:
        say("no dead letters", err=True)
    elif more:
        say(f"the first {len(letters)} are shown; --limit shows more", err=True)


def count(number: int) -> str:
    return "1 dead letter" if number == 1 else f"{number} dead letters"


def render_table(letters: list[Letter]) -> list[str]:
    """Aligned columns with headings; the error comes last, as it is long."""
    if not letters:
        return []
    rows = [("ID", "FAILED AT", "ATTEMPTS", "KEY", "ERROR")]
    rows += [
        (
            str(letter.id),
            spell_time(letter.failed_at),
            "-" if letter.attempts is None else str(letter.attempts),
            letter.key or "-",
            letter.error.partition("\n")[0] or "-",
        )
        for letter in letters
    ]
    return align(rows)


def render_letter(letter: Letter) -> str:
    origin = f"message {letter.msg_id} of {letter.queue}" if letter.queue else "unknown origin"
    attempts = "unknown" if letter.attempts is None else letter.attempts
    parts = [
        f"dead letter {letter.id}: {origin}",
        f"failed at {spell_time(letter.failed_at)}, attempts: {attempts}",
        f"error: {letter.error or '-'}",
        f"message: {letter.message}",
        f"headers: {letter.headers or '{}'}",
    ]
    if letter.traceback:
        parts.append(f"traceback (its end):\n{letter.traceback.rstrip()}")
    return "\n".join(parts)


def render_json(letters: list[Letter], *, more: bool) -> str:
    entries = []
    for letter in letters:
        exact = {"key": letter.key, "message": letter.message, "headers": letter.headers}
        fragments = {name: text and orjson.Fragment(text) for name, text in exact.items()}
        entries.append({**asdict(letter), **fragments})
    value = {"format_version": 1, "dead_letters": entries, "more": more}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
