"""SQL with long lines -> the same SQL, its lines broken where a person would."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from changelane.generator.sql.quoting import quote_literal

WIDTH = 110
"""The maximum length of a line of generated SQL, except for names and literals of the user."""

_LEAST = 40
"""A break further left leaves a stub."""

# Letters are all characters beyond ASCII, too. Sets that leave out the others compile in a tenth of the time.
_FIRST = r"[^\x00-@\[-^`{-\x7f]"
_LETTER = r"[^\x00-/:-@\[-^`{-\x7f]"
_LATER = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
_SIGN = r"[\x00-\x08\x0e-\x1f!\#%&*-,.:-@\\^`{-\x7f]"
_WORD_END = rf"(?!{_LATER})"
_TOKENS = re.compile(
    rf"""
    (?: [eE]'(?:[^'\\]|\\.|'')*' | {_FIRST}{_LATER}* | \d | "[^"]*" | '[^']*'
        | --[^\n]* | /\*.*?\*/ | {_SIGN} | -(?!-) | /(?!\*) | \n\s* )*+
    (?: (?P<open>[(\[]) | (?P<close>[)\]])
        # The best blank to break at: after a comma, or before one of these.
        | (?P<best>(?<=,)[ ](?=\S) | (?<=\S)[ ](?=
            (?i:AND|OR|THEN|ELSE|FROM|WHERE|REFERENCING|FULL|SET){_WORD_END}
            | (?:\|\||\+)(?![-+*/<>=~!@\#%^&|`?])))
        # The next best. What remains is any blank between two tokens.
        | (?P<next>(?<=\S)[ ](?=(?i:AS|FOR|IN|JOIN|LANGUAGE|ON|RETURNS|TO|USING|WITH){_WORD_END}))
        # A literal on the line after a literal would continue it; a comment stays with what it explains.
        | (?P<last>(?<=\S)(?<!')(?<!\*/)[ ](?=\S)(?!/\*|--))
        | (?P<quoted>(?P<body>(?<=\b(?i:AS|DO)\s))?(?P<tag>\$(?:{_FIRST}{_LETTER}*)?\$).*?(?P=tag))
        | . | \Z )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_RANKS = {"best": 0, "next": 1, "last": 2}

_Break = tuple[int, int, int]
"""Rank, depth of brackets, and the place of the blank: the lowest rank and depth are the best."""


def fold(sql: str, *, width: int = WIDTH) -> str:
    """Break each line that is too long, at the outermost place that makes it fit, and indent the rest.

    No literal, name or comment is ever broken. The body of a function or of ``DO`` is SQL too, though it
    stands in dollar quotes.
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
    depth = 0
    for found in _TOKENS.finditer(sql):
        kind = found.lastgroup
        if kind in _RANKS:
            yield _RANKS[kind], depth, base + found.end() - 1
        elif kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "quoted" and found["body"] is not None:
            tag = len(found["tag"])
            yield from _find_breaks(found[kind][tag:-tag], base + found.start(kind) + tag)


def _fold_line(line: str, breaks: Iterable[_Break], width: int) -> str:
    """``breaks`` are those within the line, counted from its start."""
    breaks = list(breaks)
    places = [at for _, _, at in breaks]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    parts = []
    start, room = 0, width
    while len(line) - start > room:
        first, beyond = bisect_right(places, start), bisect_right(places, start + room)
        fitting = [(rank, at < start + _LEAST, depth, -at) for rank, depth, at in breaks[first:beyond]]
        if fitting:
            at = -min(fitting)[-1]
        elif first < len(places):
            at = places[first]
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
