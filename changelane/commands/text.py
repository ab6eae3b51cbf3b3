"""Formats values for a terminal: aligned, without control characters."""

from __future__ import annotations

from collections.abc import Sequence


def clean(text: str) -> str:
    """The text without control characters, which could change the state of the terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of aligned columns; the last one may be long."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows]
