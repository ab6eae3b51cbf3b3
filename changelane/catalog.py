"""``catalog.json``: what ``inspect`` saw of a live schema and the generator may know of it.

Holds facts on tables only: no server, no database name, no OID, so that it is the same on every machine
whose schema is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from changelane.errors import ManifestError

FORMAT_VERSION = 1

TableKind = Literal["table", "partitioned", "hypertable", "foreign", "view", "materialized view"]


class Record(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Column(Record):
    """A column in table order.

    ``type`` is what ``format_type`` says; ``atoms`` are the base types (by their catalog names) that it is
    made of, through domains, arrays, composites and ranges, so that the session settings which its text
    depends on are known. ``generated`` is ``stored``, ``virtual`` or empty. ``nullable`` is whether the
    column, not its type, admits null.
    """

    name: str
    type: str
    atoms: tuple[str, ...] = ()
    generated: Literal["", "stored", "virtual"] = ""
    nullable: bool = True


class Table(Record):
    """A relation that a spec may name. ``primary_key`` is empty where there is none.

    ``partition_of`` and ``inherits`` hold ``[schema, name]`` of parents; ``inherited_by`` of direct children
    that are not partitions.
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

    @property
    def identity(self) -> tuple[str, str]:
        return (self.schema_, self.name)

    def __str__(self) -> str:
        return f"{self.schema_}.{self.name}"


class Catalog(Record):
    format_version: Literal[1] = 1
    tables: tuple[Table, ...] = ()

    def dump(self) -> str:
        """The file's text: sorted by schema and name, one fact a line, byte-identical for the same schema."""
        ordered = Catalog(tables=tuple(sorted(self.tables, key=lambda table: table.identity)))
        return ordered.model_dump_json(by_alias=True, indent=1, exclude_defaults=False) + "\n"


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
