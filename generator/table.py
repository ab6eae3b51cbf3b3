"""Table names as a spec writes them: exact, in SQL's quotes, or with globs."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PART = r'(?:"(?:[^"]|"")+"|[^."\s](?:[^."]*[^."\s])?)'
PATTERN = rf"({_PART})\.({_PART})"
"""The shape of a table's name, in a dialect that JSON Schema shares."""


@dataclass(frozen=True, slots=True)
class TablePattern:
    """Schema and name without quotes; where ``schema_glob`` or ``name_glob``, ``*`` and ``?`` stand for any
    characters and for one.
    """

    schema: str
    name: str
    schema_glob: bool = False
    name_glob: bool = False

    @property
    def is_glob(self) -> bool:
        return self.schema_glob or self.name_glob

    def matches(self, schema: str, name: str) -> bool:
        """Whether a table of the catalog is meant."""
        return _match(schema, self.schema, glob=self.schema_glob) and _match(
            name, self.name, glob=self.name_glob
        )


def parse_table(text: str) -> TablePattern:
    """Read ``schema.name``. Raises ValueError, its text the help, where ``text`` is not one."""
    found = re.fullmatch(PATTERN, text)
    if found is None:
        raise ValueError(_advise(text))
    (schema, schema_glob), (name, name_glob) = map(_read_part, found.groups())
    return TablePattern(schema, name, schema_glob=schema_glob, name_glob=name_glob)


def _advise(text: str) -> str:
    if text and not re.search(r'[."\s]', text):
        return f"write public.{text}"
    if text.count(".") > 1 and '"' not in text:
        return 'write schema.name; a name that holds a dot needs double quotes: public."a.b"'
    return "write schema.name, as in public.orders"


def _read_part(part: str) -> tuple[str, bool]:
    if part.startswith('"'):
        return part[1:-1].replace('""', '"'), False
    return part, "*" in part or "?" in part


def _match(text: str, pattern: str, *, glob: bool) -> bool:
    """Greedy with one step back to the last ``*``, so that no pattern costs more than their product."""
    if not glob:
        return text == pattern
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            place, at = place + 1, at + 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return pattern[place:].strip("*") == ""
