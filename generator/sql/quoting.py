"""The one place where names and values become SQL text."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_NAME_BYTES = 63

_LINE_BREAK = re.compile(
    # Quoted text, and comments, in which quotes mean nothing; then the line break before a line that is not
    # blank.
    r"""[eE]'(?:[^'\\]|\\.|'')*'|'[^']*'|"[^"]*"|\$(\w*)\$.*?\$\1\$|--[^\n]*|\n(?!\n|$)""",
    re.DOTALL,
)


def quote_identifier(name: str) -> str:
    """A quoted identifier. Raises ValueError for a name that Postgres cannot hold."""
    if not name or "\0" in name or len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"not an identifier of 1 to {MAX_NAME_BYTES} bytes: {name!r}")
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """A string literal that reads the same whatever ``standard_conforming_strings`` says."""
    if "\0" in value:
        raise ValueError("a NUL character cannot be in a string literal")
    quoted = "'" + value.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted


def quote_array(values: Iterable[str]) -> str:
    """A ``text[]`` constructor."""
    return f"ARRAY[{', '.join(quote_literal(value) for value in values)}]::text[]"


def quote_elements(values: Iterable[str]) -> str:
    """The text of an array, as a literal of an array holds it."""
    plain = re.compile("[a-z0-9_]+")
    escaped = (
        value if plain.fullmatch(value) else '"' + re.sub(r'(["\\\\])', r"\\\1", value) + '"'
        for value in values
    )
    return "{" + ",".join(escaped) + "}"


def quote_body(body: str) -> str:
    """A dollar-quoted string whose tag does not occur in it."""
    tag = "$changelane$"
    number = 0
    while tag in body:
        number += 1
        tag = f"$changelane{number}$"
    return f"{tag}{body}{tag}"


def indent(text: str, width: int = 4) -> str:
    """SQL with all lines after the first indented by this many blanks; quoted text stays as it is."""
    if "\n" not in text:
        return text
    return _LINE_BREAK.sub(lambda found: f"\n{' ' * width}" if found[0] == "\n" else found[0], text)
