"""What a column's type asks of the function that captures it."""

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
"""Types whose values take a few bytes and are long as text: a number of 10 bytes may have 131,072 digits."""

Growth = Literal["bounded", "plain", "array", "long"]
"""How the JSON of a value follows what it takes as stored, which may be compressed 255 times. plain:
up to eight times as much (varbit). array: a null takes a bit as stored, four bytes as jsonb. long: elements
are of types such as numeric. bounded: no value is large.
"""


def classify_growth(column: Column) -> Growth:
    """How large the JSON of the column's values may be."""
    atoms = set(column.atoms)
    if atoms and atoms <= _BOUNDED and not column.type.endswith("]"):
        return "bounded"
    if atoms & _LONG and len(atoms) > 1:
        return "long"
    return "array" if ARRAY in atoms or column.type.endswith("]") else "plain"


def write_null(type: str) -> str:
    """SQL of a null of the type. The cast of a null to a domain fails where the domain forbids null, and the
    missing element of a null array is of the domain and is not checked.
    """
    return f"(NULL::{type}[])[1]" if "." in type and not type.endswith("]") else f"NULL::{type}"


def choose_fallback(column: Column) -> str:
    """A type that stands in for a column's own once the column is gone, its type perhaps with it."""
    if "." not in column.type:
        return column.type
    return "text[]" if is_enum(column) and column.type.endswith("]") else "text"


def is_enum(column: Column) -> bool:
    """Whether it is an enum, or an array of one."""
    return set(column.atoms) - {ARRAY} == {"enum"}


def choose_stand_in(column: Column) -> str:
    """A built-in type that comes nearest to the column's own, whose name may mean nothing any more."""
    if "." not in column.type:
        return column.type
    # What a domain is over; of a composite nothing built-in comes near.
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
"""Types of Postgres' contrib whose text no setting changes."""
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
"""Their JSON follows no DateStyle, but their text does, and what is read as one of them."""


def choose_settings(table: Table, *, seen: Collection[str], swayed: bool) -> tuple[tuple[str, str], ...]:
    """The settings that the function pins, each because a column's text would follow the writer's session.

    ``seen`` are the columns that expressions see; ``swayed`` that one of these may follow any setting.
    Each costs up to two microseconds a call, so only those that the column types need, and the zone of the
    time of capture. The text of a type that is not built in may depend on any.
    """
    needed = {"TimeZone", *(_ANY if swayed else ())}
    for column in table.columns:
        if column.name in seen and _DATES.intersection(column.atoms):
            needed.add("DateStyle")
        for atom in column.atoms:
            schema, _, name = atom.rpartition(".")
            needed.update(_ANY if schema and name not in _INDEPENDENT else _TEXT_DEPENDS_ON.get(name, ()))
    return (("search_path", "pg_catalog, pg_temp"), *((name, PINNED[name]) for name in sorted(needed)))
