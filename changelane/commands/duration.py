"""Durations on the command line: as in the spec (``500ms``, ``90s``, ``2d``), or plain seconds."""

from __future__ import annotations

import re
from typing import overload

import click

from changelane.contract import units

_PLAIN = re.compile(r"[0-9]{1,9}([.][0-9]+)?")


@overload
def parse_duration(ctx: click.Context, param: click.Parameter, value: str) -> float: ...
@overload
def parse_duration(ctx: click.Context, param: click.Parameter, value: None) -> None: ...
def parse_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """An option's callback: its value in seconds; None if the option was not given. Raises BadParameter."""
    if value is None:
        return None
    try:
        return float(value) if _PLAIN.fullmatch(value) else units.parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}: write one as in 500ms, 90s, 5m, 1h, 2d or 1w") from None
