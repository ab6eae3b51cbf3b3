"""The one-line COMMENT that marks Changelane's own objects, and the hashes that reveal drift.

``spec`` is the hash of the declaration, ``live`` the hash of the catalog entries that result from it. Both
halves compute ``live`` with these functions: the generator from its rendered SQL, the runner from the
database. The functions use only facts that every server major spells alike. So a marker survives dump,
restore and upgrade.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from changelane.contract.queue_name import decode, encode
from changelane.contract.sql_text import load_sql

SCHEMA = "changelane"
"""The schema of the trigger functions and of the worker's own objects."""

POLICY_LIVE = load_sql(__name__, "policy_live")
"""SQL of the live hash of ``policy``, a row of pg_policy, under the settings in ``changelane/contract/sql``.
"""
FUNCTION_LIVE = load_sql(__name__, "function_live")
"""SQL of the live hash of ``proc``, a function of schema ``changelane_access``."""
API_LIVE = load_sql(__name__, "api_live")
"""SQL of the live hash of the functions in schema ``pgmq_public``."""

TRIGGER_ROW = 1
TRIGGER_EVENTS = {"insert": 4, "delete": 8, "update": 16, "truncate": 32}
"""Bits of ``pg_trigger.tgtype`` (src/include/catalog/pg_trigger.h); AFTER sets none."""

ANCHOR = "'0'::regclass /* this table */"
"""A placeholder for the table's number in a row capture's body. `apply` replaces it."""
_ANCHORED = re.compile(r"'(\d+)'::regclass /\* this table \*/")
_REMARK = "/* this table */"

_SPELL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode

_LINE = re.compile(
    r"changelane:1 project=(?P<project>\S+) (?P<kind>route|retired|queue|access|api)=(?P<name>\S+)"
    r" spec=(?P<spec>[0-9a-f]{12}) live=(?P<live>[0-9a-f]{12})"
    r"(?: queues=(?P<queues>\S+))?(?: pg=(?P<pg>\d+))?"
)


@dataclass(frozen=True, slots=True)
class Marker:
    """``kind`` says what ``name`` means. It is the route of a trigger or function, the queue of a queue table
    or policy (``access``), or the schema of the API. A ``retired`` route's function does nothing any more.
    ``queues`` are those that a function sends to, empty if the marker does not name them. ``pg`` is the major
    version of the server that hashed ``live``, 0 if no server did.
    """

    project: str
    kind: str
    name: str
    spec: str
    live: str
    queues: tuple[str, ...] = ()
    pg: int = 0


def format_marker(
    *, project: str, kind: str, name: str, spec: str, live: str, queues: Sequence[str] = ()
) -> str:
    """The whole line; ``queues`` are those that a capture function sends to."""
    line = f"changelane:1 project={project} {kind}={encode(name)} spec={spec} live={live}"
    return f"{line} queues={','.join(map(encode, queues))}" if queues else line


def parse_marker(comment: str | None) -> Marker | None:
    """The marker in a COMMENT, or None when there is none."""
    found = _LINE.fullmatch(comment or "")
    if found is None:
        return None
    queues = tuple(map(decode, found["queues"].split(","))) if found["queues"] else ()
    return Marker(
        project=found["project"],
        kind=found["kind"],
        name=decode(found["name"]),
        spec=found["spec"],
        live=found["live"],
        queues=queues,
        pg=int(found["pg"] or 0),
    )


def hash_place(*, project: str, schema: str, table: str) -> str:
    """8 hex digits at the end of a capture's name. They tell whose changes its function sends."""
    return hashlib.sha256("\0".join((project, schema, table)).encode()).hexdigest()[:8]


def hash_model(model: object) -> str:
    """A hash of a JSON-able value, as 12 hex digits."""
    return hash_spelling(spell_model(model))


def spell_model(model: object) -> str:
    """The one text of a JSON-able value that is hashed."""
    return _SPELL(model)


def hash_spelling(text: str) -> str:
    """A hash of a text, as 12 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def hash_function(
    *, body: str, language: str, security_definer: bool, config: Sequence[str], public_execute: bool
) -> str:
    """The live hash of a function: ``prosrc``, ``lanname``, ``prosecdef``, ``proconfig``, and whether PUBLIC
    may execute it. The hash leaves out its table's number, which differs between databases.
    """
    if _REMARK in body:
        body = _ANCHORED.sub(lambda found: ANCHOR, body)
    return hash_model(["function", body, language, security_definer, sorted(config), public_execute])


def read_anchor(body: str) -> int | None:
    """The table's number (``pg_class.oid``) in a row capture's function body; None in other functions."""
    found = _ANCHORED.search(body) if _REMARK in body else None
    return int(found[1]) if found else None


def hash_trigger(
    *, function: str, type: int, old_table: str | None, new_table: str | None, conditional: bool, columns: int
) -> str:
    """The live hash of a trigger: function as ``schema.name`` unquoted, ``tgtype``, ``tgoldtable``,
    ``tgnewtable``, whether it has a WHEN, and its number of columns (``UPDATE OF``). Whether the trigger is
    enabled is a state of its own and not part of the hash.
    """
    return hash_model(["trigger", function, type, old_table, new_table, conditional, columns])


def hash_queue(
    *,
    kind: str,
    autovacuum: Sequence[str] = (),
    partition: Sequence[int | bool | None] | None = None,
    lasting_ids: bool = True,
) -> str:
    """The live hash of a queue. It covers ``logged``, ``unlogged`` or ``partitioned``, as ``pgmq.meta`` says.
    It covers the autovacuum ``reloptions`` of its tables, sorted and joined by blanks. For a partitioned
    queue it also covers the seconds of the interval, of the retention and of the archive's retention; whether
    partitions are made while the queue is idle; and whether ids survive a crash.
    """
    return hash_model(["queue", kind, sorted(autovacuum), partition and list(partition), lasting_ids])
