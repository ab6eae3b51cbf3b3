"""Steps of apply for a queue, and the notes of a plan on it."""

from __future__ import annotations

from collections.abc import Iterator

from changelane.contract.manifest import Queue
from changelane.contract.queue_name import queue_table
from changelane.contract.units import spell_interval
from changelane.runner.apply.step import Mode, Sql, Step, do
from changelane.runner.compare import statement
from changelane.runner.compare.compare_queue import list_missing_indexes
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import Observed


def do_queue(thing: Object, queue: Queue, observed: Observed, *, project: str, transaction: str) -> Step:
    """The step that carries out a queue's action. A step that may wait for a lock is a transaction of its
    own, so that ``transaction``, which holds the other steps, never waits.
    """
    mark = statement.mark_queue(
        queue.name, project=project, spec=queue.spec, live=queue.live, server=observed.session.server
    )
    live = observed.queues.get(queue.name)
    if live is None:
        return do(thing, sql=(queue.step, queue.settings_step), transaction=transaction)
    if thing.action == "comment":
        return do(thing, sql=(mark,), transaction=transaction)
    # A queue of another project keeps its settings and its marker.
    ours = live.marker is not None and live.marker.project == project
    settings: Sql = (queue.settings_step, mark) if ours else ()
    partitioned = queue.kind == "partitioned"
    # Postgres cannot create an index concurrently on a partitioned table.
    mode: Mode = "SHARE" if partitioned and thing.action == "index" else "SHARE UPDATE EXCLUSIVE"
    name = "index" if thing.action == "index" else "settings"
    missing = list_missing_indexes(queue, live) if thing.action == "index" else []
    return do(
        thing,
        sql=(*(sql for index in missing for sql in statement.index_queue(queue, index)), *settings),
        transaction=f"{name} of queue {queue.name}",
        mode=mode,
        table=("pgmq", queue_table(queue.name)),
        relation="p" if partitioned else "r",
    )


def list_notes(thing: Object, observed: Observed) -> Iterator[str]:
    """Notes for a person: which messages the queue may lose, and which it keeps for ever."""
    queue, live = thing.queue, observed.queues.get(thing.name)
    if thing.kind != "queue" or queue is None:
        return
    if queue.kind == "unlogged" and live is None:
        yield "a crash of the server empties it; its archive and its dead letters are kept"
    if queue.partition and thing.action in ("create", "set"):
        age = spell_interval(queue.partition.retain)
        yield f"messages older than {age} are dropped with their partition, read or not"
    if queue.dead_letter and queue.archive is None and live is not None and live.archived:
        yield "`archive` is not declared: the messages in its archive stay, and nothing prunes them"
