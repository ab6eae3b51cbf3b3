"""``manifest.json``: everything that the runner knows of a spec.

The generator writes it beside the SQL files; plan, apply, verify, destroy and the worker read nothing else. A
step is a slice of one SQL file, named by its byte range and guarded by its hash, so the SQL that was reviewed
is the SQL that runs.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from changelane.contract.access import Operation, works
from changelane.contract.catalog import Record
from changelane.contract.selection import Selection
from changelane.errors import ManifestError

FORMAT_VERSION = 1

Event = Literal["insert", "update", "delete", "truncate"]
Level = Literal["statement", "row"]


class Step(Record):
    """Bytes ``start`` to ``end`` of ``file`` (relative to ``sql_out/``); ``sha256`` is theirs, in hex."""

    file: str
    start: int
    end: int
    sha256: str


class Partition(Record):
    """How a partitioned queue is cut by time; both in seconds. What is older than ``retain`` is dropped."""

    interval: int
    retain: int


class Archive(Record):
    """Handled messages are archived, and pruned ``keep`` seconds later."""

    keep: int


class DeadLetters(Record):
    """Dead letters are deleted ``keep`` seconds after they came; ``alarm`` of them or more are too many."""

    keep: int | None = None
    alarm: int | None = None


class Queue(Record):
    """A queue to be present; a dead-letter queue is one of its own, with ``dead_letter`` None.

    ``spec`` is the hash of what was declared, ``live`` of what the catalog says then (``changelane.marker``).
    ``step`` creates it where it is missing, ``settings_step`` sets what can be set anew at any time.
    """

    name: str
    kind: Literal["logged", "unlogged", "partitioned"] = "logged"
    partition: Partition | None = None
    archive: Archive | None = None
    autovacuum: str = ""
    """Storage parameters of its table, as in ``pg_class.reloptions``: sorted, a blank between them."""
    dead_letter: str | None = None
    dead_letters: DeadLetters | None = None
    ordered: bool = False
    """Whether a consumer keeps the order of keys, which takes an index on the queue's table."""
    spec: str
    live: str
    step: Step
    settings_step: Step


class Capture(Record):
    """One route's trigger and function on one table for one event.

    ``name`` is the function's. ``trigger`` is the trigger's, empty in a manifest of an older version, where
    both have one name. ``function_live`` and ``trigger_live`` are the hashes that the live catalog yields
    once the steps have run (``changelane.marker``). ``reason`` says why the level is what it is:
    ``declared``, why the generator chose rows, or empty.
    """

    name: str
    trigger: str = ""
    route: str
    schema_: str = Field(alias="schema")
    table: str
    event: Event
    level: Level
    reason: str = ""
    fire: Literal["origin", "always", "replica"] = "origin"
    send: Literal["pgmq", "inline"] = "pgmq"
    queues: tuple[str, ...]
    calls: tuple[tuple[str, str], ...] = ()
    """Functions, operators and types of a user's schemas in its expressions, as (schema, name)."""
    measures: bool = False
    """Whether it calls ``changelane.measure`` or ``changelane.digest``."""
    waking: bool = False
    """Whether it looks who sleeps, in ``changelane.sleepers``."""
    columns: tuple[str, ...] = ()
    """Columns that the function names, so that plan and verify can say which route a drop breaks."""
    types: dict[str, str] = Field(default_factory=dict)
    """Columns that its expressions see, each with its type, which another type may not suit."""
    check: str = ""
    """What follows SELECT to have Postgres look at its expressions, which neither reads nor evaluates."""
    spec: str
    function_live: str
    trigger_live: str
    function_step: Step
    trigger_step: Step

    @property
    def identity(self) -> tuple[str, str]:
        return (self.schema_, self.table)

    @property
    def trigger_name(self) -> str:
        return self.trigger or self.name


class Table(Record):
    """What ``catalog.json`` said of a table that bears triggers of a route."""

    schema_: str = Field(alias="schema")
    name: str
    primary_key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str]:
        return (self.schema_, self.name)


class Route(Record):
    """Which tables a route means, so that the live database can be asked whether they are the captured ones.

    ``keyed``: the spec names the key of its messages, which otherwise is the primary key. ``sends``: all
    columns that a row has, the reviewed ones (those of the catalog), or those that the spec names.
    """

    name: str
    selection: Selection
    keyed: bool = False
    sends: Literal["all", "reviewed", "named"] = "all"


class Owner(Record):
    """The role that capture functions belong to. ``step`` makes it, and gives it what it lacks to send."""

    role: str
    step: Step


class Access(Record):
    """What one role may do with one queue. ``narrowed`` are the operations that see some rows only.

    ``policies`` are the names of its policies, those on the queue's table and those on its archive's;
    ``spec`` is the hash of what was declared. What the catalog says of policies is hashed by the server.

    With ``via: functions``, ``role`` is one of ours that holds the rights, and ``caller`` the declared role,
    which may execute ``functions``, that run as ``role``, and nothing else.
    """

    queue: str
    role: str
    caller: str = ""
    functions: tuple[str, ...] = ()
    allow: tuple[Operation, ...]
    narrowed: tuple[Operation, ...] = ()
    policies: tuple[str, ...]
    archive_policies: tuple[str, ...] = ()
    spec: str
    step: Step

    @property
    def declared(self) -> str:
        """The role that the spec names."""
        return self.caller or self.role

    @property
    def working(self) -> bool:
        """Whether the role can run a worker, which needs rights on the tables."""
        return not self.caller and works(self.allow)


class Api(Record):
    """Schema ``pgmq_public``: ``grants`` is role to the functions that it may execute."""

    grants: dict[str, tuple[str, ...]]
    spec: str
    step: Step
    grant_step: Step


class Schedule(Record):
    """Messages sent at set times: by ``cron`` in ``timezone``, or ``every`` so many seconds. ``step``
    declares it in the database, by which workers run it; ``spec`` is the hash of what was declared.
    """

    name: str
    queue: str
    cron: str | None = None
    every: int | None = None
    timezone: str = "UTC"
    body: JsonValue
    missed: Literal["once", "skip"] = "once"
    spec: str
    step: Step


class Retry(Record):
    """Backoff between failed attempts; ``first`` and ``max`` in seconds. ``never`` names exceptions after
    which there is no further attempt: built-in ones, or as ``module.path:Class``.
    """

    attempts: int = 8
    backoff: Literal["exponential", "linear", "constant"] = "exponential"
    first: float = 1.0
    max: float = 600.0
    never: tuple[str, ...] = ()


class Consumer(Record):
    """How one queue is worked. ``lease`` and ``timeout`` in seconds; ``timeout`` None means no limit.

    ``rate`` is messages a second for each process; None means no limit. ``archive``: what is handled is kept.
    """

    queue: str
    handler: str
    mode: Literal["transactional", "at_least_once"] = "at_least_once"
    batch: int = 50
    concurrency: int = 8
    ordering: Literal["none", "key"] = "none"
    lease: float = 60.0
    timeout: float | None = None
    retry: Retry = Retry()
    on_exhausted: Literal["dead_letter", "archive", "block"] = "dead_letter"
    dead_letter: str
    dead_letters: DeadLetters | None = None
    archive: Archive | None = None
    rate: float | None = None


class Manifest(Record):
    """``files`` maps each SQL file to the sha256 of its bytes, in hex; ``spec`` is the digest of the spec
    that it was generated from (``changelane.digest``), empty where an older version wrote it.
    """

    format_version: Literal[1] = 1
    project: str
    spec: str = ""
    files: dict[str, str]
    owner: Owner | None = None
    queues: tuple[Queue, ...]
    captures: tuple[Capture, ...]
    routes: tuple[Route, ...] = ()
    tables: tuple[Table, ...] = ()
    consumers: tuple[Consumer, ...]
    access: tuple[Access, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    api: Api | None = None

    def dump(self) -> str:
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def load_manifest(out: Path) -> Manifest:
    """Read ``manifest.json`` in ``out``; raises ManifestError when it is missing or not of this version."""
    path = out / "manifest.json"
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ManifestError(f"{path} does not exist", help="run `changelane generate` to write it") from None
    except ValidationError as error:
        raise ManifestError(
            f"{path} is not a manifest of format {FORMAT_VERSION}: {error.errors()[0]['msg']}",
            help="run `changelane generate` to write it anew",
        ) from None


_FILE = re.compile(r"(queues|routes|access)/[a-z_][a-z0-9_]*\.sql|(?:api|owner|schedules)\.sql")


def read_files(manifest: Manifest, out: Path) -> dict[str, bytes]:
    """The bytes of every SQL file that the manifest names.

    Raises ManifestError, naming every file that is missing or whose bytes are not what was generated.
    """
    contents: dict[str, bytes] = {}
    wrong: list[str] = []
    for name, expected in manifest.files.items():
        try:
            content = (out / name).read_bytes() if _FILE.fullmatch(name) else None
        except FileNotFoundError:
            content = None
        if content is None or hashlib.sha256(content).hexdigest() != expected:
            wrong.append(name)
        else:
            contents[name] = content
    if wrong:
        raise ManifestError(
            f"{', '.join(str(out / name) for name in wrong)}: not as generated (edited by hand, or missing)",
            help="edit pipelines.yaml instead, then run `changelane generate`; nothing was applied",
        )
    return contents


def read_step(step: Step, files: dict[str, bytes]) -> str:
    """The SQL of one step. Raises ManifestError when its hash does not hold."""
    content = files.get(step.file, b"")[step.start : step.end]
    if hashlib.sha256(content).hexdigest() != step.sha256:
        raise ManifestError(
            f"a step of {step.file} is not what the manifest says", help="run `changelane generate`"
        )
    return content.decode()
