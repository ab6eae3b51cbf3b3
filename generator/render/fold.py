"""SQL with long lines -> the same SQL, its lines broken where a person would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pglast.parser import scan

from changelane.generator.sql.quoting import quote_literal

WIDTH = 110
"""The maximum length of a line of generated SQL, except for names and literals of the user."""

_LEAST = 40
"""A break further left leaves a stub."""

_BEFORE = frozenset(["AND", "OR", "THEN", "ELSE", "FROM", "WHERE", "REFERENCING", "FULL", "SET", "||", "+"])
"""Tokens before which a line is best broken, as after a comma."""

_CLAUSES = frozenset(["AS", "FOR", "IN", "JOIN", "LANGUAGE", "ON", "RETURNS", "TO", "USING", "WITH"])
"""Tokens before which it is broken next. What remains is any blank between two tokens."""

_ENDS_LITERAL_OR_COMMENT = re.compile(r"(?:'|\*/)\Z")
"""A literal on the line after a literal would continue it; a comment stays with what it explains."""

_TAG = re.compile(r"\$\w*\$")

_Break = tuple[int, int, int]
"""Rank, depth of brackets, and the place of the blank: the lowest rank and depth are the best."""


def fold(sql: str, *, width: int = WIDTH) -> str:
    """Break each line that is too long, at the outermost place that makes it fit, and indent the rest.

    Postgres' own scanner says where a token ends: no literal, name or comment is ever broken. The body of a
    function or of ``DO`` is SQL too, though it stands in dollar quotes.
    """
    if all(len(line) <= width for line in sql.split("\n")):
        return sql
    breaks = list(_find_breaks(sql))
    folded = []
    start = passed = 0
    for line in sql.split("\n"):
        stop = start + len(line)
        first = passed
        while passed < len(breaks) and breaks[passed][2] < stop:
            passed += 1
        inside = ((rank, depth, at - start) for rank, depth, at in breaks[first:passed])
        folded.append(_fold_line(line, inside, width) if len(line) > width else line)
        start = stop + 1
    return "\n".join(folded)


def _find_breaks(sql: str, base: int = 0) -> Iterator[_Break]:
    """The single blanks between tokens, in the order of the text; ``base`` is where ``sql`` begins in it."""
    end = depth = 0
    before = ""
    for token in scan(sql):
        text = sql[token.start : token.end + 1]
        word = text.upper()
        if sql[end : token.start] == " " and end:
            if before == "," or word in _BEFORE:
                yield 0, depth, base + end
            elif word in _CLAUSES:
                yield 1, depth, base + end
            elif not (_ENDS_LITERAL_OR_COMMENT.search(before) or word.startswith(("/*", "--"))):
                yield 2, depth, base + end
        if before in ("AS", "DO") and (tag := _TAG.match(text)):
            yield from _find_breaks(text[tag.end() : -tag.end()], base + token.start + tag.end())
        depth += (text in ("(", "[")) - (text in (")", "]"))
        before, end = word, token.end + 1


def _fold_line(line: str, breaks: Iterable[_Break], width: int) -> str:
    """``breaks`` are those within the line, counted from its start."""
    breaks = list(breaks)
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    parts = []
    start, room = 0, width
    while len(line) - start > room:
        left = [found for found in breaks if found[2] > start]
        fitting = [(rank, at < start + _LEAST, depth, -at) for rank, depth, at in left if at <= start + room]
        if fitting:
            at = -min(fitting)[-1]
        elif left:
            at = left[0][2]
        else:
            break
        parts.append(line[start:at])
        start, room = at + 1, width - len(indent)
    parts.append(line[start:])
    return f"\n{indent}".join(parts)


def quote_lines(value: str, margin: int, end: int = 1) -> str:
    """A literal over as many lines as it takes, each after ``margin`` blanks and with room for ``end`` more
    characters. Postgres joins literals that only a line break divides.
    """
    lines = [""]
    for part in re.findall(r"[^ ,]+[ ,]*|[ ,]+", value):
        if lines[-1] and len(quote_literal(lines[-1] + part)) > WIDTH - margin - end:
            lines.append("")
        lines[-1] += part
    return f"\n{' ' * margin}".join(map(quote_literal, lines))
