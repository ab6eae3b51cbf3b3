"""Notes the rights on a queue that a role had before its access was declared, and grants them again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from psycopg import sql

from changelane.contract.manifest import Access
from changelane.contract.queue_name import queue_table
from changelane.runner.apply.step import Step
from changelane.runner.live.found_rights import NO_ROW_SECURITY, FoundRight
from changelane.runner.live.observe import Observed
from changelane.runner.live.queue_tables import name_archive, name_queue
from changelane.text import spell_name

_NOTE = sql.SQL(
    'INSERT INTO changelane.found_rights (project, queue, role, relation, privilege, "column", grantable)\n'
    "VALUES {rows}\nON CONFLICT DO NOTHING;"
)
_ROW = sql.SQL("({})")
_FORGET = sql.SQL("DELETE FROM changelane.found_rights WHERE project = {project} AND queue = {queue};")
_GRANT = sql.SQL("GRANT {privilege}{column} ON {relation} TO {role}{option};")
_ROW_SECURITY = sql.SQL("ALTER {relation} DISABLE ROW LEVEL SECURITY;")


def note_found(access: Access, observed: Observed, *, project: str) -> str:
    """SQL that notes what ``access`` finds on its queue; empty if that is nothing, or if the role may not
    write notes.
    """
    found = list(_list_found(access, observed))
    if not found or not observed.session.notes_found_rights:
        return ""
    rows = [
        _ROW.format(
            sql.SQL(", ").join(
                map(sql.Literal, (project, access.queue, role, relation, privilege, column, grantable))
            )
        )
        for role, relation, privilege, column, grantable in found
    ]
    return _NOTE.format(rows=sql.SQL(",\n    ").join(rows)).as_string()


def _list_found(access: Access, observed: Observed) -> Iterator[tuple[str, str, str, str, bool]]:
    rights = observed.rights
    for grant in rights.grants:
        if grant.queue == access.queue and grant.role in (access.role, ""):
            relation = grant.part or _spell_table(access.queue, archive=grant.archive)
            yield grant.role, relation, grant.privilege, grant.column, grant.grantable
    for archive in (False, True):
        table = rights.tables.get((access.queue, archive))
        if table is not None and not table.row_security:
            yield "", _spell_table(access.queue, archive=archive), NO_ROW_SECURITY, "", False
    role = rights.roles.get(access.role)
    ours = any(access.role in policy.roles and policy.marker for policy in rights.policies)
    if role is not None and role.uses_pgmq and not ours:
        yield access.role, "SCHEMA pgmq", "USAGE", "", False


def _spell_table(queue: str, *, archive: bool) -> str:
    return f"TABLE {(name_archive if archive else name_queue)(queue).as_string()}"


def give_back(project: str, observed: Observed, *, dropped: Collection[str]) -> tuple[list[Step], list[str]]:
    """Steps that grant again what the project's access found on queues that stay, and notes on what cannot
    be given back. ``dropped`` are the queues that are to be dropped.
    """
    steps, notes = [], []
    queues = dict.fromkeys(right.queue for right in observed.found_rights if right.project == project)
    for queue in queues:
        if queue in dropped or queue not in observed.queues:
            continue
        shared = {
            role
            for policy in observed.rights.policies
            if policy.queue == queue and policy.marker and policy.marker.project != project
            for role in policy.roles
        }
        found = [right for right in observed.found_rights if (right.project, right.queue) == (project, queue)]
        kept = [right for right in found if right.there and not _is_shared(right, shared)]
        notes += [
            f"queue {queue}: role {spell_name(role)}, which had rights on it before, is gone"
            for role in dict.fromkeys(right.role for right in found if not right.there)
        ]
        statements = [
            *map(_compose, kept),
            _FORGET.format(project=sql.Literal(project), queue=sql.Literal(queue)),
        ]
        steps.append(
            Step(
                action="change",
                kind="access",
                name=queue,
                table=("pgmq", queue_table(queue)),
                mode="ACCESS EXCLUSIVE",
                reason=f"as it was found: {_describe(kept)}" if kept else "forgets what it found",
                transaction=f"give back queue {queue}",
                sql=("\n".join(statement.as_string() for statement in statements),),
            )
        )
    return steps, notes


def _is_shared(right: FoundRight, shared: Collection[str]) -> bool:
    """Whether another project's access holds the role, or the whole queue, to what it declares."""
    return right.role in shared if right.role else bool(shared)


def _compose(right: FoundRight) -> sql.Composed:
    # The server, or this module, has quoted the relation.
    relation = sql.SQL(right.relation)
    if right.privilege == NO_ROW_SECURITY:
        return _ROW_SECURITY.format(relation=relation)
    return _GRANT.format(
        privilege=sql.SQL(right.privilege),
        column=sql.SQL(" ({})").format(sql.Identifier(right.column)) if right.column else sql.SQL(""),
        relation=relation,
        role=sql.Identifier(right.role) if right.role else sql.SQL("PUBLIC"),
        option=sql.SQL(" WITH GRANT OPTION" if right.grantable else ""),
    )


def _describe(found: Iterable[FoundRight]) -> str:
    """The rights in words, by holder."""
    held: dict[str, list[str]] = {}
    for right in found:
        if right.privilege == NO_ROW_SECURITY:
            held.setdefault(f"row security of {right.relation.removeprefix('TABLE ')}", []).append("off")
            continue
        holder = spell_name(right.role) if right.role else "PUBLIC"
        column = f" ({spell_name(right.column)})" if right.column else ""
        held.setdefault(f"{holder} may", []).append(f"{right.privilege}{column} on {right.relation}")
    return "; ".join(f"{holder} {', '.join(what)}" for holder, what in held.items())
