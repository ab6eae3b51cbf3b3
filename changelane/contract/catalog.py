"""``catalog.json``: the facts on a live schema that ``inspect`` saw and the generator may use.

It describes tables and their column types. It names no server, no database and no OID, so it is the same on
every machine that has the same schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from changelane.contract.missing import describe_missing, suggest_folder
from changelane.contract.record import Record
from changelane.errors import ManifestError

FORMAT_VERSION = 1

ARRAY = "array"
"""Stands among a column's ``atoms`` when its type is an array or contains one."""

TableKind = Literal["table", "partitioned", "hypertable", "foreign", "view", "materialized view"]


class Column(Record):
    """A column, in table order.

    ``type`` is the output of ``format_type``. ``atoms`` are the base types, by their catalog names, inside
    its domains, arrays, composites and ranges. They tell which session settings change the column's text;
    ``ARRAY`` stands for an array among them. ``generated`` is ``stored``, ``virtual`` or empty. ``nullable``
    says whether the column accepts null, whatever its type says.
    """

    name: str
    type: str
    atoms: tuple[str, ...] = ()
    generated: Literal["", "stored", "virtual"] = ""
    nullable: bool = True


class Trigger(Record):
    """A trigger that Changelane did not make, or the action of a foreign key that refers to the table.

    ``events`` are insert, update, delete, truncate. ``deferrable`` is ``deferred`` when the trigger waits for
    the commit by default. For a foreign key's action, ``changes`` is the ``[schema, name]`` of the table
    whose rows it changes, and ``name`` is the constraint's.
    """

    name: str
    timing: Literal["before", "after"]
    level: Literal["row", "statement"]
    events: tuple[Literal["insert", "update", "delete", "truncate"], ...]
    enabled: Literal["origin", "always", "replica", "disabled"] = "origin"
    deferrable: Literal["", "immediate", "deferred"] = ""
    changes: tuple[str, str] | None = None


class Table(Record):
    """A relation that a spec may name. ``primary_key`` is empty when the relation has none.

    ``partition_of`` and ``inherits`` hold ``[schema, name]`` of the parents. ``inherited_by`` holds those of
    direct children that are not partitions. The ``triggers`` of a partitioned table include its partitions'.
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
    """A type outside ``pg_catalog`` that a column contains, or that an operator on such a type takes.

    ``of`` is the type under a domain or a range. ``category`` and ``preferred`` are as in ``pg_type``.
    ``fields`` are the names and types of a composite. Types are named as in ``Operator``.
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
    """An operator outside ``pg_catalog`` on such types or on built-in ones. A prefix operator has one
    argument.

    A type has its name from ``pg_type``. Outside ``pg_catalog``, the schema and a dot precede it. ``[]``
    after the name makes it the array type.
    """

    schema_: str = Field(alias="schema")
    name: str
    arguments: tuple[str, ...]
    result: str


class Function(Record):
    """A function outside ``pg_catalog`` on such types, or one whose name ``pg_catalog`` has too.

    ``variadic``: the last argument may be repeated. ``defaults``: how many of the last ones may be omitted.
    """

    schema_: str = Field(alias="schema")
    name: str
    arguments: tuple[str, ...]
    result: str
    variadic: bool = False
    defaults: int = 0


class Unlisted(Record):
    """Names of operators and functions outside ``pg_catalog`` whose argument types no column has."""

    operators: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


_OVER_TYPES = ("search_path", "types", "casts", "operators", "functions", "unlisted")


class Catalog(Record):
    """``search_path`` lists the schemas in which ordinary sessions of the tables' owners look names up."""

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
        # Most schemas hold only tables, so the other keys are left out when empty.
        empty = {name for name in _OVER_TYPES if getattr(self, name) == type(self).model_fields[name].default}
        return ordered.model_dump_json(by_alias=True, indent=1, exclude=empty) + "\n"


def load_catalog(path: Path) -> Catalog:
    """Read ``catalog.json``. Raises ManifestError when it is missing or has another version."""
    try:
        return Catalog.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ManifestError(
            describe_missing(path), fix=suggest_folder(path, fix="run `changelane inspect` to write it")
        ) from None
    except ValidationError as error:
        raise ManifestError(
            f"{path} is not a catalog of format {FORMAT_VERSION}: {error.errors()[0]['msg']}",
            fix="run `changelane inspect` to write it anew",
        ) from None
