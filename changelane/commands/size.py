"""A size on the command line: ``512MB``, ``1 GB``, with 1 kB = 1024 B as in Postgres."""

from __future__ import annotations

import re

import click

_UNITS = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}


def parse_size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """An option's callback: its value in bytes. Raises BadParameter."""
    if value is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,14}) ?([kmg]?b)", value, re.IGNORECASE)
    if not found:
        raise click.BadParameter(f"{value!r} is not a size: write a number and its unit, as in 512MB")
    return int(found[1]) * _UNITS[found[2].lower()]
