"""SQL with long lines -> the same SQL, its lines broken where a person would."""

from __future__ import annotations

from pglast.parser import scan

WIDTH = 110
"""The maximum length of a line of generated SQL, except for names and literals of the user."""

_LEAST = 40
"""A break further left leaves a stub."""

_BEFORE = frozenset(["AND", "OR", "THEN", "ELSE", "FROM", "WHERE", "REFERENCING", "FULL", "SET", "||", "+"])
"""Tokens before which a line may be broken."""


def fold(sql: str, *, width: int = WIDTH) -> str:
    """Break each line that is too long, at the outermost place that makes it fit, and indent the rest.

    Postgres' own scanner says where a token ends: no literal, name or comment is ever broken.
    """
    if all(len(line) <= width for line in sql.split("\n")):
        return sql
    folded = []
    start = end = depth = 0
    breaks: list[tuple[int, int]] = []
    comma = False
    for token in scan(sql):
        text = sql[token.start : token.end + 1]
        gap = sql[end : token.start]
        while "\n" in gap:
            stop = end + gap.index("\n")
            folded.append(_fold_line(sql[start:stop], breaks, width))
            start = end = stop + 1
            gap, breaks = sql[end : token.start], []
        if gap == " " and (comma or text.upper() in _BEFORE):
            breaks.append((depth, end - start))
        depth += (text in ("(", "[")) - (text in (")", "]"))
        comma, end = text == ",", token.end + 1
    for line in sql[start:].split("\n") if "\n" in sql[end:] else [sql[start:]]:
        folded.append(_fold_line(line, breaks, width))
        breaks = []
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
