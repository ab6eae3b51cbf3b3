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

    @property
    def policies(self) -> tuple[tuple[str, Policy], ...]:
        """Each policy with its name, which is unique to project, role and table."""
        tag = hashlib.sha256(f"{self.project}\0{self.role}".encode()).hexdigest()[:8]
        return tuple(
            (
                f"changelane_{policy.operation}_{policy.command}_{'bounds_' * policy.restrictive}{tag}",
                replace(policy, check="bounds") if policy.restrictive and not self.refused else policy,
            )
            for policy in POLICIES
            if policy.operation in self.operations
        )

    def list_names(self, place: Place) -> tuple[str, ...]:
        """Of the policies on the queue's table, or on its archive's."""
        return tuple(name for name, policy in self.policies if policy.place == place)

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
