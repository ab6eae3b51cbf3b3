"""``manifest.json``: everything that the runner knows of a spec.

The generator writes it beside the SQL files. The commands plan, apply, verify, destroy and the worker read
nothing else. A step is a byte range of one SQL file, guarded by its hash. So the SQL that was reviewed is the
SQL that runs.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from changelane.contract.access import Operation, works
from changelane.contract.coalesce import Coalesce
from changelane.contract.destination import Destination, Relay
from changelane.contract.groups import ClaimIndex, Counted, list_claim_indexes
from changelane.contract.missing import describe_missing, suggest_folder
from changelane.contract.record import Record
from changelane.contract.selection import Selection
from changelane.errors import ManifestError

FORMAT_VERSION = 1

Event = Literal["insert", "update", "delete", "truncate"]
Level = Literal["statement", "row"]


class Step(Record):
    """Bytes ``start`` to ``end`` of ``file`` (relative to ``sql_out/``); ``sha256`` is their hash, in hex."""

    file: str
    start: int
    end: int
    sha256: str


class Partition(Record):
    """The width and lifetime of a queue's time partitions, in seconds. Partitions older than ``retain`` are
    dropped.
    """

    interval: int
    retain: int


class Archive(Record):
    """Handled messages go to the archive and are pruned ``keep`` seconds later."""

    keep: int


class DeadLetters(Record):
    """Dead letters are deleted ``keep`` seconds after they came; ``alarm`` or more of them are too many."""

    keep: int | None = None
    alarm: int | None = None


class Queue(Record):
    """A declared queue. A dead-letter queue has an entry of its own, whose ``dead_letter`` is None.

    ``spec`` is the hash of the declaration, ``live`` the hash of the resulting catalog entries
    (``changelane.contract.marker``). ``step`` creates the queue; ``settings_step`` sets what can be changed
    later.
    """

    name: str
    kind: Literal["logged", "unlogged", "partitioned"] = "logged"
    partition: Partition | None = None
    archive: Archive | None = None
    autovacuum: str = ""
    """Storage parameters of its table, as in ``pg_class.reloptions``: sorted, joined by blanks."""
    dead_letter: str | None = None
    dead_letters: DeadLetters | None = None
    ordered: bool = False
    """Whether a consumer keeps the order of keys or merges them, which needs an index on its table."""
    groups: tuple[tuple[str, ...], ...] = ()
    """What its consumer takes turns by, which needs an index (``changelane.contract.groups``)."""
    counts: tuple[Counted, ...] = ()
    """Of which its consumer counts the leased messages, which needs an index each."""
    spec: str
    live: str
    step: Step
    settings_step: Step

    @property
    def claim_indexes(self) -> list[ClaimIndex]:
        """The indexes that claims of its consumer need for turns and limits."""
        return list_claim_indexes(self.groups, self.counts)


class Capture(Record):
    """One route's trigger and function on one table for one event.

    ``name`` is the function's name, ``trigger`` the trigger's. In a manifest of an older version ``trigger``
    is empty, and both have one name. ``function_live`` and ``trigger_live`` are the hashes of the live
    catalog after the steps have run (``changelane.contract.marker``). ``reason`` explains the level:
    ``declared``, the generator's reason for row triggers, or empty.
    """

    # An older version wrote fields that nothing needs any more.
    model_config = ConfigDict(extra="ignore")

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
    """Functions, operators and types of user schemas in its expressions, as (schema, name)."""
    waking: bool = False
    """Whether the function looks for sleeping workers in ``changelane.sleepers``."""
    columns: tuple[str, ...] = ()
    """Columns that the function names, so that plan and verify can say which route a dropped column breaks.
    """
    types: dict[str, str] = Field(default_factory=dict)
    """Columns that its expressions read, each with its type: another type may not fit the expression."""
    masked: tuple[str, ...] = ()
    """Columns whose values its messages mask."""
    check: str = ""
    """A SELECT list with which Postgres checks the expressions, without reading or evaluating anything."""
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
    """The facts in ``catalog.json`` on a table that carries triggers of a route."""

    schema_: str = Field(alias="schema")
    name: str
    primary_key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str]:
        return (self.schema_, self.name)


class Route(Record):
    """The tables that a route selects. The runner asks the live database whether they are the captured ones.

    ``keyed``: the spec names the message key, which is the primary key otherwise. ``sends``: which columns a
    message holds: all columns of the row, the reviewed ones (those of the catalog), or those that the spec
    names.
    """

    name: str
    selection: Selection
    keyed: bool = False
    sends: Literal["all", "reviewed", "named"] = "all"


class Owner(Record):
    """The role that owns the capture functions. ``step`` creates it and grants it the rights to send."""

    role: str
    step: Step


class Access(Record):
    """The rights of one role on one queue. ``narrowed`` lists the operations that see only some rows.

    ``policies`` are the names of its policies, on the queue's table and on the archive table. ``spec`` is the
    hash of the declaration. The server computes the hash of the policies in its catalog.

    With ``via: functions``, ``role`` is a role that Changelane makes and that holds the rights. ``caller`` is
    the declared role. It may execute ``functions``, which run as ``role``, and nothing else.
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
    """Schema ``pgmq_public``: ``grants`` maps each role to the functions that it may execute."""

    grants: dict[str, tuple[str, ...]]
    spec: str
    step: Step
    grant_step: Step


class Schedule(Record):
    """Messages sent at set times: by ``cron`` in ``timezone``, or ``every`` so many seconds. ``step``
    declares it in the database, by which workers run it; ``spec`` is the hash of its declaration.
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
    """The pauses between failed attempts; ``first`` and ``max`` in seconds. ``never`` names exceptions that
    end the attempts at once: built-in ones, or ``module.path:Class``.
    """

    attempts: int = 8
    backoff: Literal["exponential", "linear", "constant"] = "exponential"
    first: float = 1.0
    max: float = 600.0
    never: tuple[str, ...] = ()


class Limit(Record):
    """Bounds over all workers: messages handled at once, and messages a second; None means no limit."""

    concurrency: int | None = None
    rate: float | None = None


class Fair(Limit):
    """Groups take turns, each within the limit. ``by`` are places in the message
    (``changelane.contract.groups``).
    """

    by: tuple[tuple[str, ...], ...]


class Consumer(Record):
    """How a worker handles one queue: by ``handler`` or ``relay``, the other is None. ``lease`` and
    ``timeout`` in seconds; ``timeout`` None means no limit, as for every relay, which has its own.

    ``rate`` is messages a second for each process; None means no limit. ``archive``: handled messages are
    kept.
    """

    queue: str
    handler: str | None = None
    relay: Relay | None = None
    mode: Literal["transactional", "at_least_once"] = "at_least_once"
    batch: int = 50
    concurrency: int = 8
    ordering: Literal["none", "key"] = "none"
    coalesce: Coalesce | None = None
    lease: float = 60.0
    timeout: float | None = None
    retry: Retry = Retry()
    on_exhausted: Literal["dead_letter", "archive", "block"] = "dead_letter"
    dead_letter: str
    dead_letters: DeadLetters | None = None
    archive: Archive | None = None
    rate: float | None = None
    fair: Fair | None = None
    limit: Limit | None = None
    claim: Literal["auto", "take", "lease"] = "auto"

    @property
    def counts(self) -> tuple[Counted, ...]:
        """What has a bound of messages handled at once."""
        bounds: tuple[tuple[Counted, Limit | None], ...] = (("group", self.fair), ("queue", self.limit))
        return tuple(counted for counted, limit in bounds if limit and limit.concurrency)

    @property
    def limited(self) -> bool:
        """Whether it has a limit over all workers."""
        return any(bounds and (bounds.concurrency or bounds.rate) for bounds in (self.fair, self.limit))

    @property
    def keyed(self) -> bool:
        """Whether no two changes of one key are handled at once, for which its queue needs an index."""
        return self.ordering == "key" or self.coalesce is not None


class Manifest(Record):
    """``files`` maps each SQL file to the sha256 of its bytes, in hex. ``spec`` is the digest of the spec
    (``changelane.contract.digest``), empty when an older version wrote the manifest. ``schema_step`` makes
    schema ``changelane`` and what all captures share.
    """

    format_version: Literal[1] = 1
    project: str
    spec: str = ""
    files: dict[str, str]
    schema_step: Step | None = None
    owner: Owner | None = None
    queues: tuple[Queue, ...]
    captures: tuple[Capture, ...]
    routes: tuple[Route, ...] = ()
    tables: tuple[Table, ...] = ()
    consumers: tuple[Consumer, ...]
    destinations: tuple[Destination, ...] = ()
    access: tuple[Access, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    api: Api | None = None

    def dump(self) -> str:
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def load_manifest(out: Path) -> Manifest:
    """Read ``manifest.json`` in ``out``. Raises ManifestError when it is missing or has another version."""
    path = out / "manifest.json"
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ManifestError(
            describe_missing(path), fix=suggest_folder(path, fix="run `changelane generate` to write it")
        ) from None
    except ValidationError as error:
        raise ManifestError(
            f"{path} is not a manifest of format {FORMAT_VERSION}: {error.errors()[0]['msg']}",
            fix="run `changelane generate` to write it anew",
        ) from None


_FILE = re.compile(
    r"(queues|routes|access)/[a-z0-9_.%A-F~-]+\.sql|routes/[a-z_][a-z0-9_]*/[a-z0-9_.%A-F~]+\.sql"
    r"|(?:api|owner|schedules|schema)\.sql"
)


def read_files(manifest: Manifest, out: Path) -> dict[str, bytes]:
    """The bytes of every SQL file that the manifest names.

    Raises ManifestError that names every file that is missing or differs from the generated one.
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
            fix="edit pipelines.yaml instead, then run `changelane generate`; nothing was applied",
        )
    return contents


def read_step(step: Step, files: dict[str, bytes]) -> str:
    """The SQL of one step. Raises ManifestError when its hash differs."""
    content = files.get(step.file, b"")[step.start : step.end]
    if hashlib.sha256(content).hexdigest() != step.sha256:
        raise ManifestError(
            f"a step of {step.file} is not what the manifest says", fix="run `changelane generate`"
        )
    return content.decode()
