"""A span of time on the command line: ``500ms``, ``60s``, ``5m``, ``1h``, or plain seconds."""

from __future__ import annotations

import re
from typing import overload

import click

_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@overload
def parse_duration(ctx: click.Context, param: click.Parameter, value: str) -> float: ...
@overload
def parse_duration(ctx: click.Context, param: click.Parameter, value: None) -> None: ...
def parse_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """An option's callback: its value in seconds; None if the option was not given. Raises BadParameter."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not a duration such as 500ms, 60s, 5m or 1h")
    return float(found[1]) * _SECONDS[found[2]]
