"""Values as text for a person: on a terminal no character of theirs can act, and names are unambiguous."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

_PLAIN = re.compile(r"[\w$ -]+")


def clean(text: str) -> str:
    """The text, of one or more lines, without characters that change the state of a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)


def clean_line(text: str) -> str:
    """The text on one line, without characters that change the state of a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of aligned columns, cleaned; the last column may be long."""
    cells = [[clean_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in list(zip(*cells, strict=True))[:-1]]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in cells]


def spell_name(name: str) -> str:
    """A name on one line, quoted if necessary."""
    if _PLAIN.fullmatch(name):
        return name
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)
    return '"' + shown.replace('"', '""') + '"'


def spell_names(names: Iterable[str]) -> str:
    """The names on one line, each quoted if necessary."""
    return ", ".join(map(spell_name, names))


@lru_cache(maxsize=1024)
def spell(table: tuple[str, str] | None) -> str:
    """``schema.table`` on one line, without ambiguity; names are quoted if necessary. Empty for None."""
    return ".".join(map(spell_name, table or ()))
