"""Steps of apply and destroy for access to queues and the API over them."""

from __future__ import annotations

from collections.abc import Iterable

from changelane.contract.manifest import Api
from changelane.contract.queue_name import queue_table
from changelane.contract.sql_text import load_sql
from changelane.runner.apply.give_back import note_found
from changelane.runner.apply.step import Sql, Step, do
from changelane.runner.compare import statement
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import Observed

_DROP_API = load_sql(__name__, "drop_api", whole=True)


def change_access(
    objects: Iterable[Object], observed: Observed, *, project: str, api: Api | None
) -> list[Step]:
    """By queue, first the rights to revoke, then those to grant; then the API, which is dropped with
    ``prune`` only.
    """
    objects = tuple(objects)
    withdrawn = [(thing.withdrawal.queue, 0, thing) for thing in objects if thing.withdrawal]
    given = [(thing.access.queue, 1, thing) for thing in objects if thing.access and thing.action]
    steps = [
        _change_queue(queue, thing, observed, project=project)
        for queue, _, thing in sorted([*withdrawn, *given], key=lambda entry: entry[:2])
    ]
    for thing in objects:
        if thing.kind == "api" and api is not None and thing.action:
            sql: Sql = (api.grant_step,) if thing.action == "set" else (api.step, api.grant_step)
            steps.append(do(thing, sql=sql, transaction="api"))
    return steps


def _change_queue(queue: str, thing: Object, observed: Observed, *, project: str) -> Step:
    sql: Sql = ()
    if thing.withdrawal:
        sql = (statement.withdraw(thing.withdrawal),)
    elif thing.access:
        found = note_found(thing.access, observed, project=project) if thing.action == "create" else ""
        sql = (found, thing.access.step) if found else (thing.access.step,)
    return do(
        thing,
        sql=sql,
        transaction=f"access to queue {queue}",
        mode="ACCESS EXCLUSIVE",
        table=("pgmq", queue_table(queue)),
    )


def drop_api(thing: Object) -> Step:
    """Drop the API's functions, and its schema if nothing else is in it."""
    return do(thing, sql=(_DROP_API,), transaction="drop api")
