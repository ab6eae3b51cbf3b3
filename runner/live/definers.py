"""Reads the roles that capture functions run as: the rights that they lack, and their rights beyond
sending.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import class_row

from changelane.contract.access import find_functions
from changelane.contract.manifest import Capture, Manifest
from changelane.contract.marker import SCHEMA
from changelane.contract.queue_name import queue_table
from changelane.contract.schema import SHARED
from changelane.contract.sql_text import load_sql

Need = tuple[str, str, str]
"""(kind, schema, name). Kinds: ``schema`` to use, ``call`` of a function or operator, ``queue`` whose table
to insert into, ``sleepers``, the table to read.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRight:
    """A right that a role lacks, in words, and the statement ``fix`` that grants it. ``fixable``: the
    session's role may run it. ``table`` is set to the queue's table if row security is in the way.
    """

    table: str = ""
    what: str
    fix: str
    fixable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Definer:
    """``powers`` are a role's rights beyond sending. ``makers`` are owners of captured tables, and of their
    columns' types, who may not act as the role. ``member``: the session's role may make it the owner of
    functions; ``joinable``: it may grant itself that.
    """

    name: str
    superuser: bool = False
    powers: Sequence[str] = ()
    makers: Sequence[str] = ()
    member: bool = True
    joinable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherOwner:
    """The ``owner`` of schema ``changelane``, or of an object in it, who may not act as ``definer``."""

    what: str
    owner: str
    definer: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definers:
    """``declared``: the spec names an owner. ``by_capture`` is the role that each capture runs as, now or
    after apply; ``lacks`` are by role and need. ``strangers`` own an object in schema ``changelane``.
    """

    declared: bool = False
    by_capture: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Definer] = field(default_factory=dict)
    lacks: Mapping[tuple[str, Need], Sequence[MissingRight]] = field(default_factory=dict)
    strangers: Sequence[OtherOwner] = ()

    def find_lacks(self, capture: Capture, *, role: str = "") -> tuple[MissingRight, ...]:
        """The rights that ``role``, by default the role that the capture runs as, lacks for it; each once."""
        if not self.lacks:
            return ()
        role = role or self.by_capture.get(capture.name, "")
        found = [lack for need in list_needs(capture) for lack in self.lacks.get((role, need), ())]
        return tuple(dict.fromkeys(found))


def list_needs(capture: Capture) -> Iterator[Need]:
    """All rights that the function needs from its owner."""
    yield from _list_queue_needs(capture.queues)
    for schema, name in capture.calls:
        yield "schema", schema, ""
        yield "call", schema, name
    if capture.send == "pgmq":
        for name in find_functions(["send"]):
            yield "call", "pgmq", name
    yield "schema", SCHEMA, ""
    for name in SHARED:
        yield "call", SCHEMA, name
    if capture.waking or (capture.send == "pgmq" and capture.level == "statement"):
        yield "sleepers", SCHEMA, "sleepers"


def _list_queue_needs(queues: Sequence[str]) -> Iterator[Need]:
    for queue in queues:
        yield "schema", "pgmq", ""
        yield "queue", "pgmq", queue_table(queue)


def observe_definers(
    conn: psycopg.Connection[Any], manifest: Manifest, *, owners: Mapping[str, tuple[str, bool]], role: str
) -> Definers:
    """Reads in the connection's open transaction. ``owners`` maps each existing function to its owner, and
    whether it may keep its function. All other functions will belong to ``role``. Raises psycopg.Error.
    """
    declared = manifest.owner.role if manifest.owner else None
    by_capture = {}
    for capture in manifest.captures:
        owner, keeps = owners.get(capture.name, (role, True))
        by_capture[capture.name] = declared or (owner if keeps else role)
    # One capture of all that have the same owner and, by what `list_needs` reads, the same needs.
    alike = {
        (definer, capture.queues, capture.calls, capture.send, capture.level, capture.waking): capture
        for capture in manifest.captures
        for definer in {by_capture[capture.name], owners.get(capture.name, (role, True))[0]}
    }
    wanted = sorted({(key[0], *need) for key, capture in alike.items() for need in list_needs(capture)})
    columns = {
        "roles": [entry[0] for entry in wanted],
        "kinds": [entry[1] for entry in wanted],
        "schemas": [entry[2] for entry in wanted],
        "names": [entry[3] for entry in wanted],
    }
    lacks: dict[tuple[str, Need], list[MissingRight]] = defaultdict(list)
    for name, kind, schema, thing, what, fix, fixable, held in conn.execute(
        load_sql(__name__, "observe_lacks"), columns
    ):
        lack = MissingRight(what=what, fix=fix, fixable=fixable, table=thing if held else "")
        lacks[name, (kind, schema, thing)].append(lack)
    tables = sorted({capture.identity for capture in manifest.captures})
    values = {
        "roles": sorted({*by_capture.values(), *([declared] if declared else [])}),
        "schemas": [schema for schema, _ in tables],
        "tables": [table for _, table in tables],
    }
    with conn.cursor(row_factory=class_row(Definer)) as cursor:
        found = cursor.execute(load_sql(__name__, "observe_definers"), values).fetchall()
    there = {definer.name for definer in found}
    # Until the declared owner exists, accept objects of owners who may act as the role that creates it.
    trusting = {"roles": sorted({name if name in there else role for name in by_capture.values()})}
    with conn.cursor(row_factory=class_row(OtherOwner)) as strangers:
        strange = strangers.execute(load_sql(__name__, "observe_strangers"), trusting).fetchall()
    return Definers(
        declared=declared is not None,
        by_capture=by_capture,
        roles={definer.name: definer for definer in found},
        lacks=lacks,
        strangers=strange,
    )
