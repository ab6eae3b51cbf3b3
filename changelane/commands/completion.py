"""``changelane completion``"""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from changelane.cli import cli

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(name="completion")
@click.argument("shell", type=click.Choice(sorted(SHELLS)))
def command(shell: str) -> None:
    """Print the script that completes commands and options in SHELL.

    For bash, put this into ~/.bashrc: eval "$(changelane completion bash)"
    """
    click.echo(SHELLS[shell](cli, {}, "changelane", "_CHANGELANE_COMPLETE").source(), nl=False)
