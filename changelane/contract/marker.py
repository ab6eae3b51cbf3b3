"""The one-line COMMENT by which Changelane knows its own objects, and the hashes that tell drift.

``spec`` is the hash of what was declared, ``live`` of what the catalog reports once it is so. Both halves
compute ``live`` with the functions here: the generator from what it renders, the runner from what it finds.
They look only at facts that every server major spells alike, so a marker outlives dump, restore and upgrade.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCHEMA = "changelane"
"""The schema that holds the trigger functions and what the worker needs."""

_SQL = Path(__file__).parent / "sql"
POLICY_LIVE = (_SQL / "policy_live.sql").read_text()
"""SQL of the live hash of ``policy``, a row of pg_policy, with the settings of ``changelane/sql``."""
FUNCTION_LIVE = (_SQL / "function_live.sql").read_text()
"""SQL of the live hash of ``proc``, a function of schema ``changelane_access``."""
API_LIVE = (_SQL / "api_live.sql").read_text()
"""SQL of the live hash of the functions in schema ``pgmq_public``."""

TRIGGER_ROW = 1
TRIGGER_EVENTS = {"insert": 4, "delete": 8, "update": 16, "truncate": 32}
"""Bits of ``pg_trigger.tgtype`` (src/include/catalog/pg_trigger.h); AFTER sets none."""

ANCHOR = "'0'::regclass /* this table */"
"""Stands in a row capture's body for its table, whose number `apply` writes in its place."""
_ANCHORED = re.compile(r"'(\d+)'::regclass /\* this table \*/")

_LINE = re.compile(
    r"changelane:1 project=(?P<project>\S+) (?P<kind>route|retired|queue|access|api)=(?P<name>\S+)"
    r" spec=(?P<spec>[0-9a-f]{12}) live=(?P<live>[0-9a-f]{12}) pg=(?P<pg>\d+)"
)


@dataclass(frozen=True, slots=True)
class Marker:
    """``kind`` is what ``name`` names: the route of a trigger or function, which is ``retired`` where it does
    nothing any more, the queue of a queue table or of a policy (``access``), or the schema of the API.
    """

    project: str
    kind: str
    name: str
    spec: str
    live: str
    pg: int


def format_marker(*, project: str, kind: str, name: str, spec: str, live: str) -> str:
    """The line up to and including ``pg=``; the server's major version is added where it is written."""
    return f"changelane:1 project={project} {kind}={name} spec={spec} live={live} pg="


def parse_marker(comment: str | None) -> Marker | None:
    """The marker in a COMMENT, or None where there is none."""
    found = _LINE.fullmatch(comment or "")
    if found is None:
        return None
    return Marker(**{**found.groupdict(), "pg": int(found["pg"])})  # type: ignore[arg-type]


def hash_place(*, project: str, schema: str, table: str) -> str:
    """8 hex digits at the end of a capture's name, by which it is known whose changes its function sends."""
    return hashlib.sha256("\0".join((project, schema, table)).encode()).hexdigest()[:8]


def hash_model(model: object) -> str:
    """12 hex digits of a JSON-able value."""
    text = json.dumps(model, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def hash_function(
    *, body: str, language: str, security_definer: bool, config: Sequence[str], public_execute: bool
) -> str:
    """The live hash of a function: ``prosrc``, ``lanname``, ``prosecdef``, ``proconfig``, and whether PUBLIC
    may execute it. The number of its table, which differs from database to database, is not part of it.
    """
    body = _ANCHORED.sub(lambda found: ANCHOR, body)
    return hash_model(["function", body, language, security_definer, sorted(config), public_execute])


def read_anchor(body: str) -> int | None:
    """The number of the table (``pg_class.oid``) in the body of a row capture's function; None elsewhere."""
    found = _ANCHORED.search(body)
    return int(found[1]) if found else None


def hash_trigger(
    *, function: str, type: int, old_table: str | None, new_table: str | None, conditional: bool, columns: int
) -> str:
    """The live hash of a trigger: function as ``schema.name`` unquoted, ``tgtype``, ``tgoldtable``,
    ``tgnewtable``, whether it has a WHEN, and for how many columns (``UPDATE OF``). Enabled or not is a
    state of its own and not part of it.
    """
    return hash_model(["trigger", function, type, old_table, new_table, conditional, columns])


def hash_queue(
    *,
    kind: str,
    autovacuum: Sequence[str] = (),
    partition: Sequence[int | bool | None] | None = None,
    lasting_ids: bool = True,
) -> str:
    """The live hash of a queue: ``logged``, ``unlogged`` or ``partitioned``, as ``pgmq.meta`` says; each
    ``reloptions`` on autovacuum, sorted and joined by blanks, that a table of it has; if partitioned, the
    seconds of its interval, of its retention and of its archive's, and whether partitions are made for an
    idle queue, too; and whether ids outlive a crash.
    """
    return hash_model(["queue", kind, sorted(autovacuum), partition and list(partition), lasting_ids])
