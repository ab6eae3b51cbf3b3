"""Compares declared access with the rights in the database: the state of each, and the rights to revoke."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial

from changelane.contract.access import Right, find_functions, find_rights
from changelane.contract.manifest import Access, Manifest
from changelane.contract.marker import SCHEMA
from changelane.runner.compare.compare_functions import find_strange, find_wrong_functions, list_withdrawn
from changelane.runner.compare.object import Object, Withdrawal
from changelane.runner.live.observe import Observed
from changelane.runner.live.queue_tables import spell_archive, spell_queue
from changelane.runner.live.rights import Grant, Policy, Rights, Role
from changelane.text import spell_name

_Known = frozenset[tuple[str, bool, str]]


def compare_access(manifest: Manifest, observed: Observed) -> Iterator[Object]:
    """Declared access by queue and role. Problems of a whole table are reported with the first access of its
    queue.
    """
    queues: set[str] = set()
    for access in sorted(manifest.access, key=lambda access: (access.queue, access.role)):
        first = access.queue not in queues
        queues.add(access.queue)
        yield _compare(access, observed, manifest=manifest, first=first)


def _compare(access: Access, observed: Observed, *, manifest: Manifest, first: bool) -> Object:
    rights, project = observed.rights, manifest.project
    role = spell_name(access.declared)
    make = partial(Object, kind="access", name=f"{access.queue} for {role}", access=access)
    if access.declared not in rights.roles:
        if manifest.owner and access.role == manifest.owner.role:
            return make(state="missing", detail=describe(access), action="create")
        return make(
            state="blocked",
            detail=f"role {role} does not exist",
            fix=f"create it, or take it out of the access to queue {access.queue}",
        )
    table = rights.tables.get((access.queue, False))
    known_functions = {name for other in manifest.access for name in other.functions}
    detail, fix = find_strange(access, observed, known=known_functions)
    if detail:
        return make(state="foreign", detail=detail, fix=fix)
    if table is None or access.role not in rights.roles:
        return make(state="missing", detail=describe(access), action="create")
    if table.owner == access.declared:
        return make(
            state="blocked",
            detail=f"role {role} owns queue {access.queue}, and may do everything with it",
            fix="delete the entry",
        )
    there = [policy for policy in rights.policies if policy.queue == access.queue]
    for policy in there:
        if access.role in policy.roles and policy.marker and policy.marker.project != project:
            return make(
                state="foreign",
                detail=f"role {role} has access to queue {access.queue} by project {policy.marker.project}",
                fix="declare it in one project only",
            )
    known = list_known(access)
    if wider := sorted(policy.name for policy in there if _widens(policy, rights.roles[access.role])):
        return make(
            state="blocked",
            detail=f"policy {', '.join(map(spell_name, wider))} on queue {access.queue}, made by hand, opens "
            f"more messages to role {role} than the spec declares",
            fix="state its condition in `using`, then drop it; or remove the entry",
        )
    ours = [
        policy
        for policy in there
        if (policy.queue, policy.archive, policy.name) in known
        or (policy.roles == [access.role] and policy.marker)
    ]
    if not ours:
        return make(state="missing", detail=describe(access), action="create")
    if any(policy.marker and policy.marker.spec != access.spec for policy in ours):
        return make(state="outdated", detail=describe(access), action="replace")
    server = observed.session.server
    changed = [policy for policy in ours if policy.marker and policy.marker.live != policy.live]
    drift = [
        *find_wrong_functions(access, rights, project=project),
        *_find_wrong_policies(ours, known, [policy for policy in changed if policy.marker.pg == server]),  # type: ignore[union-attr]
        *_find_wrong_rights(access, observed),
        *(_find_wrong_tables(access.queue, rights) if first else ()),
    ]
    if drift:
        return make(state="drifted", detail="; ".join(drift), action="replace")
    if changed:
        # The catalog of another major version may print the same expression in other words.
        return make(
            state="outdated",
            detail="its policies were made under another major version of Postgres",
            action="replace",
        )
    return make(state="ok")


def _widens(policy: Policy, role: Role) -> bool:
    """Whether a policy that no project declares gives the role more rows than its own policies do."""
    own = policy.marker is not None or policy.name.startswith("changelane_")
    return policy.permissive and not own and not {"", role.name, *role.memberships}.isdisjoint(policy.roles)


def describe(access: Access) -> str:
    """The role's access in words."""
    may = "may " + ", ".join(
        f"{name} some messages" if name in access.narrowed else name for name in access.allow
    )
    return may + (" by functions" if access.caller else "")


def list_known(access: Access) -> _Known:
    """The role's own policies as (queue, whether on the archive, name)."""
    return frozenset(
        (access.queue, archive, name)
        for archive, names in ((False, access.policies), (True, access.archive_policies))
        for name in names
    )


def _find_wrong_policies(ours: Sequence[Policy], known: _Known, changed: Collection[Policy]) -> Iterator[str]:
    found = {(policy.queue, policy.archive, policy.name) for policy in ours}
    for _, archive, name in sorted(known - found):
        yield f"policy {name} on its {'archive' if archive else 'table'} is gone"
    for policy in ours:
        if policy.marker is None:
            yield f"the comment of policy {policy.name} was removed"
        elif (policy.queue, policy.archive, policy.name) not in known:
            yield f"policy {spell_name(policy.name)} has the project's marker and is not declared"
        elif policy in changed:
            yield f"policy {policy.name} was changed"


def _find_wrong_rights(access: Access, observed: Observed) -> Iterator[str]:
    rights = observed.rights
    role = rights.roles[access.role]
    grants = [grant for grant in rights.grants if (grant.queue, grant.role) == (access.queue, access.role)]
    held = {grant.right for grant in grants if not grant.part}
    wanted = find_rights(access.allow, columns=observed.queues[access.queue].columns, working=access.working)
    if held - wanted:
        yield f"it may also {_spell_rights(held - wanted)}"
    if wanted - held:
        yield f"it may not {_spell_rights(wanted - held)}"
    if parts := [grant for grant in grants if grant.part]:
        yield f"it may also {spell_grants(parts)}"
    if given := [grant for grant in grants if grant.grantable]:
        yield f"it may give to others: {spell_grants(given)}"
    if not role.uses_pgmq:
        yield "it may not use schema pgmq"
    if access.working and not role.uses_changelane:
        yield "it may not use schema changelane"
    if barred := sorted(set(role.barred) & set(find_functions(access.allow))):
        yield f"it may not execute {', '.join(f'pgmq.{name}' for name in barred)}"


def _spell_rights(rights: Iterable[Right]) -> str:
    return ", ".join(
        right.privilege
        + (f" ({spell_name(right.column)})" if right.column else "")
        + (" on the archive" if right.place == "archive" else "")
        for right in sorted(rights)
    )


def spell_grants(grants: Iterable[Grant]) -> str:
    """Rights, grouped by the object that they are on."""
    grants = tuple(grants)
    parts = [_spell_rights({grant.right for grant in grants if not grant.part})]
    for part in sorted({grant.part for grant in grants if grant.part}):
        kind, _, name = part.partition(" ")
        rights = {Right("queue", grant.privilege, grant.column) for grant in grants if grant.part == part}
        parts.append(f"{_spell_rights(rights)} on {kind.lower()} {name}")
    return ", ".join(filter(None, parts))


def _find_wrong_tables(queue: str, rights: Rights) -> Iterator[str]:
    for archive, name in ((False, spell_queue(queue)), (True, spell_archive(queue))):
        table = rights.tables.get((queue, archive))
        if table is not None and not table.row_security:
            yield f"row security of {name} is off"
        if table is not None and table.forced:
            yield f"row security of {name} holds its owner, too"
    if public := [grant for grant in rights.grants if grant.queue == queue and not grant.role]:
        yield f"PUBLIC may {spell_grants(public)}"


def list_notes(objects: Iterable[Object], observed: Observed) -> Iterator[str]:
    """Notes for a person on access that is in order."""
    rights = observed.rights
    queues: set[str] = set()
    for thing in objects:
        if thing.kind == "api" and thing.state == "foreign":
            yield f"{thing}: {thing.detail}; rights on the queues limit its use"
        if thing.access is None or thing.access.role not in rights.roles:
            continue
        access = thing.access
        table, role = rights.tables.get((access.queue, False)), rights.roles[access.role]
        owner = table.owner if table else observed.session.role
        if access.narrowed and (role.bypasses or owner in role.memberships):
            yield f"{thing}: row security does not hold this role, so it may use every message"
        if table and table.notifies and "send" in access.allow:
            yield (
                f"{thing}: pgmq notifies of messages, and writes pgmq.notify_insert_throttle as the sender: "
                f"SELECT pgmq.disable_notify_insert('{access.queue}'), or let the role write it"
            )
        taken = find_taken(access, observed) if thing.action in ("create", "replace") else []
        # What PUBLIC loses is said once a queue.
        if taken := [grant for grant in taken if grant.role or access.queue not in queues]:
            holders = f"{spell_name(access.role)} and PUBLIC" if any(not one.role for one in taken) else "it"
            noted = thing.action == "create" and observed.session.notes_found_rights
            yield (
                f"{thing}: `apply` revokes undeclared rights from {holders}: {spell_grants(taken)}"
                + ("; `destroy` gives them back" if noted else "")
            )
        queues.add(access.queue)
    for policy in rights.policies:
        if policy.queue in queues and policy.marker is None and not policy.name.startswith("changelane_"):
            yield (
                f"policy {spell_name(policy.name)} on pgmq.{policy.table} is not of Changelane, and applies "
                "in addition to the declared access"
            )


def find_taken(access: Access, observed: Observed) -> list[Grant]:
    """Rights on the queue that bringing the access about revokes and does not give again."""
    queue = observed.queues.get(access.queue)
    columns = queue.columns if queue else ()
    wanted = find_rights(access.allow, columns=columns, working=access.working)
    return [
        grant
        for grant in observed.rights.grants
        if grant.queue == access.queue
        and grant.role in (access.role, "")
        and (grant.part or grant.grantable or not grant.role or grant.right not in wanted)
    ]


def find_withdrawn(project: str, observed: Observed, *, declared: Iterable[Access] = ()) -> Iterator[Object]:
    """Access with the project's marker that is not among ``declared``, as orphans."""
    declared = tuple(declared)
    rights = observed.rights
    known = frozenset[tuple[str, bool, str]]().union(*map(list_known, declared))
    pairs = {(access.queue, access.role) for access in declared}
    groups: dict[tuple[str, str | None], list[Policy]] = {}
    for policy in rights.policies:
        if not policy.marker or policy.marker.project != project:
            continue
        if (policy.queue, policy.archive, policy.name) in known:
            continue
        alone = policy.roles[0] if len(policy.roles) == 1 else ""
        if (policy.queue, alone) not in pairs:
            groups.setdefault((policy.queue, alone or None), []).append(policy)
    functions = list_withdrawn(project, rights, declared=declared)
    for pair in functions:
        groups.setdefault(pair, [])
    for (queue, role), policies in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        revoked = role if role and not _is_shared(queue, role, project, rights) else None
        schemas = _find_last_schemas(revoked, observed, pairs=pairs, groups=groups) if revoked else ()
        yield Object(
            kind="access",
            name=f"{queue} for {spell_name(role) if role else 'several roles'}",
            state="orphaned",
            detail="no longer declared",
            action="drop",
            withdrawal=Withdrawal(
                queue=queue,
                role=revoked,
                # The queue comes before its archive, in the order in which archiving locks them.
                policies=tuple(sorted(((policy.table, policy.name) for policy in policies), reverse=True)),
                schemas=tuple(schemas),
                functions=tuple(functions.get((queue, role), ())),
            ),
        )


def _is_shared(queue: str, role: str, project: str, rights: Rights) -> bool:
    """Whether the role's rights on the queue must stay: the role owns it, or another project declared
    them.
    """
    table = rights.tables.get((queue, False))
    others = (
        policy.marker.project != project
        for policy in rights.policies
        if policy.queue == queue and role in policy.roles and policy.marker
    )
    return table is None or table.owner == role or any(others)


def _find_last_schemas(
    role: str,
    observed: Observed,
    *,
    pairs: Collection[tuple[str, str]],
    groups: Collection[tuple[str, str | None]],
) -> Iterator[str]:
    """Schemas that the role no longer needs once its rights on the queues of ``groups`` are gone.

    If ``pgmq_public`` belongs to another tool, so does USAGE of pgmq: Supabase grants it with its API.
    """
    rights = observed.rights
    kept = {grant.queue for grant in rights.grants if grant.role == role}
    kept -= {queue for queue, other in groups if other == role}
    if kept or any(other == role for _, other in pairs):
        return
    if rights.api is None or rights.api.marker:
        yield "pgmq"
    if observed.session.has_schema and all(
        function.owner != role for function in observed.functions.values()
    ):
        yield SCHEMA
