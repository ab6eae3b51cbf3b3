"""Reads the live catalog into Observed: Changelane's objects, and the tables of a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row

from changelane.contract.catalog import Table
from changelane.contract.manifest import Manifest
from changelane.contract.marker import SCHEMA, Marker, hash_function, hash_queue, hash_trigger, parse_marker
from changelane.contract.queue_name import fold
from changelane.contract.schema import SCHEMA_LIVE
from changelane.contract.sql_text import load_sql
from changelane.contract.trigger_order import is_trigger_of
from changelane.runner.live.definers import Definers, observe_definers
from changelane.runner.live.expressions import observe_expressions
from changelane.runner.live.foreign_triggers import ForeignTriggers, read_foreign_triggers
from changelane.runner.live.found_rights import FoundRight, observe_found_rights
from changelane.runner.live.inspect import list_tables
from changelane.runner.live.partman import Partitioning, Partman, observe_partitions, observe_partman
from changelane.runner.live.rights import Rights, observe_rights
from changelane.runner.live.schedules import Schedules, observe_schedules
from changelane.runner.live.session import snapshot
from changelane.runner.live.timescale import observe_timescale

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Facts about the server, the role and the two schemas. ``server`` is the major version. ``reads_only``:
    the role's transactions are read-only by default. ``reads_queues``: it may list queues. ``lends_pgmq`` and
    ``lends_schema``: it may grant USAGE of pgmq, and CREATE in schema ``changelane``. ``schema_live`` is the
    hash of the schema's own functions, ``functions_comment`` the hash written when they were made.
    ``schema_objects`` is the number of objects in schema ``changelane`` beside its own tables, ``has_tables``
    that those exist. ``emptied``: of what it is to have, it has its audit log at most. ``grants_right``: the
    tables are open to the roles that need them, and the schema to no others.
    """

    server: int
    database: str
    role: str
    pid: int
    creates_schemas: bool
    reads_only: bool = False
    standby: bool = False
    has_pgmq: bool
    reads_queues: bool = True
    uses_pgmq: bool
    creates_queues: bool
    lends_pgmq: bool = True
    has_schema: bool
    schema_comment: str | None
    schema_live: str = ""
    functions_comment: str | None = None
    schema_objects: int
    creates_functions: bool
    owns_schema: bool
    lends_schema: bool = True
    creates_roles: bool = True
    has_tables: bool = True
    emptied: bool = False
    grants_right: bool = True

    @property
    def notes_found_rights(self) -> bool:
        """Whether the role may write into the tables of schema ``changelane``, or will make them."""
        return self.owns_schema or not self.has_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveQueue:
    """A row of ``pgmq.meta`` and its table. ``inserts``: the role may insert; ``owned``: it owns the table.

    ``indexed`` are the first columns of its indexes. ``key_index`` is the definition of the index for the
    order of keys, None without one. ``claim_indexes`` are those for turns and limits, by the end of their
    names. ``archive_lasts``: the archive survives a crash. ``archive_index``: it
    has an index by age. ``archived``: it is or was not empty. ``columns`` are the table's, name to type;
    ``demands`` are those without a default that are NOT NULL. ``autovacuum`` and ``lasting_ids`` are as for
    ``hash_queue``. ``partitioning`` is None for a queue not partitioned by time, or if the role may not read
    it.
    """

    name: str
    kind: str
    has_table: bool
    has_archive: bool = True
    archive_lasts: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    demands: Sequence[str] = ()
    inserts: bool
    owned: bool
    comment: str | None
    indexed: Sequence[str] = ("msg_id", "vt")
    key_index: str | None = None
    claim_indexes: Mapping[str, str] = field(default_factory=dict)
    archive_index: bool = True
    archived: bool = False
    autovacuum: Sequence[str] = ()
    lasting_ids: bool = True
    partitioning: Partitioning | None = None

    @property
    def marker(self) -> Marker | None:
        return parse_marker(self.comment)

    @property
    def live(self) -> str:
        cut = self.partitioning
        return hash_queue(
            kind=self.kind,
            autovacuum=self.autovacuum,
            partition=(cut.interval, cut.retain, cut.retain_archive, cut.endless) if cut else None,
            lasting_ids=self.lasting_ids,
        )


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function without arguments in schema ``changelane``. ``owner_creates``: its owner may create objects
    there, so may have made it.
    """

    name: str
    body: str
    language: str
    security_definer: bool
    config: Sequence[str]
    public_execute: bool
    owner: str
    owned: bool
    owner_creates: bool = True
    comment: str | None

    @cached_property
    def marker(self) -> Marker | None:
        return parse_marker(self.comment)

    @cached_property
    def live(self) -> str:
        return hash_function(
            body=self.body,
            language=self.language,
            security_definer=self.security_definer,
            config=self.config,
            public_execute=self.public_execute,
        )


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A trigger that is no clone. ``enabled`` is ``tgenabled``: O origin, A always, R replica, D disabled.
    ``relation`` is the ``relkind`` of its table, ``strays`` the partitions on which it fires differently.
    ``owned``: the role may act as ``owner``, the table's owner, who alone can comment on the trigger or drop
    it. ``function_comment`` is set for a function in schema ``changelane``.
    """

    name: str
    schema: str
    table: str
    relation: str = "r"
    function: str
    type: int
    enabled: str
    constraint: bool = False
    strays: Sequence[str] = ()
    old_table: str | None
    new_table: str | None
    conditional: bool
    columns: int
    owned: bool
    owner: str = ""
    comment: str | None
    function_comment: str | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.schema, self.table, self.name)

    @cached_property
    def own_marker(self) -> Marker | None:
        """The marker in its comment."""
        return parse_marker(self.comment)

    @cached_property
    def marker(self) -> Marker | None:
        """The marker in its comment. Without one, as on a table of another role, the marker of the function
        of the same name; the trigger's definition then counts as unchanged.
        """
        if self.own_marker:
            return self.own_marker
        named = is_trigger_of(self.name, self.function.removeprefix(f"{SCHEMA}."))
        lent = parse_marker(self.function_comment) if named else None
        return lent and replace(lent, live=self.live)

    @cached_property
    def live(self) -> str:
        return hash_trigger(
            function=self.function,
            type=self.type,
            old_table=self.old_table,
            new_table=self.new_table,
            conditional=self.conditional,
            columns=self.columns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A relation that the manifest names. ``kind`` is ``relkind``. ``reachable``: the role may use its
    schema. ``takes_triggers``, ``lockable``: it may create triggers, and run LOCK TABLE. ``barred`` are
    partitions on which it may create no trigger, as SQL. ``primary_key`` is empty without one. ``columns``
    are name to type. ``defers_primary_key``, ``defers_unique_key``: the primary key, or any unique key, is
    DEFERRABLE, so that rows may share a key for a while.
    """

    schema: str
    name: str
    oid: int = 0
    kind: str
    partition: bool
    has_children: bool
    has_parents: bool
    owned: bool
    owner: str
    reachable: bool = True
    takes_triggers: bool = True
    lockable: bool = True
    barred: Sequence[str] = ()
    primary_key: Sequence[str] = ()
    defers_primary_key: bool = False
    defers_unique_key: bool = False
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One snapshot of the database. Functions by name, triggers by (schema, table, name), relations and
    tables by (schema, name), queues by name. ``tables`` are all that a glob could match, without columns.
    ``broken`` maps captures to the error of an expression that no longer compiles. ``foreign`` are triggers
    of others, on any table.
    """

    session: Session
    partman: Partman = field(default_factory=Partman)
    queues: Mapping[str, LiveQueue] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    triggers: Mapping[tuple[str, str, str], Trigger] = field(default_factory=dict)
    relations: Mapping[tuple[str, str], Relation] = field(default_factory=dict)
    tables: Mapping[tuple[str, str], Table] = field(default_factory=dict)
    foreign: ForeignTriggers = field(default_factory=ForeignTriggers)
    rights: Rights = field(default_factory=Rights)
    definers: Definers = field(default_factory=Definers)
    broken: Mapping[str, str] = field(default_factory=dict)
    schedules: Schedules = field(default_factory=dict)
    found_rights: Sequence[FoundRight] = ()


def observe(conn: psycopg.Connection[Any], manifest: Manifest) -> Observed:
    """Read everything in one read-only snapshot. The number of queries does not grow with the manifest.

    ``conn`` is in autocommit and in no transaction. Raises psycopg.Error.
    """
    named = {
        "schemas": [capture.schema_ for capture in manifest.captures],
        "tables": [capture.table for capture in manifest.captures],
        "names": [capture.trigger_name for capture in manifest.captures],
    }
    places = sorted({capture.identity for capture in manifest.captures})
    relation_names = {
        "schemas": [schema for schema, _ in places],
        "tables": [table for _, table in places],
    }
    with snapshot(conn):
        (session,) = _fetch(conn, Session, "observe_session")
        partman = observe_partman(conn)
        partitions = observe_partitions(conn, partman)
        listed = session.has_pgmq and session.reads_queues
        queues = _fetch(conn, LiveQueue, "observe_queues") if listed else []
        functions = _fetch(conn, Function, "observe_functions")
        triggers = _fetch(conn, Trigger, "observe_triggers", named)
        relations = _fetch(conn, Relation, "observe_relations", relation_names)
        timescale = observe_timescale(conn)
        tables = list_tables(conn, timescale=timescale)
        foreign = read_foreign_triggers(conn)
        roles = {role for access in manifest.access for role in (access.role, access.declared)}
        owners = {function.name: (function.owner, function.owner_creates) for function in functions}
        definers = observe_definers(conn, manifest, owners=owners, role=session.role)
        broken = observe_expressions(conn, manifest)
        schedules = observe_schedules(conn)
        found_rights = observe_found_rights(conn)
        rights = observe_rights(conn, roles, has_pgmq=listed)
    return Observed(
        session=session,
        partman=partman,
        queues={
            queue.name: replace(queue, partitioning=partitions.get(fold(queue.name))) for queue in queues
        },
        functions={function.name: function for function in functions},
        # TimescaleDB copies the trigger of a hypertable to its chunks, and drops the copies with it.
        triggers={
            trigger.identity: trigger
            for trigger in triggers
            if (trigger.schema, trigger.table) not in timescale.chunks
        },
        relations={
            (relation.schema, relation.name): replace(
                relation,
                has_children=relation.has_children
                or (relation.schema, relation.name) in timescale.hypertables,
            )
            for relation in relations
        },
        tables={table.identity: table for table in tables},
        foreign=foreign,
        rights=rights,
        definers=definers,
        broken=broken,
        schedules=schedules,
        found_rights=found_rights,
    )


def _fetch(
    conn: psycopg.Connection[Any], row: type[_Row], query: str, values: Mapping[str, Any] | None = None
) -> list[_Row]:
    with conn.cursor(row_factory=class_row(row)) as cursor:
        text = load_sql(__name__, query).replace("{schema_live}", SCHEMA_LIVE)
        return cursor.execute(text, values).fetchall()
