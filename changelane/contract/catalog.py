"""``catalog.json``: what ``inspect`` saw of a live schema and the generator may know of it.

Holds facts on tables and the types of their columns: no server, no database name, no OID, so that it is the
same on every machine whose schema is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from changelane.errors import ManifestError

FORMAT_VERSION = 1

ARRAY = "array"
"""Among a column's atoms: its type is or holds an array."""

TableKind = Literal["table", "partitioned", "hypertable", "foreign", "view", "materialized view"]


class Record(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Column(Record):
    """A column in table order.

    ``type`` is what ``format_type`` says; ``atoms`` are the base types (by their catalog names) that it is
    made of, through domains, arrays, composites and ranges, so that the session settings which its text
    depends on are known; ``ARRAY`` is among them where it holds an array. ``generated`` is ``stored``,
    ``virtual`` or empty. ``nullable`` is whether the column, not its type, admits null.
    """

    name: str
    type: str
    atoms: tuple[str, ...] = ()
    generated: Literal["", "stored", "virtual"] = ""
    nullable: bool = True


class Trigger(Record):
    """A trigger on a table that Changelane did not make, or the action of a foreign key that refers to it.

    ``events`` are insert, update, delete, truncate. ``deferrable`` is ``deferred`` where it waits for the
    commit unless told otherwise. ``changes`` is the table, as ``[schema, name]``, whose rows the action of a
    foreign key changes; ``name`` is the constraint's then.
    """

    name: str
    timing: Literal["before", "after"]
    level: Literal["row", "statement"]
    events: tuple[Literal["insert", "update", "delete", "truncate"], ...]
    enabled: Literal["origin", "always", "replica", "disabled"] = "origin"
    deferrable: Literal["", "immediate", "deferred"] = ""
    changes: tuple[str, str] | None = None


class Table(Record):
    """A relation that a spec may name. ``primary_key`` is empty where there is none.

    ``partition_of`` and ``inherits`` hold ``[schema, name]`` of parents; ``inherited_by`` of direct children
    that are not partitions. ``triggers`` of a partitioned table include those of its partitions.
    """

    schema_: str = Field(alias="schema")
    name: str
    kind: TableKind = "table"
    persistence: Literal["permanent", "unlogged", "temporary"] = "permanent"
    partition_of: tuple[str, str] | None = None
    inherits: tuple[tuple[str, str], ...] = ()
    inherited_by: tuple[tuple[str, str], ...] = ()
    primary_key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    triggers: tuple[Trigger, ...] = ()

    @property
    def identity(self) -> tuple[str, str]:
        return (self.schema_, self.name)

    def __str__(self) -> str:
        return f"{self.schema_}.{self.name}"


class Type(Record):
    """A type outside ``pg_catalog`` that a column is made of, or that an operator of such a type asks for.

    ``of`` is the type that a domain or a range is over. ``category`` and ``preferred`` are as in ``pg_type``;
    ``fields`` are names and types of a composite. Types are named as in ``Operator``.
    """

    schema_: str = Field(alias="schema")
    name: str
    kind: Literal["base", "domain", "enum", "composite", "range", "multirange"] = "base"
    of: str = ""
    category: str = "U"
    preferred: bool = False
    fields: tuple[tuple[str, str], ...] = ()


class Cast(Record):
    """An implicit cast from or to such a type."""

    source: str
    target: str


class Operator(Record):
    """An operator outside ``pg_catalog`` over such types or built-in ones. A prefix one has one argument.

    A type is named as ``pg_type`` names it, with its schema and a dot before it outside ``pg_catalog``, and
    ``[]`` behind it where it is the array of it.
    """

    schema_: str = Field(alias="schema")
    name: str
    arguments: tuple[str, ...]
    result: str


class Function(Record):
    """A function outside ``pg_catalog`` over such types, or with a name that ``pg_catalog`` has, too.

    ``variadic``: its last argument may be repeated; ``defaults``: how many of the last may be left out.
    """

    schema_: str = Field(alias="schema")
    name: str
    arguments: tuple[str, ...]
    result: str
    variadic: bool = False
    defaults: int = 0


class Unlisted(Record):
    """Names of operators and functions outside ``pg_catalog`` that are over types which no column has."""

    operators: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


_OVER_TYPES = ("search_path", "types", "casts", "operators", "functions", "unlisted")


class Catalog(Record):
    """``search_path`` are the schemas in which the ordinary sessions of all tables' owners look names up."""

    format_version: Literal[1] = 1
    tables: tuple[Table, ...] = ()
    search_path: tuple[str, ...] = ()
    types: tuple[Type, ...] = ()
    casts: tuple[Cast, ...] = ()
    operators: tuple[Operator, ...] = ()
    functions: tuple[Function, ...] = ()
    unlisted: Unlisted = Unlisted()

    def dump(self) -> str:
        """The file's text: sorted by schema and name, one fact a line, byte-identical for the same schema."""
        tables = tuple(sorted(self.tables, key=lambda table: table.identity))
        ordered = self.model_copy(update={"tables": tables})
        # Most schemas have tables only.
        empty = {name for name in _OVER_TYPES if getattr(self, name) == type(self).model_fields[name].default}
        return ordered.model_dump_json(by_alias=True, indent=1, exclude=empty) + "\n"


def load_catalog(path: Path) -> Catalog:
    """Read ``catalog.json``; raises ManifestError when it is missing or not of this version."""
    try:
        return Catalog.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ManifestError(f"{path} does not exist", help="run `changelane inspect` to write it") from None
    except ValidationError as error:
        raise ManifestError(
            f"{path} is not a catalog of format {FORMAT_VERSION}: {error.errors()[0]['msg']}",
            help="run `changelane inspect` to write it anew",
        ) from None
