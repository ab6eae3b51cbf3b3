"""One object of a project in the database, and its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from changelane.contract.manifest import Access, Capture, Owner, Queue, Schedule
from changelane.contract.marker import Marker
from changelane.text import clean_line, spell

State = Literal["ok", "missing", "outdated", "drifted", "disabled", "orphaned", "foreign", "blocked"]
Kind = Literal["schema", "owner", "queue", "function", "trigger", "table", "access", "api", "schedule"]
Action = Literal["", "create", "replace", "comment", "index", "set", "enable", "own", "retire", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Rights to revoke on a queue: ``policies`` as (table, name), all rights of ``role`` unless None, rights
    on ``parts`` (SQL of partitions and sequences), and USAGE of ``schemas``. ``functions`` are signatures of
    those that run as ``role``.
    """

    queue: str
    role: str | None
    policies: tuple[tuple[str, str], ...] = ()
    parts: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One object of a project and its state. ``table`` is ``(schema, name)`` for triggers, functions, and
    tables, which are listed only if they differ from ``sql_out/``.

    ``detail`` says why the state is not ok; ``fix`` is for a person if apply cannot do it.
    ``action`` is what apply does, empty for none; for ``retire``, only the table's owner may drop the
    trigger, so its function is replaced by one that does nothing. ``marker`` is that of an orphan,
    ``relation`` the ``relkind`` of its table, ``withdrawal`` the rights to revoke if access is no longer
    declared. ``runs`` are a schedule's last and next run in words.
    """

    kind: Kind
    name: str
    state: State
    table: tuple[str, str] | None = None
    route: str = ""
    detail: str = ""
    fix: str = ""
    action: Action = ""
    relation: str = "r"
    marker: Marker | None = None
    capture: Capture | None = None
    queue: Queue | None = None
    owner: Owner | None = None
    access: Access | None = None
    schedule: Schedule | None = None
    withdrawal: Withdrawal | None = None
    runs: str = ""

    @property
    def undeclared(self) -> bool:
        """Whether it is a right granted by hand on a queue with declared access; only ``--prune``
        revokes it.
        """
        return self.kind == "access" and self.state == "drifted" and self.action == "drop"

    def __str__(self) -> str:
        where = {"trigger": f" on {self.place}", "table": f" of route {self.route}"}
        return f"{self.kind} {clean_line(self.name)}{where.get(self.kind, '')}"

    @property
    def place(self) -> str:
        """Schema and table, or empty."""
        return spell(self.table)
