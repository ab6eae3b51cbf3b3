"""Values on a terminal: aligned, and unable to play with it."""

from __future__ import annotations

from collections.abc import Sequence


def clean(text: str) -> str:
    """Without the control characters by which a value could play with the terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of aligned columns; the last one may be long."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows]
