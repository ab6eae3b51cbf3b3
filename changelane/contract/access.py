"""The rights that each operation on a queue needs: on tables, on pgmq's functions, and by policies on rows.

The generator renders these rights, and the runner compares the database with them. A right covers single
columns wherever pgmq's own statements allow that. So a role can do little else with it than call pgmq.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from changelane.contract.queue_name import fold

Operation = Literal["send", "read", "pop", "archive", "delete"]
Place = Literal["queue", "archive"]
Command = Literal["select", "insert", "update", "delete"]

OPERATIONS: tuple[Operation, ...] = get_args(Operation)

COLUMN_TYPES = {
    "msg_id": "bigint",
    "read_ct": "integer",
    "enqueued_at": "timestamp with time zone",
    "vt": "timestamp with time zone",
    "message": "jsonb",
    "headers": "jsonb",
}
"""Columns that queue and archive tables have in every pgmq since 1.5. Expressions may name them. Values are
their types.
"""

COLUMNS = tuple(COLUMN_TYPES)

OPTIONAL_COLUMN = "last_read_at"
"""A column of both tables since pgmq 1.10. The right on it is granted where the column exists."""

_ARCHIVED = ("msg_id", "vt", "read_ct", "enqueued_at", OPTIONAL_COLUMN, "message", "headers")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """A privilege on a queue's table or on its archive table; an empty ``column`` means the whole table."""

    place: Place
    privilege: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy on rows: ``using`` and ``check`` say what its two expressions require; empty: it has none.

    ``rows``: the rows that the declaration selects. ``new``: those of them that this transaction writes.
    ``moved``: those of them that are in the queue when the statement begins. ``none``: no row. ``bounds``:
    rows whose delivery count and time every reader can hold; this policy restricts all others. ``client``:
    those of the declared rows that have no reserved header.
    """

    operation: Operation
    place: Place
    command: Command
    using: Literal["", "rows", "new"] = ""
    check: Literal["", "rows", "moved", "none", "bounds", "client"] = ""

    @property
    def restrictive(self) -> bool:
        return self.check in ("bounds", "client")


def _on(place: Place, privilege: str, *columns: str) -> tuple[Right, ...]:
    return tuple(Right(place, privilege, column) for column in columns or ("",))


_RIGHTS: dict[Operation, tuple[Right, ...]] = {
    "send": (*_on("queue", "INSERT", "vt", "message", "headers"), *_on("queue", "SELECT", "msg_id")),
    "read": (*_on("queue", "SELECT"), *_on("queue", "UPDATE", "vt", "read_ct", OPTIONAL_COLUMN)),
    # The function locks the rows that it deletes, which needs UPDATE on a column. The policy allows no
    # update.
    "pop": (*_on("queue", "SELECT"), *_on("queue", "DELETE"), *_on("queue", "UPDATE", "vt")),
    "archive": (
        *_on("queue", "SELECT"),
        *_on("queue", "DELETE"),
        *_on("archive", "INSERT", *_ARCHIVED),
        *_on("archive", "SELECT", "msg_id"),
    ),
    "delete": (*_on("queue", "SELECT", "msg_id"), *_on("queue", "DELETE")),
}

POLICIES: tuple[Policy, ...] = (
    Policy("send", "queue", "insert", check="rows"),
    Policy("send", "queue", "insert", check="client"),
    # RETURNING msg_id requires that the role sees the row that it sends.
    Policy("send", "queue", "select", using="new"),
    Policy("read", "queue", "select", using="rows"),
    Policy("read", "queue", "update", using="rows"),
    Policy("read", "queue", "update", check="bounds"),
    Policy("pop", "queue", "select", using="rows"),
    Policy("pop", "queue", "update", using="rows", check="none"),
    Policy("pop", "queue", "delete", using="rows"),
    Policy("archive", "queue", "select", using="rows"),
    Policy("archive", "queue", "delete", using="rows"),
    Policy("archive", "archive", "insert", check="moved"),
    Policy("archive", "archive", "insert", check="bounds"),
    Policy("archive", "archive", "select", using="new"),
    Policy("delete", "queue", "select", using="rows"),
    Policy("delete", "queue", "delete", using="rows"),
)

_FUNCTIONS: dict[Operation, tuple[str, ...]] = {
    "send": ("send", "send_batch", "_send_batch", "_validate_batch_params"),
    "read": ("read", "read_with_poll"),
    "pop": ("pop",),
    "archive": ("archive",),
    "delete": ("delete",),
}

API_FUNCTIONS: dict[Operation, tuple[str, ...]] = {
    "send": ("send", "send_batch", "send_with_headers"),
    "read": ("read", "read_with_poll", "set_visibility", "metrics"),
    "pop": ("pop", "metrics"),
    "archive": ("archive", "archive_batch", "metrics"),
    "delete": ("delete", "delete_batch"),
}
"""The functions in schema ``pgmq_public`` that each operation opens."""

ACCESS_FUNCTIONS: dict[Operation, tuple[str, ...]] = {
    "send": ("send",),
    "read": ("read", "poll", "lease", "metrics"),
    "pop": ("pop", "metrics"),
    "archive": ("archive", "metrics"),
    "delete": ("delete",),
}
"""The purposes of the functions in schema ``changelane_access``, by operation."""

ACCESS_SCHEMA = "changelane_access"
"""The schema of the functions for roles whose access is ``via: functions``."""

API_SCHEMA = "pgmq_public"
API_NAMES = tuple(sorted({name for names in API_FUNCTIONS.values() for name in names}))


def works(allow: Collection[str]) -> bool:
    """Whether a role can run a worker. A role that reads, deletes and sends can replace any message. So it
    may also note attempts in headers, move messages to the dead letters, and see pauses.
    """
    return {"send", "read", "delete"} <= set(allow)


def find_rights(
    allow: Collection[str], *, columns: Collection[str], working: bool = False
) -> frozenset[Right]:
    """The rights of a role that may do ``allow``, on tables with ``columns``. A right on the whole table
    replaces those on its columns. ``working``: the role can run a worker.
    """
    wanted = {right for name, rights in _RIGHTS.items() if name in allow for right in rights}
    if working:
        wanted.add(Right("queue", "UPDATE", "headers"))
    return frozenset(
        right
        for right in wanted
        if not (right.column and Right(right.place, right.privilege) in wanted)
        and (right.column != OPTIONAL_COLUMN or OPTIONAL_COLUMN in columns)
    )


def find_functions(allow: Collection[str]) -> tuple[str, ...]:
    """Names of the pgmq functions that the operations call, sorted."""
    names = {name for operation, found in _FUNCTIONS.items() if operation in allow for name in found}
    return tuple(sorted({*names, "format_table_name"}))


def name_functions(allow: Collection[str], *, queue: str, tag: str) -> dict[str, str]:
    """The functions through which a role does ``allow`` with a queue, as purpose to name. ``tag`` is 7 hex
    digits. A name fits into 63 bytes, because a queue's name has at most 47. The queue's part is in
    lower case, as the names of its tables are, so that the API finds it by any spelling that pgmq takes.
    """
    purposes = {name for key, found in ACCESS_FUNCTIONS.items() if key in allow for name in found}
    return {purpose: f"{purpose}_{fold(queue)}_{tag}" for purpose in sorted(purposes)}


def find_api_functions(allow: Iterable[str]) -> tuple[str, ...]:
    """Names of the ``pgmq_public`` functions that the operations open, sorted."""
    allow = set(allow)
    return tuple(sorted({name for key, found in API_FUNCTIONS.items() if key in allow for name in found}))
