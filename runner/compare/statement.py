"""The statements that are not in generated files: comments, indexes, owners, drops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql

from changelane.contract.envelope import GROUP
from changelane.contract.manifest import Queue
from changelane.contract.marker import SCHEMA, format_marker, hash_function
from changelane.contract.queue_name import archive_table, queue_table
from changelane.contract.sql_text import load_sql
from changelane.runner.compare.object import Withdrawal
from changelane.runner.live.queue_tables import Table, name_archive, name_queue

_ENABLE = {
    "origin": sql.SQL("ALTER TABLE {}.{} ENABLE TRIGGER {};"),
    "always": sql.SQL("ALTER TABLE {}.{} ENABLE ALWAYS TRIGGER {};"),
    "replica": sql.SQL("ALTER TABLE {}.{} ENABLE REPLICA TRIGGER {};"),
}

_LOCKS = {
    "SHARE ROW EXCLUSIVE": sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE;"),
    "ACCESS EXCLUSIVE": sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE;"),
}
_ONLY = sql.SQL("ONLY {}")
_OWN = sql.SQL("ALTER FUNCTION {}() OWNER TO {};")
_LEND = sql.SQL(
    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('changelane:schema', 0));\n"
    "GRANT CREATE ON SCHEMA {} TO {};"
)
_TAKE_BACK = sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {};")
_LOCK_QUEUE = sql.SQL("LOCK TABLE {queue}, {archive} IN ACCESS EXCLUSIVE MODE;\n")
_DROP_QUEUE = sql.SQL("SELECT pgmq.drop_queue({name}::text);")
_NAME_QUEUE = sql.SQL("SELECT pg_catalog.set_config('changelane.queue', {name}, true);\n")
_NAME_OWNER = sql.SQL("SELECT pg_catalog.set_config('changelane.owner', {role}, true);\n")
_DROP_OWNER = load_sql(__name__, "drop_owner", whole=True)
_DROP_ACCESS_SCHEMA = load_sql(__name__, "drop_access_schema", whole=True)
_DROP_EMPTY_QUEUE = load_sql(__name__, "drop_empty_queue", whole=True)
_DROP_INDEX = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {index};")
_CREATE_INDEX = sql.SQL("CREATE INDEX CONCURRENTLY {index} ON {table} {key};")
_INDEXES = {
    "vt": (queue_table, "{}_vt_idx", sql.SQL("(vt)")),
    "msg_id": (queue_table, "{}_msg_id_idx", sql.SQL("(msg_id)")),
    "key": (
        queue_table,
        "{}_key_idx",
        sql.SQL("((pg_catalog.hashtextextended(headers OPERATOR(pg_catalog.->>) {}, 0)), msg_id)").format(
            GROUP
        ),
    ),
    "archive": (archive_table, "{}_age_idx", sql.SQL("(archived_at)")),
}
"""The table of a queue, the name of the index, and its columns."""
_DROP_TEMPLATES = load_sql(__name__, "drop_templates", whole=True)
_NAME_TEMPLATES = sql.SQL("SELECT pg_catalog.set_config('changelane.templates', {names}, true);\n")
# CASCADE also revokes the rights that the role granted to others, and drops no object.
_REVOKE = sql.SQL("REVOKE ALL ON {queue}, {archive} FROM {role} CASCADE;")
_REVOKE_PART = sql.SQL("REVOKE ALL ON {part} FROM {role} CASCADE;")
_RETIRE = load_sql(__name__, "retire_function", whole=True)
_RETIRED_BODY = "BEGIN RETURN NULL; END"
_RETIRED_LIVE = hash_function(
    body=_RETIRED_BODY,
    language="plpgsql",
    security_definer=False,
    config=["search_path=pg_catalog, pg_temp"],
    public_execute=False,
)
_COUNT_MESSAGES = sql.SQL("SELECT (SELECT count(*) FROM {queue}), (SELECT count(*) FROM {archive})")


def mark_function(name: str, *, project: str, route: str, spec: str, live: str, queues: Sequence[str]) -> str:
    """COMMENT ON FUNCTION with its marker."""
    marker = format_marker(project=project, kind="route", name=route, spec=spec, live=live, queues=queues)
    return (
        sql.SQL("COMMENT ON FUNCTION {}.{}() IS {};")
        .format(sql.Identifier(SCHEMA), sql.Identifier(name), sql.Literal(marker))
        .as_string()
    )


def mark_trigger(name: str, *, table: tuple[str, str], project: str, route: str, spec: str, live: str) -> str:
    """COMMENT ON TRIGGER with its marker."""
    marker = format_marker(project=project, kind="route", name=route, spec=spec, live=live)
    return (
        sql.SQL("COMMENT ON TRIGGER {} ON {} IS {};")
        .format(sql.Identifier(name), sql.Identifier(*table), sql.Literal(marker))
        .as_string()
    )


def mark_queue(name: str, *, project: str, spec: str, live: str, server: int) -> str:
    """COMMENT ON TABLE of a queue with its marker; ``server`` is the major version."""
    line = format_marker(project=project, kind="queue", name=name, spec=spec, live=live)
    marker = f"{line} pg={server}"
    return sql.SQL("COMMENT ON TABLE {} IS {};").format(name_queue(name), sql.Literal(marker)).as_string()


def index_queue(queue: Queue, index: str) -> tuple[str, str]:
    """Two statements that create an index of a queue, each outside of a transaction: ``vt``, ``msg_id``,
    ``key`` for the order of keys, ``archive`` for pruning, or one of ``queue.claim_indexes`` by its suffix.
    """
    claims = {
        one.suffix: (queue_table, "{}" + one.suffix, sql.SQL(one.definition)) for one in queue.claim_indexes
    }
    spell, named, key = {**_INDEXES, **claims}[index]
    table = spell(queue.name)
    place = {"index": sql.Identifier(named.replace("{}", table)), "table": Table(table)}
    return (
        _DROP_INDEX.format(index=Table(named.replace("{}", table))).as_string(),
        _CREATE_INDEX.format(**place, key=key).as_string(),
    )


def enable_trigger(name: str, *, table: tuple[str, str], fire: str) -> str:
    """ALTER TABLE that makes a trigger fire as declared: ``origin``, ``always`` or ``replica``."""
    return _ENABLE[fire].format(*map(sql.Identifier, (*table, name))).as_string()


def lock_tables(tables: Mapping[tuple[str, str], bool], *, mode: str) -> str:
    """LOCK TABLE of all tables: (schema, name) to whether its partitions are locked, too."""
    names = [
        sql.Identifier(*table) if spread else _ONLY.format(sql.Identifier(*table))
        for table, spread in tables.items()
    ]
    return _LOCKS[mode].format(sql.SQL(", ").join(names)).as_string()


def own_function(name: str, *, role: str | None) -> str:
    """ALTER FUNCTION that makes the role its owner; without one, the session's role."""
    owner = sql.Identifier(role) if role else sql.SQL("CURRENT_USER")
    return _OWN.format(sql.Identifier(SCHEMA, name), owner).as_string()


def lend_schema(role: str) -> str:
    """Grant the role CREATE on schema ``changelane``, which it needs at the moment that it becomes an owner
    there.
    """
    return _LEND.format(sql.Identifier(SCHEMA), sql.Identifier(role)).as_string()


def take_back_schema(role: str) -> str:
    """Revoke the grant of ``lend_schema``."""
    return _TAKE_BACK.format(sql.Identifier(SCHEMA), sql.Identifier(role)).as_string()


def drop_owner(role: str) -> str:
    """Revoke the rights of the owner of capture functions in this database, unless it owns something."""
    named = sql.Identifier(role).as_string()
    return _NAME_OWNER.format(role=sql.Literal(named)).as_string() + _DROP_OWNER


def drop_trigger(name: str, *, table: tuple[str, str]) -> str:
    return sql.SQL("DROP TRIGGER {} ON {};").format(sql.Identifier(name), sql.Identifier(*table)).as_string()


def drop_function(name: str) -> str:
    return sql.SQL("DROP FUNCTION {}();").format(sql.Identifier(SCHEMA, name)).as_string()


def retire_function(name: str, *, project: str, route: str, spec: str, server: int) -> str:
    """Replace the function by one that does nothing, for a trigger on another role's table that still calls
    it.
    """
    marker = format_marker(project=project, kind="retired", name=route, spec=spec, live=_RETIRED_LIVE)
    return (
        sql.SQL(_RETIRE)
        .format(
            function=sql.Identifier(SCHEMA, name),
            body=sql.Literal(_RETIRED_BODY),
            marker=sql.Literal(f"{marker} pg={server}"),
        )
        .as_string()
    )


def drop_queue(name: str, *, discard: bool, templates: Sequence[str] = ()) -> str:
    """Drop queue and archive; unless ``discard``, only if both are empty. Also drops the ``templates`` of
    their partitions, as ``schema.name``.

    The locks come first, so that nobody can send between the check and the drop.
    """
    queue, archive = name_queue(name), name_archive(name)
    lock = _LOCK_QUEUE.format(queue=queue, archive=archive).as_string()
    named = _NAME_QUEUE.format(name=sql.Literal(name)).as_string()
    drop = _DROP_QUEUE.format(name=sql.Literal(name)).as_string() if discard else named + _DROP_EMPTY_QUEUE
    if not templates:
        return lock + drop
    templates_named = _NAME_TEMPLATES.format(names=sql.Literal(list(templates))).as_string()
    return f"{lock}{drop}\n{named}{templates_named}{_DROP_TEMPLATES}"


def withdraw(withdrawal: Withdrawal) -> str:
    """Drop policies, revoke a role's rights on the queue's tables and its USAGE of schemas, and drop the
    functions that run as it.
    """
    parts = [
        sql.SQL("DROP POLICY {} ON {};").format(sql.Identifier(name), Table(table))
        for table, name in withdrawal.policies
    ]
    if withdrawal.role is not None:
        role = sql.Identifier(withdrawal.role)
        queue, archive = name_queue(withdrawal.queue), name_archive(withdrawal.queue)
        parts.append(_REVOKE.format(queue=queue, archive=archive, role=role))
        # The server has quoted the signature already.
        parts += [_REVOKE_PART.format(part=sql.SQL(part), role=role) for part in withdrawal.parts]
        parts += [
            sql.SQL("REVOKE USAGE ON SCHEMA {} FROM {};").format(sql.Identifier(schema), role)
            for schema in withdrawal.schemas
        ]
    if not withdrawal.functions:
        return sql.SQL("\n").join(parts).as_string()
    parts += [sql.SQL("DROP FUNCTION {};").format(sql.SQL(signature)) for signature in withdrawal.functions]
    text = sql.SQL("\n").join(parts).as_string() + "\n" + _DROP_ACCESS_SCHEMA
    return text + (drop_owner(withdrawal.role) if withdrawal.role is not None else "")


def count_messages(name: str) -> sql.Composed:
    """A query for the number of messages in the queue and in its archive."""
    return _COUNT_MESSAGES.format(queue=name_queue(name), archive=name_archive(name))
