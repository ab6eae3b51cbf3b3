"""``changelane try``"""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
import orjson
from psycopg import Connection

from changelane.cli import Settings
from changelane.commands.duration import parse_duration
from changelane.contract.manifest import load_manifest
from changelane.generator.sql.script import split_script
from changelane.runner.live.session import reach
from changelane.runner.operate.try_sql import Message, Trial, attempt
from changelane.text import align


@click.command(name="try")
@click.argument("sql")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many messages of each queue are shown.",
)
@click.option(
    "--timeout",
    callback=parse_duration,
    default="30s",
    show_default=True,
    help="How long a statement may take.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, *, sql: str, limit: int, timeout: float, form: str) -> None:
    """Run SQL in a transaction, show the messages that it would send, and roll back.

    SQL is one or more statements, or - to read them from standard input. Rows that it changes stay locked
    until it ends. Only what no rollback undoes is kept: values drawn from sequences, and effects of functions
    outside of the database.
    """
    statements = split_script(sys.stdin.read() if sql == "-" else sql)
    manifest = load_manifest(settings.out)
    with reach(settings.database_url, doing="try", kind=Connection) as conn:
        trial = attempt(conn, statements, manifest, timeout=timeout, limit=limit)
    click.echo(render_json(trial) if form == "json" else render_text(trial))


def render_json(trial: Trial) -> str:
    """The whole trial with the bodies of its messages, ``format_version`` first."""
    messages = [
        {
            **asdict(message),
            "key": message.key and orjson.Fragment(message.key),
            "body": message.body and orjson.Fragment(message.body),
        }
        for message in trial.messages
    ]
    value = {"format_version": 1, **asdict(trial), "messages": messages}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def render_text(trial: Trial) -> str:
    """The command tags of Postgres, a table of the messages, and the routes that sent none."""
    parts = ["\n".join(trial.commands)]
    if trial.messages:
        parts.append("\n".join(render_messages(trial.messages)))
        if hidden := trial.total - len(trial.messages):
            parts.append(f"{hidden} more not shown.")
    if trial.silences:
        lines = [f"  {silence.route} on {silence.table}: {silence.why}" for silence in trial.silences]
        parts.append("\n".join(["Looked and sent nothing:", *lines]))
    noun = "message" if trial.total == 1 else "messages"
    parts.append(f"{trial.total} {noun} would be sent. Rolled back.")
    return "\n\n".join(parts)


def render_messages(messages: tuple[Message, ...]) -> list[str]:
    """Aligned columns with headings."""
    rows = [("ROUTE", "QUEUE", "OP", "KEY", "SIZE", "")]
    for message in messages:
        delay = f"readable in {message.delay:.0f} s" if message.delay >= 0.5 else ""
        rows.append(
            (
                message.route or "-",
                message.queue,
                message.op or "-",
                message.key or "-",
                f"{message.size} B",
                delay,
            )
        )
    return align(rows)
