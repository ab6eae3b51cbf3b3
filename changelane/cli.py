"""The command line: global options, lazy sub-commands, one place where errors become text and exit codes."""

from __future__ import annotations

import gc
import importlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from changelane.errors import ChangelaneError, ProblemsError, SpecError
from changelane.text import clean

GROUPS = {
    "Declare": {
        "init": "Write a commented pipelines.yaml from the live schema.",
        "schema": "Print the JSON Schema of pipelines.yaml.",
        "validate": "Check the spec, its expressions and the SQL.",
        "inspect": "Write sql_out/catalog.json from the live schema.",
        "generate": "Render sql_out/ from pipelines.yaml and the catalog.",
        "models": "Write typed rows of the captured tables for handlers.",
        "try": "Run SQL, show the messages that it would send, roll back.",
    },
    "Apply": {
        "plan": "Print what apply would do, and the lock that each step takes.",
        "apply": "Bring the database to the state in sql_out/, then verify it.",
        "verify": "Exit 2 on any difference between sql_out/ and the database.",
        "grants": "Print the GRANTs that a worker's role needs.",
        "destroy": "Remove the project's triggers and functions.",
        "db": "Start, stop or reach the local server.",
    },
    "Work": {
        "work": "Consume queues into handlers.",
        "send": "Put a message into a queue.",
        "backfill": "Send existing rows of a route's tables as snapshots.",
        "schedule": "List, pause, resume or run schedules.",
        "maintain": "Prune archives and dead letters, make and drop partitions.",
    },
    "Operate": {
        "pause": "Stop workers from claiming from a queue.",
        "resume": "Let workers claim from a paused queue again.",
        "unblock": "Release keys blocked by a failed message.",
        "dead-letter": "List, show, redrive or discard dead letters.",
        "replay": "Send archived messages again.",
        "purge": "Delete all messages of a queue.",
    },
    "Look": {
        "status": "One line per object: its state.",
        "doctor": "List present and approaching problems, with their fixes.",
        "peek": "Look at the messages of a queue.",
        "dashboard": "Serve the web page: flow, queues, messages, dead letters, doctor.",
        "completion": "Print the script that completes commands in a shell.",
    },
}
"""The commands in the order of their use, with a line on each."""
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options. If ``database_url`` is None, the environment decides, then the local server."""

    file: Path
    out: Path
    database_url: str | None
    debug: bool


class LazyGroup(click.Group):
    """Imports a sub-command's module only when it runs, so that ``--help`` loads nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        # A module cannot have a keyword or a hyphen in its name.
        module_name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name.replace("-", "_")
        module = importlib.import_module(f"changelane.commands.{module_name}")
        # The command line's process pauses the search for garbage while it imports.
        gc.freeze()
        gc.enable()
        # `work` imports handlers, and then obeys signals itself. Other commands roll back when interrupted.
        if cmd_name != "work" and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from changelane.suggestion import suggest

            if question := suggest(args[0], COMMANDS):
                raise click.UsageError(f"{error.message} {question.capitalize()}", ctx) from None
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in sorted(COMMANDS) if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=COMMANDS[name]) for name in names),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()), col_max=15)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    default=Path("pipelines.yaml"),
    show_default=True,
    help="The spec.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("sql_out"),
    show_default=True,
    help="Where generated SQL, catalog.json and manifest.json live.",
)
@click.option(
    "--database-url",
    default=None,
    metavar="URL",
    help="Default: DATABASE_URL, else PG* if PGHOST or PGSERVICE is set, else the local server.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="changelane")
@click.pass_context
def cli(ctx: click.Context, file: Path, out: Path, database_url: str | None, debug: bool) -> None:
    """From a change in a Postgres table to handled work, with nothing but Postgres."""
    ctx.obj = Settings(file=file, out=out, database_url=database_url, debug=debug)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 ok, 1 error, 2 difference, 75 lock not obtained, 130 interrupted."""
    arguments = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in arguments
    try:
        result: Any = cli.main(args=arguments, prog_name="changelane", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as error:
        # click exits 2 on wrong usage, but here 2 means a difference.
        error.show()
        sys.exit(1)
    except ChangelaneError as error:
        if debug:
            raise
        show_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        show_error(explain(error))
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)


PARTS = {
    "changelane.generator": "generate",
    "changelane.runner.dashboard": "dashboard",
    "changelane.commands.dashboard": "dashboard",
}
"""The extra with what each package imports beyond the base install."""


def explain(error: Exception) -> ChangelaneError:
    """Turn a foreign error into ours: a missing extra, a file that the system refuses, or an unexpected
    error.
    """
    if isinstance(error, ModuleNotFoundError) and (part := find_part(error)):
        return ChangelaneError(
            f"this command needs the part {part!r} of Changelane, which is not installed",
            fix=f"pip install 'changelane[{part}]'",
        )
    if isinstance(error, OSError) and error.filename:
        return ChangelaneError(
            f"{error.filename}: {error.strerror}",
            fix="let this user read and write it, or name other places with --file and --out",
        )
    return ChangelaneError(
        f"{type(error).__name__}: {error}",
        fix="this is unexpected; run again with --debug for the traceback",
    )


def find_part(error: ModuleNotFoundError) -> str | None:
    """The extra that provides the module with the failed import."""
    part, trace = None, error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        part = next((extra for package, extra in PARTS.items() if f"{name}.".startswith(f"{package}.")), part)
        trace = trace.tb_next
    return part


def show_error(error: ChangelaneError) -> None:
    """Print an error on stderr: first the error, then the fix."""
    if isinstance(error, SpecError):
        from changelane.diagnostic import render_text

        click.echo(clean(render_text(error.diagnostics)), err=True)
    if isinstance(error, ProblemsError):
        for problem in error.problems:
            show_error(problem)
    click.echo(clean(f"error: {error.what}"), err=True)
    if error.fix:
        click.echo(clean(f"  fix: {error.fix}"), err=True)
