"""Finds rights on queues that nobody declared, and how to revoke them."""

from __future__ import annotations

from collections.abc import Iterator

from changelane.contract.manifest import Manifest
from changelane.contract.queue_name import fold
from changelane.runner.compare.compare_access import spell_grants
from changelane.runner.compare.object import Object, Withdrawal
from changelane.runner.compare.renames import read_queues
from changelane.runner.live.observe import Observed
from changelane.runner.live.rights import Grant
from changelane.text import spell_name

SENDING = ("INSERT", "SELECT")
"""Privileges on a queue's table that the owner of a capture function needs."""


def find_undeclared(manifest: Manifest, observed: Observed) -> Iterator[Object]:
    """Rights on queues with declared access, of roles without any: drift.

    Not counted: the rights that an owner of a capture function needs to send, and SELECT for pg_monitor,
    which pgmq grants. Other rights of declared roles, and those of PUBLIC, are drift of the declared access.
    """
    rights = observed.rights
    queues = {access.queue for access in manifest.access}
    declared = {(access.queue, access.role) for access in manifest.access}
    declared |= {(policy.queue, role) for policy in rights.policies if policy.marker for role in policy.roles}
    senders = list_senders(observed)
    found: dict[tuple[str, str], list[Grant]] = {}
    for grant in rights.grants:
        pair = (grant.queue, grant.role)
        sends = (
            (fold(grant.queue), grant.role) in senders
            and not (grant.part or grant.archive)
            and grant.privilege in SENDING
        )
        if grant.queue not in queues or pair in declared or not grant.role or sends or is_monitored(grant):
            continue
        found.setdefault(pair, []).append(grant)
    for (queue, role), grants in sorted(found.items()):
        yield Object(
            kind="access",
            name=f"{queue} for {spell_name(role)}",
            state="drifted",
            detail=f"it may {spell_grants(grants)}, and nothing declares it",
            action="drop",
            withdrawal=Withdrawal(
                queue=queue, role=role, parts=tuple(sorted({grant.part for grant in grants if grant.part}))
            ),
        )


def is_monitored(grant: Grant) -> bool:
    """Whether pgmq made the grant: it lets pg_monitor read all tables that it creates."""
    return grant.role == "pg_monitor" and grant.privilege == "SELECT"


def list_senders(observed: Observed) -> frozenset[tuple[str, str]]:
    """Owners of capture functions of all projects, each with a queue that the function sends
    to, in lower case.
    """
    return frozenset(
        (fold(queue), function.owner)
        for function in observed.functions.values()
        if function.marker
        for queue in read_queues(function)
    )
