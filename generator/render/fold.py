"""SQL with long lines -> the same SQL, its lines broken where a person would."""

from __future__ import annotations

import re

WIDTH = 110
"""Characters that a line of generated SQL has at most, but for names and literals of the user's."""

_LEAST = 40
"""A break further left leaves a stub."""

_TOKEN = re.compile(
    # What is quoted, and comments, which stay whole; brackets; and places for a break, before or after them.
    r"""(?P<whole>[eE]'(?:[^'\\]|\\.|'')*'|'[^']*'|"[^"]*"|--[^\n]*)|(?P<open>[(\[])|(?P<close>[)\]])"""
    r"|(?P<after>, )|(?P<before> (?:AND|OR|and|or|THEN|ELSE|FROM|WHERE|REFERENCING|FULL JOIN|\|\||\+|SET) )"
    r"|(?P<line>\n)",
    re.DOTALL,
)


def fold(sql: str, *, width: int = WIDTH) -> str:
    """Break each line that is too long, at the outermost place that does, and indent what follows."""
    if all(len(line) <= width for line in sql.split("\n")):
        return sql
    folded = []
    start = 0
    breaks: list[tuple[int, int]] = []
    depth = 0
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "after":
            breaks.append((depth, token.end() - 1 - start))
        elif kind == "before":
            breaks.append((depth, token.start() - start))
        elif kind == "line":
            folded.append(_fold_line(sql[start : token.start()], breaks, width))
            start, breaks = token.end(), []
    folded.append(_fold_line(sql[start:], breaks, width))
    return "\n".join(folded)


def _fold_line(line: str, breaks: list[tuple[int, int]], width: int) -> str:
    """``breaks`` are (depth of brackets, place of the blank) within the line."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    parts = []
    start, room = 0, width
    while len(line) - start > room:
        fitting = [
            (depth, -at) for depth, at in breaks if start + _LEAST <= at <= start + room and at > start
        ] or [(depth, -at) for depth, at in breaks if start < at <= start + room]
        if not fitting:
            break
        at = -min(fitting)[1]
        parts.append(line[start:at])
        start, room = at + 1, width - len(indent)
    parts.append(line[start:])
    return f"\n{indent}".join(parts)
