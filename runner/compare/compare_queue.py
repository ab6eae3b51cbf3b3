"""Compares a declared queue with the queue in the database."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from changelane.contract.envelope import GROUP
from changelane.contract.manifest import Partition, Queue
from changelane.contract.units import spell_interval
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import LiveQueue as LiveQueue
from changelane.runner.live.queue_tables import spell_archive, spell_queue

_COLUMNS = {
    "msg_id": "bigint",
    "read_ct": "integer",
    "enqueued_at": "timestamp with time zone",
    "vt": "timestamp with time zone",
    "message": "jsonb",
    "headers": "jsonb",
}
"""Columns of a queue's table since pgmq 1.5."""

_ADDED = {"last_read_at"}
"""Columns that versions up to 1.13 added. A message can be sent without them."""

_STEPS = {
    ("unlogged", "logged"): "ALTER TABLE {table} SET LOGGED; UPDATE pgmq.meta SET is_unlogged = false "
    "WHERE queue_name = '{name}'  -- rewrites the table, and senders wait meanwhile",
    ("logged", "unlogged"): "ALTER TABLE {table} SET UNLOGGED; UPDATE pgmq.meta SET is_unlogged = true "
    "WHERE queue_name = '{name}'  -- rewrites the table, and senders wait meanwhile",
}
_KEY_INDEX = f"btree (hashtextextended((headers ->> '{GROUP}'::text), (0)::bigint), msg_id)"
"""The definition as ``pg_get_indexdef`` prints it."""

_INDEXES = {
    "vt": "claims",
    "msg_id": "acknowledgements",
    "key": "the order of keys",
    "archive": "pruning its archive",
}

_ANEW = (
    "a queue does not become {kind} in place: declare one of another name and let the routes send to it, "
    "work {name} off, then SELECT pgmq.drop_queue('{name}')"
)


def remake(queue: str, *, kind: str) -> str:
    """How a person brings back a table that a listed queue lacks; ``pgmq.drop_queue`` skips such a queue."""
    if kind == "partitioned":
        return (
            f"restore it; or delete the rows of {queue} in pgmq.meta and part_config, then `changelane apply`"
        )
    create = "create_unlogged" if kind == "unlogged" else "create"
    return f"restore it; or SELECT pgmq.{create}('{queue}'), which makes it empty, then `changelane apply`"


def compare_queue(
    queue: Queue,
    live: LiveQueue | None,
    *,
    project: str,
    inline: bool = False,
    obstacle: tuple[str, str] = ("", ""),
    spelled: str = "",
) -> Object:
    """The state of a queue. It has no action if the change would lose messages or block them; a person must
    do that.

    ``inline``: a capture writes the table without pgmq, so the table must have a known shape. ``obstacle`` is
    the result of ``find_obstacle``. ``spelled`` is the name by which the database has the queue, if another.
    """
    make = partial(Object, kind="queue", name=queue.name, queue=queue)
    table, archive = spell_queue(queue.name), spell_archive(queue.name)

    if live is None and spelled:
        return make(
            state="blocked",
            detail=f"the database has it as {spelled}, and two queues of both names would share their tables",
            fix=f"write {spelled} in the spec",
        )
    if live is None and queue.kind == "partitioned" and obstacle[0]:
        return make(state="blocked", detail=obstacle[0], fix=obstacle[1])
    if live is None:
        return make(state="missing", action="create")
    if not live.archive_lasts:
        return make(
            state="drifted",
            detail="its archive is unlogged: a crash empties it",
            fix=f"ALTER TABLE {archive} SET LOGGED  -- rewrites it",
        )
    if not live.has_table or not live.has_archive:
        return make(
            state="blocked",
            detail=f"pgmq.meta lists it, but table {archive if live.has_table else table} is gone",
            fix=remake(queue.name, kind=live.kind),
        )
    marker = live.marker
    ours = marker is not None and marker.project == project
    drifted = ours and marker is not None and marker.live != live.live
    if live.kind != queue.kind:
        steps = _STEPS.get((live.kind, queue.kind), _ANEW)
        return make(
            state="drifted" if drifted else "blocked",
            detail=f"it is {live.kind}, declared {queue.kind}",
            fix=steps.format(name=queue.name, kind=queue.kind, table=table),
        )
    if queue.partition and (wrong := _find_wrong_cut(queue.partition, live)):
        return make(
            state="drifted" if drifted else "blocked",
            detail=wrong,
            fix=_ANEW.format(name=queue.name, kind="another")
            if live.partitioning
            else "CREATE EXTENSION pg_partman in its schema, from a dump of this database with its "
            "configuration; or, as its owner, let this role read it",
        )
    if wrong := _find_wrong_columns(live):
        return make(
            state="drifted" if ours else "blocked",
            detail=f"table {table} is not as pgmq made it: {wrong}",
            fix="put it right by hand: until then every write that sends to it may fail",
        )
    if inline and (wrong := ", ".join(sorted(live.columns.keys() - _COLUMNS.keys() - _ADDED))):
        return make(
            state="drifted" if ours else "blocked",
            detail=f"a route writes table {table} inline, and does not know column {wrong}",
            fix="set `send: pgmq` in the routes that send to it",
        )
    if missing := list_missing_indexes(queue, live):
        claims = {index.suffix: index.purpose for index in queue.claim_indexes}
        if missing == ["key"] and live.key_index is not None:
            return make(state="drifted", detail="its index for the order of keys is another", action="index")
        detail = (
            f"lacks the index for {' and that for '.join({**_INDEXES, **claims}[index] for index in missing)}"
        )
        lost = ours and not {"vt", "msg_id"}.isdisjoint(missing)
        return make(state="drifted" if lost else "outdated", detail=detail, action="index")
    if marker is None and live.live == queue.live:
        # pgmq never makes these settings, so an earlier apply did.
        return make(state="drifted", detail="its comment was removed", action="comment")
    if marker is None:
        return make(state="ok", detail="existed before Changelane: used, not owned")
    if marker.project != project:
        return make(state="ok", detail=f"of project {marker.project}: used, not owned")
    if wrong := ", ".join(_list_wrong_settings(queue, live)):
        return make(state="drifted" if drifted else "outdated", detail=wrong, action="set")
    if (marker.spec, marker.live) != (queue.spec, live.live):
        return make(state="outdated", detail="only its comment", action="comment")
    return make(state="ok")


def list_missing_indexes(queue: Queue, live: LiveQueue) -> list[str]:
    """The missing or invalid indexes among ``vt``, ``msg_id``, ``key``, ``archive``, and those for turns and
    limits by the end of their names.

    pgmq creates the first two itself. They are left out if the role may not create them, since only speed
    depends on them.
    """
    missing = [column for column in ("vt", "msg_id") if column not in live.indexed and live.owned]
    if queue.ordered and (live.key_index or "").partition(" USING ")[2] != _KEY_INDEX:
        missing.append("key")
    missing += [
        index.suffix
        for index in queue.claim_indexes
        if live.claim_indexes.get(index.suffix) != f"btree {index.definition}"
    ]
    if queue.archive and not live.archive_index:
        missing.append("archive")
    return missing


def _find_wrong_cut(partition: Partition, live: LiveQueue) -> str:
    if live.partitioning is None:
        return "it is partitioned, and pg_partman does not know it, or this role may not ask"
    if live.partitioning.interval != partition.interval:
        return (
            f"its partitions span {spell_interval(live.partitioning.interval or 0)}, "
            f"declared {spell_interval(partition.interval)}"
        )
    return ""


def _list_wrong_settings(queue: Queue, live: LiveQueue) -> Iterator[str]:
    """The settings that apply can change while messages come and go."""
    if list(live.autovacuum) != [queue.autovacuum]:
        yield "its settings for autovacuum are others"
    if not live.lasting_ids:
        yield "its ids would begin anew after a crash"
    if queue.partition and (cut := live.partitioning):
        kept = queue.archive.keep if queue.archive else queue.partition.retain
        if cut.retain != queue.partition.retain:
            age = _spell_age(queue.partition.retain)
            yield f"messages are dropped {_spell_age(cut.retain)}, declared {age}"
        if cut.retain_archive != kept:
            yield f"its archive is dropped {_spell_age(cut.retain_archive)}, declared {_spell_age(kept)}"
        if not cut.endless:
            yield "an idle queue gets no new partitions"


def _spell_age(seconds: int | None) -> str:
    return "never" if seconds is None else f"after {spell_interval(seconds)}"


def _find_wrong_columns(live: LiveQueue) -> str:
    wrong = []
    for name, type in _COLUMNS.items():
        if name not in live.columns:
            wrong.append(f"column {name} is gone")
        elif live.columns[name] != type:
            wrong.append(f"column {name} is {live.columns[name]}, not {type}")
    wrong += [f"column {name} has no default" for name in live.demands if name != "vt"]
    return ", ".join(wrong)
