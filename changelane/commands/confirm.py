"""The question before a command changes something."""

from __future__ import annotations

import sys

import click

from changelane.errors import ChangelaneError


def ask(question: str, *, needs: str, terminal: bool = True) -> bool:
    """Ask on a terminal; returns only True. ``needs`` names the command that asks, for errors.

    Both input and output must be a terminal, because nobody reads a question that goes into a pipe. Raises
    ChangelaneError if the answer is no, or if there is no terminal.
    """
    if not (terminal and sys.stdin.isatty() and sys.stdout.isatty()):
        raise ChangelaneError(
            f"{needs} asks for confirmation, and there is no terminal; nothing was changed", fix="add --yes"
        )
    if not click.confirm(question):
        raise ChangelaneError("not confirmed; nothing was changed")
    return True
