"""Table names as a spec writes them: exact, in SQL's quotes, or with globs."""

from __future__ import annotations

import re

from changelane.contract.selection import TablePattern

_PART = r'(?:"(?:[^"]|"")+"|[^."\s](?:[^."]*[^."\s])?)'
PATTERN = rf"({_PART})\.({_PART})"
"""The pattern of a table's name, in a dialect that JSON Schema shares."""
EXCEPTION = rf"(?:({_PART})\.)?({_PART})"
"""The pattern of a name under ``except``: without a schema, it means tables of every schema."""


def parse_table(text: str) -> TablePattern:
    """Read ``schema.name``. Raises ValueError for other text; the error's text is the fix."""
    found = re.fullmatch(PATTERN, text)
    if found is None:
        raise ValueError(_advise(text))
    (schema, schema_glob), (name, name_glob) = map(_read_part, found.groups())
    return TablePattern(schema_=schema, name=name, schema_glob=schema_glob, name_glob=name_glob)


def parse_exception(text: str) -> TablePattern:
    """Read ``schema.name`` or ``name``. Raises ValueError for other text; the error's text is the fix."""
    found = re.fullmatch(EXCEPTION, text)
    if found is None:
        raise ValueError("write schema.name, or a name alone for tables of every schema")
    (schema, schema_glob), (name, name_glob) = map(_read_part, (found[1] or "*", found[2]))
    return TablePattern(schema_=schema, name=name, schema_glob=schema_glob, name_glob=name_glob)


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
