"""Captured tables as Python: a TypedDict for the rows that each table's messages hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path

from changelane.contract.catalog import ARRAY, Catalog, Column, Table
from changelane.generator.capture.capture import Capture
from changelane.generator.check import resolve_spec
from changelane.generator.sql.column_types import is_enum

_HEAD = '''"""Rows of captured tables, as handlers get them. Written by `changelane models`: do not edit."""

from __future__ import annotations

'''
_IMPORTS = {
    "dt.": "import datetime as dt",
    "Decimal": "from decimal import Decimal",
    "Any": "from typing import Any, NotRequired",
    "NotRequired": "from typing import Any, NotRequired",
    "UUID": "from uuid import UUID",
}
_TYPES = {
    **dict.fromkeys(("smallint", "integer", "bigint", "oid"), "int"),
    **dict.fromkeys(("real", "double precision"), "float"),
    **dict.fromkeys(("json", "jsonb"), "Any"),
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), "dt.datetime"),
    "boolean": "bool",
    "numeric": "Decimal",
    "date": "dt.date",
    "time without time zone": "dt.time",
    "uuid": "UUID",
}
"""Built-in types by their names; JSON holds all others as text."""

_TAKEN = frozenset(
    {"Any", "Decimal", "NotRequired", "TypedDict", "UUID", "bool", "dt", "float", "int", "list", "str"}
)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: str

    @property
    def plain(self) -> bool:
        """Whether it can stand in a class body: an identifier that hides no type and is not mangled."""
        usable = self.name.isidentifier() and not iskeyword(self.name) and not self.name.startswith("__")
        return usable and self.name not in _TAKEN


def render_models(path: Path, catalog: Catalog) -> str:
    """The module's text, for the routes of the spec at ``path``; the same for the same spec and catalog.

    A column that only some routes on a table send is NotRequired. Raises SpecError for a spec with mistakes.
    """
    captures: dict[tuple[str, str], list[Capture]] = {}
    for capture in resolve_spec(path, catalog):
        if capture.event != "truncate":
            captures.setdefault(capture.declared, []).append(capture)
    tables = [table for table in sorted(catalog.tables, key=lambda table: table.identity)
              if table.identity in captures]  # fmt: skip
    names = _name_classes(tables)
    body = "".join(
        _render_class(names[table.identity], table, list(_list_fields(table, captures[table.identity])))
        for table in tables
    )
    lines = {line for mark, line in _IMPORTS.items() if mark in body}
    ordered = sorted(lines, key=lambda line: (line.startswith("from"), line))
    third = "from typing_extensions import TypedDict\n"
    return _HEAD + "".join(f"{line}\n" for line in ordered) + ("\n" if ordered else "") + third + body


def _list_fields(table: Table, captures: Sequence[Capture]) -> Iterator[_Field]:
    for column in table.columns:
        senders = [capture for capture in captures if _sends(capture, column.name)]
        if not senders:
            continue
        masks = {capture.mask.get(column.name) for capture in senders}
        types = {_choose_type(column) if mask is None else "str" for mask in masks}
        if column.nullable and masks != {"redact"} and "Any" not in types:
            types.add("None")
        text = "Any" if "Any" in types else " | ".join(sorted(types, key=lambda name: (name == "None", name)))
        yield _Field(column.name, text if len(senders) == len(captures) else f"NotRequired[{text}]")


def _sends(capture: Capture, name: str) -> bool:
    return name in capture.columns if capture.columns is not None else name not in capture.virtual


def _choose_type(column: Column) -> str:
    if column.type.endswith("[]"):
        # Of any depth, which no declaration says.
        return "list[Any]"
    if "." in column.type or '"' in column.type:
        # A domain, a composite, a range: JSON may hold anything, except for enums, whose labels are text.
        return "str" if is_enum(column) and ARRAY not in column.atoms else "Any"
    return _TYPES.get(re.sub(r"\([^)]*\)", "", column.type), "str")


def _name_classes(tables: Sequence[Table]) -> dict[tuple[str, str], str]:
    """``orders`` is OrdersRow; where two tables would share that, each has its schema before it."""
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    short = [_camel(table.name) for table in tables]
    counts = Counter(short)
    for table, name in zip(tables, short, strict=True):
        wanted = name if counts[name] == 1 else _camel(table.schema_) + name
        number = 1
        unique = f"{wanted}Row"
        while unique in taken:
            number += 1
            unique = f"{wanted}Row{number}"
        names[table.identity] = unique
        taken.add(unique)
    return names


def _camel(text: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words) or "Table"
    return name if name[0].isalpha() else f"Table{name}"


def _render_class(name: str, table: Table, fields: Sequence[_Field]) -> str:
    title = f"{table.schema_}.{table.name}"
    if all(field.plain for field in fields):
        lines = [f"    {field.name}: {field.type}" for field in fields]
        return "\n".join(["", "", f"class {name}(TypedDict):", f"    {_document(title)}", "", *lines, ""])
    # Names that a class body cannot hold.
    lines = [f"        {json.dumps(field.name)}: {field.type}," for field in fields]
    head = f"{name} = TypedDict(\n    {json.dumps(name)},\n    {{"
    return "\n".join(["", "", head, *lines, "    },", ")", _document(title), ""])


def _document(title: str) -> str:
    shown = title.encode("unicode_escape").decode().replace('"', "'")
    return f'"""A row of {shown}."""'
