"""One route on one table for one event, resolved against the catalog."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from changelane.contract.catalog import Column, Table
from changelane.contract.manifest import Event, Level
from changelane.contract.marker import hash_place
from changelane.generator.sql.column_types import (
    Growth,
    choose_fallback,
    choose_settings,
    choose_stand_in,
    classify_growth,
    is_enum,
    write_null,
)
from changelane.generator.sql.expression import Expression, Reference
from changelane.generator.sql.quoting import quote_identifier, quote_literal

CapturedEvent = Event | Literal["snapshot"]
"""The operations of a message. A snapshot is of a row that was there before."""

_SIDES = {
    "snapshot": ("new",),
    "insert": ("new",),
    "update": ("old", "new"),
    "delete": ("old",),
    "truncate": (),
}


@dataclass(frozen=True, kw_only=True)
class Capture:
    """The work of a capture function, resolved against the catalog.

    ``declared`` is the table that messages name; ``table`` is the one that carries the trigger. ``columns``
    None means the whole row, whatever columns it has then, except the ``virtual`` ones, which triggers see as
    null. ``unchanged``: updates that change nothing are sent too. ``delay`` is in seconds. ``max_bytes``
    limits a message as jsonb. ``prefix`` makes the trigger's name sort before others. ``grouped``: a consumer
    keeps the order of keys or merges their changes. ``halved``: an update that changes the key is sent to
    both keys. ``waking`` are the queues whose workers may sleep. ``owner`` is the role that will own the
    function; None: the role that applies.
    """

    project: str
    route: str
    declared: tuple[str, str]
    table: Table
    event: CapturedEvent
    level: Level
    reason: str
    prefix: str
    fire: Literal["origin", "always", "replica"]
    queues: tuple[str, ...]
    update_of: tuple[str, ...]
    when: Expression | None
    columns: tuple[str, ...] | None
    virtual: tuple[str, ...]
    old: Literal["full", "changed", "none"]
    key: tuple[str, ...]
    delay: int
    send: Literal["pgmq", "inline"] = "pgmq"
    mask: Mapping[str, Literal["sha256", "redact"]] = field(default_factory=dict)
    extra: Mapping[str, Expression] = field(default_factory=dict)
    max_bytes: int | None = None
    unchanged: bool = False
    grouped: bool = False
    halved: bool = False
    waking: tuple[str, ...] = ()
    owner: str | None = None

    @cached_property
    def name(self) -> str:
        """The function's name: readable, and unique to project, table, route and event."""
        schema, table = self.table.identity
        place = hash_place(project=self.project, schema=schema, table=table)
        return f"{self.route}_{self.event}_{place}"

    @property
    def trigger(self) -> str:
        """The trigger's name."""
        return self.prefix + self.name

    @property
    def names_row(self) -> bool:
        """Whether no two rows have the same message key, as far as the primary key tells."""
        return bool(self.table.primary_key) and set(self.table.primary_key) <= set(self.key)

    @cached_property
    def sides(self) -> tuple[str, ...]:
        """The rows that the event has: ``old``, ``new`` or both."""
        return _SIDES[self.event]

    @cached_property
    def needed(self) -> tuple[Column, ...]:
        """The columns that the route needs, in table order. Without one of them it would mean something
        else.
        """
        if not self.sides:
            return ()
        names = {*self.key, *(self.columns or ()), *self.mask, *self.weighed}
        if self.event == "update":
            names |= set(self.update_of)
        return self._pick(names)

    @cached_property
    def named(self) -> tuple[Column, ...]:
        """The columns that the function names, in table order: the needed ones and those whose size it
        reads.
        """
        if not self.sides:
            return ()
        return self._pick({column.name for column in (*self.needed, *self.measured)})

    @cached_property
    def measured(self) -> tuple[Column, ...]:
        """The columns whose size the function reads, in table order."""
        return self._pick({*self._sent_sizes, *self.formed}) if self.sides else ()

    @cached_property
    def spoken(self) -> tuple[Column, ...]:
        """The columns that the function names beside the row as one value, in table order."""
        return self._pick({*(column.name for column in self.needed), *self._sent_sizes}) if self.sides else ()

    @property
    def _sent_sizes(self) -> set[str]:
        return {*self.loose_json, *self.plain, *self.arrays, *self.long}

    def _pick(self, names: Set[str]) -> tuple[Column, ...]:
        return tuple(column for column in self.table.columns if column.name in names)

    @cached_property
    def weighed(self) -> frozenset[str]:
        """The columns that expressions read, whose types therefore matter."""
        return frozenset().union(*(expression.columns for expression in self._expressions))

    @cached_property
    def _expressions(self) -> list[Expression]:
        return [expression for expression in (self.when, *self.extra.values()) if expression]

    @cached_property
    def borrowed(self) -> tuple[str, ...]:
        """User-defined types that the function names because expressions read columns of them."""
        seen = {column.type: column for column in self.table.columns if column.name in self.weighed}
        return tuple(sorted(type for type, column in seen.items() if "." in type and self._borrows(column)))

    def _borrows(self, column: Column) -> bool:
        """Whether a text column cannot stand in for the enum. It can, unless an expression casts to that
        enum.
        """
        name = column.type.removesuffix("[]")
        return not is_enum(column) or any(name in expression.text for expression in self._expressions)

    def write_null(self, column: Column, *, borrowing: bool) -> str:
        """SQL of the null that stands in for a column. User-defined types appear only if ``borrowing``."""
        if column.name in self.weighed and column.type in self.borrowed:
            return write_null(column.type if borrowing else choose_stand_in(column))
        return write_null(choose_fallback(column))

    @cached_property
    def loose_key(self) -> tuple[str, ...]:
        """Key columns outside the primary key, with values that no index bounds or that jsonb may refuse."""
        unbounded = {column.name for column in self._choose("plain", "array", "long")}
        return tuple(name for name in self.key if name not in self.table.primary_key and name in unbounded)

    @cached_property
    def loose_json(self) -> tuple[str, ...]:
        """The sent columns that hold json, whose text jsonb may refuse."""
        sent = self._name("plain", "array", "long", sent=True)
        return tuple(
            column.name for column in self.table.columns if "json" in column.atoms and column.name in sent
        )

    @cached_property
    def watched(self) -> tuple[tuple[str, ...], ...]:
        """Groups of ``update_of`` columns that are compared at once. A group has at most one column that can
        be large.
        """
        unbounded = {column.name for column in self._choose("plain", "array", "long")}
        large = [name for name in self.update_of if name in unbounded]
        if len(large) < 2:
            return (self.update_of,) if self.update_of else ()
        rest = tuple(name for name in self.update_of if name not in large)
        return (*([rest] if rest else []), *((name,) for name in large))

    @cached_property
    def repeatable(self) -> bool:
        """Whether ``when`` may be evaluated twice for a row."""
        return self.when is not None and self.when.repeatable

    @cached_property
    def judged(self) -> Literal["old", "new", "pair"] | None:
        """The rows that show that a change is not wanted: one side or both. None when no row shows it for
        sure.
        """
        if not self.sides:
            return None
        if self.when and self.when.repeatable:
            rows = {reference.row for reference in self.when.references} & set(self.sides)
            if len(self.sides) == 1 or rows == {"new"}:
                return "old" if self.sides == ("old",) else "new"
            return "old" if rows == {"old"} else "pair"
        return "pair" if self.event == "update" and self.update_of else None

    @cached_property
    def whole(self) -> bool:
        """Whether messages hold the whole row."""
        return self.columns is None

    @cached_property
    def plain(self) -> tuple[str, ...]:
        """Columns whose stored size the function reads because the message names them."""
        return () if self.whole else self._name("plain", sent=True)

    @cached_property
    def arrays(self) -> tuple[str, ...]:
        """Sent columns that hold arrays."""
        return self._name("array", sent=True)

    @cached_property
    def long(self) -> tuple[str, ...]:
        """Sent columns whose text may be far larger than the stored value."""
        return self._name("long", sent=True)

    @cached_property
    def formed(self) -> tuple[str, ...]:
        """Columns whose stored size the function reads before it takes the row as one value.

        Postgres cannot build a value of 1 GB, and several columns together may exceed that. Empty when the
        function never takes the row as one value, and when only one column can be large.
        """
        compares = self.event == "update" and not self.update_of and not self.unchanged
        if not self.sides or not (self.whole or compares):
            return ()
        names = self._name("plain", "array", "long", sent=False)
        return names if len(names) > 1 else ()

    def _name(self, *growths: Growth, sent: bool) -> tuple[str, ...]:
        taken = {*(self.columns or ()), *self.key} - {
            name for name, how in self.mask.items() if how == "redact"
        }
        taken |= frozenset().union(*(expression.columns for expression in self.extra.values()))
        return tuple(
            column.name
            for column in self._choose(*growths)
            if column.generated != "virtual" and (self.whole or not sent or column.name in taken)
        )

    def _choose(self, *growths: Growth) -> list[Column]:
        return [column for column in self.table.columns if classify_growth(column) in growths]

    @cached_property
    def bounded(self) -> bool:
        """Whether nothing that the function handles can be large."""
        if self.whole and self._choose("plain"):
            return False
        return not (self.extra or self.plain or self.arrays or self.long or self.formed)

    @cached_property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """The settings that the function pins while it runs, as ``SET`` clauses.

        JIT is off: a statement of a million rows makes a plan that is worth compiling, and the session keeps
        that plan. A later statement of two rows would compile it again, which takes a tenth of a second.
        """
        swayed = any(expression.swayed for expression in self._expressions)
        chosen = choose_settings(self.table, seen=self.weighed, swayed=swayed)
        return (*chosen, ("jit", "off")) if self.level == "statement" and self.sides else chosen

    def model(self) -> Mapping[str, object]:
        """Everything that the function depends on, as JSON-able data for its spec hash."""
        return {
            "declared": self.declared, "table": self.table.identity, "event": self.event, "level": self.level,
            "queues": self.queues, "update_of": self.update_of, "when": self.when and self.when.text,
            "columns": self.columns, "virtual": self.virtual, "old": self.old, "key": self.key,
            "delay": self.delay, "send": self.send, "mask": dict(self.mask), "max_bytes": self.max_bytes,
            "extra": {name: expression.text for name, expression in self.extra.items()},
            "bounded": self.bounded, "formed": self.formed, "arrays": self.arrays, "long": self.long,
            "plain": self.plain, "named": [(column.name, column.type) for column in self.named],
            "settings": self.settings,
            **({"unchanged": True} if self.unchanged else {}),
            **({"owner": self.owner} if self.owner else {}),
            **({"halved": True} if self.halved else {}),
            **({"grouped": True} if self.grouped else {}), **({"waking": self.waking} if self.waking else {}),
        }  # fmt: skip


ROW_LIMIT = 16 * 1024 * 1024
"""The JSON size of both rows, in bytes, above which only their key is sent. jsonb holds 256 MiB less a byte
(JENTRY_OFFLENMASK in src/include/utils/jsonb.h).
"""

SURELY_SMALL = 128 * 1024
"""The stored size of rows, in bytes, below which their JSON fits for sure. pglz and lz4 compress to a 255th
at best, and JSON takes up to eight times a value (varbit).
"""

SMALL_ARRAYS = 16 * 1024
"""The same limit for arrays, whose nulls take a bit each: jsonb holds 33 million elements."""

SHORT = 1024
"""The same limit for values that may be long as text and are not compressed: 100 numbers of 131,072 digits.
"""

SURELY_FORMED = 4 * 1024 * 1024
"""The same limit for a row that is taken as one value, which Postgres bounds by 1 GB."""

FORMED = 64 * 1024 * 1024
"""The JSON size of a row's large columns, in bytes, that can be taken as one value for sure together with the
small ones: that value takes up to eight times as much, and small columns make up less than 512 MiB.
"""

FORMED_COLUMN = 2 * 1024 * 1024
"""The stored size of all small columns of a row together, in bytes, which are not measured."""

NOT_JSONB = (
    # An odd number of backslashes, then a character that text cannot hold: NUL, or half a surrogate pair.
    r"(^|[^\\])(\\\\)*\\u(0000|[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F]))"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
    # Numbers beyond the range of numeric.
    r"|(^|[[:space:],:[])-?[0-9]+([.][0-9]+)?[eE][-+]?[0-9]{4}|[0-9]{255}"
)
"""Regular expression for JSON text that ``json`` accepts and ``jsonb`` may refuse."""

ESCAPED = r"\\u(00[89a-fA-F]|0[1-9a-fA-F]|[1-9a-fA-F])"
"""Regular expression for JSON text with escapes beyond ASCII, which a database that is not UTF8 may refuse.
"""


def bind_expression(capture: Capture, expression: Expression, *, borrowing: bool = True) -> str:
    """The expression as SQL over ``old_row`` and ``new_row``; nulls stand for a side that the event lacks."""
    columns = {column.name: column for column in capture.table.columns}

    def replace(reference: Reference) -> str:
        name = quote_identifier(reference.column) if reference.column else ""
        if reference.row == "op":
            return f"{quote_literal(capture.event)}::text"
        if reference.row in capture.sides:
            return f"{reference.row}_row.{name}"
        if capture.sides:
            # A null of the type that the column has when the trigger fires. CASE alone yields the base type
            # of a domain, and the cast back fails for a domain that forbids null.
            value = f"{capture.sides[0]}_row.{name}"
            type = columns[reference.column].type
            if "." in type and not type.endswith("]"):
                return f"(CASE WHEN false THEN ARRAY[{value}] END)[1]"
            return f"(CASE WHEN false THEN {value} END)"
        column = columns[reference.column]
        if not borrowing and column.type in capture.borrowed and not column.type.endswith("]"):
            # Postgres gives this null the type that the expression needs.
            return "(NULL)"
        return f"({capture.write_null(column, borrowing=borrowing)})"

    # When the named types may be gone, the schemas of the operators may be gone too.
    written = expression if borrowing else expression.plain or expression
    return written.bind(replace)
