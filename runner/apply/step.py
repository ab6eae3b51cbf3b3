"""One step of apply or destroy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from changelane.contract import manifest as contract
from changelane.runner.compare import statement
from changelane.runner.compare.object import Object
from changelane.text import clean_line, spell

Action = Literal["add", "change", "rename", "comment", "index", "set", "enable", "own", "retire", "destroy"]
Mode = Literal[
    "none", "ACCESS SHARE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"
]
Sql = tuple[contract.Step | str, ...]

_ACTIONS: dict[str, Action] = {
    "create": "add",
    "replace": "change",
    "comment": "comment",
    "index": "index",
    "set": "set",
    "enable": "enable",
    "own": "own",
    "retire": "retire",
    "drop": "destroy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """``sql`` holds slices of generated files and statements; it is empty for the installation of pgmq.

    ``transaction`` names the transaction of the step; neighbours with the same name share one. ``mode`` is
    the strongest lock that it takes on ``table``, and ``relation`` the ``relkind`` of that table.
    ``lockable`` says that the role may also run LOCK TABLE.
    """

    action: Action
    kind: str
    name: str
    table: tuple[str, str] | None
    mode: Mode = "none"
    relation: str = "r"
    lockable: bool = True
    reason: str
    transaction: str
    sql: Sql

    @property
    def alone(self) -> bool:
        """Whether its statements run one by one, outside of a transaction, so that an index build lets
        writers go on.
        """
        return self.action == "index" and self.relation == "r"

    def __str__(self) -> str:
        place = f" on {spell(self.table)}" if self.table and self.kind == "trigger" else ""
        return f"{self.kind} {clean_line(self.name)}{place}"

    @property
    def lock(self) -> str:
        """The lock in words: ``none``, or its mode and table."""
        if self.mode == "none" or self.table is None:
            return "none"
        spread = " and its partitions" if self.relation == "p" and self.mode != "ACCESS SHARE" else ""
        return f"{self.mode} on {spell(self.table)}{spread}"

    @property
    def takes_table(self) -> bool:
        """Whether the step blocks writers of the user's table, and LOCK TABLE can do the waiting for it."""
        takes = self.kind == "trigger" and self.mode not in ("none", "ACCESS SHARE")
        return takes and self.lockable and self.relation in "rp"


def do(
    thing: Object,
    *,
    sql: Sql,
    transaction: str,
    mode: Mode = "none",
    table: tuple[str, str] | None = None,
    relation: str = "r",
    lockable: bool = True,
    reason: str = "",
) -> Step:
    """The step that carries out an object's action; ``table`` overrides the object's own."""
    if thing.kind == "trigger" and thing.action in ("create", "replace") and thing.capture:
        level, why = thing.capture.level, thing.capture.reason
        chosen = f"{level} capture: {why}" if why else ""
        reason = reason or "; ".join(filter(None, [thing.detail, chosen]))
    if thing.kind == "trigger" and thing.capture and _misses_replication(thing.capture):
        missed = "by statement: what logical replication applies does not fire it"
        reason = "; ".join(filter(None, [reason or thing.detail, missed]))
    return Step(
        action=_ACTIONS[thing.action],
        kind=thing.kind,
        name=thing.name,
        table=table or thing.table,
        mode=mode,
        relation=relation,
        lockable=lockable,
        reason=reason or thing.detail,
        transaction=transaction,
        sql=sql,
    )


def _misses_replication(capture: contract.Capture) -> bool:
    return capture.fire != "origin" and capture.level == "statement" and capture.event != "truncate"


def drop(objects: Iterable[Object], *, server: int) -> list[Step]:
    """Steps that drop triggers, one transaction per table, then functions; never CASCADE. ``server`` is the
    major version.
    """
    objects = tuple(objects)
    triggers = [
        do(
            thing,
            sql=(statement.drop_trigger(thing.name, table=thing.table),),
            transaction=f"drop from {thing.place}",
            mode="ACCESS EXCLUSIVE",
            relation=thing.relation,
        )
        for thing in objects
        if thing.kind == "trigger" and thing.table and thing.action != "retire"
    ]
    functions = [
        do(thing, sql=(end_function(thing, server=server),), transaction="drop functions")
        for thing in objects
        if thing.kind == "function"
    ]
    return triggers + functions


def end_function(function: Object, *, server: int) -> str:
    """SQL that drops an orphaned function, or replaces its body by nothing if a trigger still calls it."""
    marker = function.marker
    if function.action != "retire" or marker is None:
        return statement.drop_function(function.name)
    return statement.retire_function(
        function.name, project=marker.project, route=marker.name, spec=marker.spec, server=server
    )
