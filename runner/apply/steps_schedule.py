"""Steps of apply and destroy for schedules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg import sql

from changelane.runner.apply.step import Step, do
from changelane.runner.compare.object import Object

_DELETE = sql.SQL("DELETE FROM changelane.schedules WHERE project = {project} AND name = {name};")


def declare_schedules(objects: Iterable[Object], *, transaction: str) -> Iterator[Step]:
    """Steps for schedules that are missing, or not as declared."""
    for thing in objects:
        if thing.schedule and thing.action:
            yield do(thing, sql=(thing.schedule.step,), transaction=transaction)


def drop_schedules(objects: Iterable[Object], *, project: str) -> Iterator[Step]:
    """Steps that delete the rows of schedules no longer declared, which ends their runs."""
    for thing in objects:
        if thing.kind == "schedule":
            delete = _DELETE.format(project=sql.Literal(project), name=sql.Literal(thing.name))
            yield do(thing, sql=(delete.as_string(),), transaction="drop schedules")
