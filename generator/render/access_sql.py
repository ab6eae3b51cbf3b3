"""What one role may do with one queue, gathered from a spec."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from changelane.contract.access import (
    OPERATIONS,
    POLICIES,
    Operation,
    Place,
    Policy,
    find_rights,
    name_functions,
    works,
)
from changelane.contract.access import OPTIONAL_COLUMN as OPTIONAL
from changelane.contract.envelope import RESERVED
from changelane.generator.spec.loading import Document
from changelane.generator.spec.models import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """``operations`` maps each to its expression, None where it is for all messages.

    ``role`` holds the rights on the tables. ``caller`` is empty, or the declared role, which holds none and
    calls functions that run as ``role``. ``trusted``: it writes headers that no client may, as the owner of
    capture functions does.
    """

    project: str
    queue: str
    role: str
    operations: Mapping[Operation, str | None]
    caller: str = ""
    trusted: bool = False

    @property
    def working(self) -> bool:
        """Whether the role can run a worker, which needs the tables."""
        return not self.caller and works(self.operations)

    @property
    def refused(self) -> tuple[str, ...]:
        """Headers that the role may not write."""
        return () if self.trusted or self.working else RESERVED

    @property
    def functions(self) -> Mapping[str, str]:
        """Purpose to name of the functions that the caller may execute."""
        if not self.caller:
            return {}
        tag = hashlib.sha256(f"{self.project}\0{self.caller}".encode()).hexdigest()[:7]
        return name_functions(self.operations, queue=self.queue, tag=tag)

    def list_policies(self, place: Place) -> dict[str, list[Policy]]:
        """The policies on the queue's table, or on its archive's, by a name that is unique to project, role
        and table. One that widens covers all operations that need its command: a second would be evaluated
        beside it for every row.
        """
        groups: dict[tuple[str, bool], list[Policy]] = {}
        for policy in POLICIES:
            if policy.operation in self.operations and policy.place == place:
                if policy.restrictive and not self.refused:
                    policy = replace(policy, check="bounds")
                groups.setdefault((policy.command, policy.restrictive), []).append(policy)
        tag = hashlib.sha256(f"{self.project}\0{self.role}".encode()).hexdigest()[:8]
        return {
            "_".join(
                ["changelane", *(policy.operation for policy in policies), command]
                + ["bounds"] * restrictive
                + [tag]
            ): policies
            for (command, restrictive), policies in groups.items()
        }

    def list_rights(self, place: Place, *, optional: bool) -> list[tuple[str, list[str]]]:
        """Privileges on that table, each with its columns, none for the whole table; ``optional``: those on
        the column that only later versions of pgmq have, else all others.
        """
        columns: dict[str, list[str]] = {}
        for right in sorted(find_rights(self.operations, columns=(OPTIONAL,), working=self.working)):
            if right.place == place and (right.column == OPTIONAL) == optional:
                columns.setdefault(right.privilege, []).extend([right.column] if right.column else [])
        return list(columns.items())

    def model(self) -> Mapping[str, object]:
        """All that is rendered of it, as JSON-able data for its spec hash."""
        return {
            "queue": self.queue,
            "role": self.role,
            "operations": dict(self.operations),
            "refused": self.refused,
            "policies": [*self.list_policies("queue"), *self.list_policies("archive")],
            **({"caller": self.caller} if self.caller else {}),
        }


def list_grants(document: Document, using: Mapping[tuple[str, int], str]) -> list[tuple[str, Grant]]:
    """Every grant, after the declared queue in whose file it goes. ``using`` are the expressions, by queue
    and place in its list.
    """
    return [(name, grant) for name in document.spec.queues for grant in _gather(document.spec, name, using)]


def _gather(spec: Spec, queue: str, using: Mapping[tuple[str, int], str]) -> Iterator[Grant]:
    """By role. One that works the queue may send to its dead-letter queue, unless that says who may."""
    declared: dict[str, dict[Operation, str | None]] = {}
    callers: set[str] = set()
    if spec.owner and spec.queues[queue].access and any(queue in route.queues for route in spec.routes):
        # Row security holds the owner of capture functions, who does not own the queue.
        declared[spec.owner] = {"send": None}
    for index, access in enumerate(spec.queues[queue].access):
        condition = using.get((queue, index))
        declared.setdefault(access.role, {}).update(dict.fromkeys(access.allow, condition))
        if access.via == "functions":
            callers.add(access.role)
    for role, found in declared.items():
        operations = {name: found[name] for name in OPERATIONS if name in found}
        grant = Grant(
            project=spec.project,
            queue=queue,
            role=name_actor(spec.project, role) if role in callers else role,
            operations=operations,
            caller=role if role in callers else "",
            trusted=role == spec.owner,
        )
        yield grant
        dead_letter = spec.dead_letter(queue)
        if grant.working and dead_letter not in spec.queues:
            sending: dict[Operation, str | None] = {"send": operations["send"]}
            yield Grant(project=spec.project, queue=dead_letter, role=role, operations=sending, trusted=True)


def name_actor(project: str, caller: str) -> str:
    """The role as which the functions of ``caller`` run; nobody logs in as it."""
    tag = hashlib.sha256(f"{project}\0{caller}".encode()).hexdigest()[:8]
    return f"changelane_{project}_{tag}"
