"""What each column type requires of the function that captures it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from changelane.contract.catalog import ARRAY, Column, Table
from changelane.generator.sql.quoting import quote_identifier

_BOUNDED = {
    *("bool", "char", "name", "oid", "tid", "xid", "xid8", "pg_lsn", "uuid", "enum"),
    *("int2", "int4", "int8", "float4", "float8", "numeric", "money"),
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
    *("inet", "cidr", "macaddr", "macaddr8", "point", "line", "lseg", "box", "circle"),
}


_LONG = {
    "numeric",
    *("regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper"),
    *("regoperator", "regproc", "regprocedure", "regrole", "regtype"),
}
"""Types whose stored values take a few bytes and are long as text: 10 bytes may be a number of 131,072
digits.
"""

Growth = Literal["bounded", "plain", "array", "long"]
"""How large the JSON of a value may get, compared with its stored size, which may be compressed 255 times.
plain: up to eight times as large (varbit). array: a null takes a bit as stored, four bytes as jsonb. long:
elements are of types such as numeric. bounded: no value is large.
"""


def classify_growth(column: Column) -> Growth:
    """How large the JSON of the column's values may get."""
    atoms = set(column.atoms)
    if atoms and atoms <= _BOUNDED and not column.type.endswith("]"):
        return "bounded"
    if atoms & _LONG and len(atoms) > 1:
        return "long"
    return "array" if ARRAY in atoms or column.type.endswith("]") else "plain"


def write_null(type: str) -> str:
    """SQL of a null of the type. A domain may forbid null, so a cast of null to it would fail. The missing
    element of a null array has the domain's type and is not checked.
    """
    return f"(NULL::{type}[])[1]" if "." in type and not type.endswith("]") else f"NULL::{type}"


def choose_fallback(column: Column) -> str:
    """A type that stands in for a column's own after the column was dropped, perhaps with its type."""
    if "." not in column.type:
        return column.type
    return "text[]" if is_enum(column) and column.type.endswith("]") else "text"


def is_enum(column: Column) -> bool:
    """Whether the column is an enum, or an array of one."""
    return set(column.atoms) - {ARRAY} == {"enum"}


def choose_stand_in(column: Column) -> str:
    """The built-in type that is nearest to the column's own, whose name may be gone."""
    if "." not in column.type:
        return column.type
    # The base type of a domain. No built-in type is near a composite.
    atoms = [atom for atom in column.atoms if atom != ARRAY]
    known = len(atoms) == 1 and "." not in atoms[0] and atoms[0] != "enum"
    name = f"pg_catalog.{quote_identifier(atoms[0])}" if known else "text"
    return f"{name}[]" if column.type.endswith("]") or ARRAY in column.atoms else name


_TEXT_DEPENDS_ON = {
    "bytea": ("bytea_output",),
    "interval": ("IntervalStyle",),
    "timestamptz": ("TimeZone",),
    "tstzrange": ("DateStyle",),
    "tstzmultirange": ("DateStyle",),
    "tsrange": ("DateStyle",),
    "tsmultirange": ("DateStyle",),
    "daterange": ("DateStyle",),
    "datemultirange": ("DateStyle",),
    "money": ("lc_monetary",),
    **dict.fromkeys(
        [
            *("regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper"),
            *("regoperator", "regproc", "regprocedure", "regrole", "regtype"),
        ],
        ("quote_all_identifiers",),
    ),
    **dict.fromkeys(
        ("float4", "float8", "point", "line", "lseg", "box", "path", "polygon", "circle"),
        ("extra_float_digits",),
    ),
}
_ANY = ("DateStyle", "IntervalStyle", "TimeZone", "bytea_output", "extra_float_digits")
_INDEPENDENT = frozenset({"citext", "hstore", "ltree"})
"""Types of Postgres' contrib modules whose text no setting changes."""
PINNED = {
    "DateStyle": "'ISO, MDY'",
    "IntervalStyle": "'postgres'",
    "TimeZone": "'UTC'",
    "bytea_output": "'hex'",
    "extra_float_digits": "1",
    "lc_monetary": "'C'",
    "quote_all_identifiers": "'off'",
}


_DATES = frozenset({"date", "timestamp", "timestamptz"})
"""Their JSON ignores DateStyle. Their text follows it, and so does text that is read as one of them."""


def choose_settings(table: Table, *, seen: Collection[str], swayed: bool) -> tuple[tuple[str, str], ...]:
    """The settings that the function pins, because a column's text would follow the writer's session
    otherwise.

    ``seen`` are the columns that expressions read. ``swayed``: an expression may depend on any setting. Each
    setting costs up to two microseconds a call. So only those that the column types need are pinned, and the
    time zone for the time of capture. The text of a type that is not built in may depend on any setting.
    """
    needed = {"TimeZone", *(_ANY if swayed else ())}
    for column in table.columns:
        if column.name in seen and _DATES.intersection(column.atoms):
            needed.add("DateStyle")
        for atom in column.atoms:
            schema, _, name = atom.rpartition(".")
            needed.update(_ANY if schema and name not in _INDEPENDENT else _TEXT_DEPENDS_ON.get(name, ()))
    return (("search_path", "pg_catalog, pg_temp"), *((name, PINNED[name]) for name in sorted(needed)))
