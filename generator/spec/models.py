"""The models of ``pipelines.yaml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from changelane.generator.spec.destination_models import Destination, Relay
from changelane.generator.spec.fair_models import Fair, Limit
from changelane.generator.spec.model import Model
from changelane.generator.spec.queue_models import Queue
from changelane.generator.spec.scalars import (
    Boolean,
    Columns,
    DestinationName,
    Duration,
    ExceptedName,
    ExceptionName,
    Expression,
    Handler,
    Identifier,
    Integer,
    OwnerName,
    ProjectName,
    QueueName,
    Rate,
    RouteName,
    ScheduleName,
    Size,
    TableName,
    WholeSeconds,
)
from changelane.generator.spec.timing import Body, Cron, Timezone
from changelane.generator.spec.yaml_source import resolve

Event = Literal["insert", "update", "delete", "truncate"]


class Payload(Model):
    """The content of a row that a message holds. ``max_bytes`` in bytes; ``columns`` None means all, and
    empty means those of the catalog.
    """

    columns: Columns | None = Field(
        None,
        description="The columns sent, not together with `exclude`; or `reviewed`: those in catalog.json, "
        "so that a new column is sent once it was inspected and generated. Default: all.",
        examples=[["id", "status", "total"]],
    )
    exclude: tuple[Identifier, ...] = Field(
        (),
        min_length=1,
        description="All columns of the catalog but these are sent. Not together with a list of `columns`.",
    )
    old: Literal["full", "changed", "none"] = Field(
        "full",
        description="The row before an update or delete: whole, only the columns that differ, or absent.",
    )
    mask: dict[Identifier, Literal["sha256", "redact"]] = Field(
        {}, description="Columns of which only a hash, or nothing, is sent.", examples=[{"email": "sha256"}]
    )
    extra: dict[Identifier, Expression] = Field(
        {},
        description="Further values by name: SQL expressions over new, old and op.",
        examples=[{"actor": "current_setting('app.user', true)"}],
    )
    max_bytes: Size | None = Field(
        None,
        description="A larger message holds the key columns only, and `truncated: true`.",
        examples=["256 kB"],
    )

    @property
    def reviewed(self) -> bool:
        """Whether exactly the columns of the catalog are sent."""
        return self.columns == ()


class Route(Model):
    """From changes of tables to queues. ``delay`` in seconds; ``capture`` None lets the generator choose."""

    name: RouteName = Field(description="Unique name of the route.", examples=["paid_orders"])
    table: TableName | None = Field(
        None,
        description='The table, as schema.name or a glob such as "billing.*".',
        examples=["public.orders"],
    )
    tables_: tuple[TableName, ...] | None = Field(
        None,
        alias="tables",
        min_length=1,
        description="Several tables, instead of `table`.",
        examples=[["public.orders", "billing.*"]],
    )
    except_: tuple[ExceptedName, ...] = Field(
        (),
        alias="except",
        min_length=1,
        description="Tables that the route's globs leave out: schema.name, or a name alone for every schema; "
        "globs, too.",
        examples=[["auth.users", "*_audit"]],
    )
    events: tuple[Event, ...] = Field(
        min_length=1, description="What is captured.", examples=[["insert", "update"]]
    )
    update_of: tuple[Identifier, ...] = Field(
        (),
        min_length=1,
        description="An update counts only if one of these columns really changed. Default: any column.",
    )
    when: Expression | None = Field(
        None,
        description="SQL over new, old and op; a change for which it is not true is not sent.",
        examples=["new.status = 'paid'"],
    )
    payload: Payload = Field(Payload(), description="What of a row a message holds. Default: all of it.")
    key: tuple[Identifier, ...] = Field(
        (),
        min_length=1,
        description="Columns that `ordering: key` and `coalesce` go by. Default: the primary key.",
    )
    queue: QueueName | None = Field(
        None, description="The queue, one of those under `queues`.", examples=["order_events"]
    )
    queues_: tuple[QueueName, ...] | None = Field(
        None, alias="queues", min_length=1, description="Several queues to fan out to, instead of `queue`."
    )
    delay: WholeSeconds = Field(
        0,
        description="Time before a message can be read, in whole seconds.",
        examples=["30s"],
        json_schema_extra={"default": "0s"},
    )
    capture: Literal["statement", "row"] | None = Field(
        None, description="A trigger per statement (the default where the table allows) or per row."
    )
    send: Literal["pgmq", "inline"] = Field(
        "pgmq", description="Through pgmq.send, or the insert it would do."
    )
    fire: Literal["origin", "always", "replica"] = Field(
        "origin", description="Under which session_replication_role the trigger fires."
    )
    unchanged: Boolean = Field(
        False, description="Send updates that change nothing, too. Not together with `update_of`."
    )
    _index: int = PrivateAttr(0)

    @property
    def index(self) -> int:
        """The route's number in the spec, from 0."""
        return self._index

    @property
    def tables(self) -> tuple[str, ...]:
        """Names as written under `table` or `tables`; ``parse_table`` reads them."""
        return self.tables_ or ((self.table,) if self.table else ())

    @property
    def queues(self) -> tuple[str, ...]:
        return self.queues_ or ((self.queue,) if self.queue else ())

    def table_path(self, position: int) -> tuple[str | int, ...]:
        """The path of ``tables[position]``, for ``Document.locate``."""
        base = ("routes", self.index)
        return (*base, "table") if self.tables_ is None else (*base, "tables", position)

    def queue_path(self, position: int) -> tuple[str | int, ...]:
        """The path of ``queues[position]``, for ``Document.locate``."""
        base = ("routes", self.index)
        return (*base, "queue") if self.queues_ is None else (*base, "queues", position)


class Retry(Model):
    """Attempts and the pauses between them. ``first`` and ``max`` in seconds."""

    attempts: Integer = Field(8, ge=1, le=1000, description="Attempts before the message is given up.")
    backoff: Literal["exponential", "linear", "constant"] = Field(
        "exponential", description="How the pause between attempts grows."
    )
    first: Duration = Field(
        1.0, description="Pause before the second attempt.", json_schema_extra={"default": "1s"}
    )
    max: Duration = Field(600.0, description="The longest pause.", json_schema_extra={"default": "10m"})
    never: tuple[ExceptionName, ...] = Field(
        (),
        min_length=1,
        description="Exceptions after which no attempt helps: a message whose handler raises one goes to the "
        "dead letters at once. Built-in ones by name, others as module.path:Class; subclasses count.",
        examples=[["ValueError", "app.errors:Gone"]],
    )


class Coalesce(Model):
    """Many changes of a key as one. ``quiet`` and ``at_most`` in seconds; ``at_most`` None means no limit."""

    by: Literal["key"] = Field(description="What the merged changes share: the key of their messages.")
    quiet: Duration = Field(
        0.0,
        description="A key is handled once no change of it came for so long. Default: what is due together "
        "is merged, and nothing waits.",
        examples=["2s"],
        json_schema_extra={"default": "0s"},
    )
    at_most: Duration | None = Field(
        None,
        description="The longest that a key waits from its first change, with `quiet`. Default: no limit.",
        examples=["30s"],
    )


class Consumer(Model):
    """How a queue is worked. ``lease`` and ``timeout`` in seconds; ``timeout`` None means no limit.

    Defaults of a relay differ for ``batch`` and ``timeout``; ``model_fields_set`` holds the keys that were
    written.
    """

    handler: Handler | None = Field(
        None,
        description="The Python function, as module.path:function.",
        examples=["handlers.orders:on_paid"],
    )
    relay: Relay | None = Field(None, description="Where the messages go, instead of `handler`.")
    mode: Literal["transactional", "at_least_once"] = Field(
        "at_least_once",
        description="transactional: the handler's writes commit with the acknowledgement, or neither does.",
    )
    batch: Integer = Field(
        50, ge=1, le=10_000, description="Messages claimed at a time. Default of a relay: 500."
    )
    concurrency: Integer = Field(8, ge=1, le=1000, description="Handlers running at once, per process.")
    ordering: Literal["none", "key"] = Field("none", description="key: one at a time and in order, per key.")
    coalesce: Coalesce | None = Field(
        None,
        description="The due changes of a key are handled as one: the first `old`, the last `new`. Keys are "
        "handled one at a time, as with `ordering: key`.",
        examples=[{"by": "key", "quiet": "2s", "at_most": "30s"}],
    )
    lease: Duration = Field(
        60.0,
        description="Visibility timeout, at least 1s; renewed while the handler runs.",
        json_schema_extra={"default": "60s"},
    )
    timeout: Duration | None = Field(
        None,
        description="A handler running longer is cancelled and counts as failed. Default: no limit. Of a "
        "relay: how long the engine may take to confirm a batch, less than `lease`; default 30s.",
        examples=["5m"],
    )
    retry: Retry = Field(Retry(), description="Attempts and the pauses between them.")
    on_exhausted: Literal["dead_letter", "archive", "block"] = Field(
        "dead_letter",
        description="What becomes of a message that failed for good. block, with `ordering: key`: it stays, "
        "and its key waits until a person decides.",
    )
    rate: Rate | None = Field(
        None,
        description="At most so many messages in that time, retries included, in each worker process.",
        examples=["100/s"],
    )
    fair: Fair | None = Field(
        None, description="Groups of messages take turns, each within its limits. Default: the oldest first."
    )
    limit: Limit | None = Field(None, description="Limits over all workers of the queue.")
    claim: Literal["auto", "take", "lease"] = Field(
        "auto",
        description="take: messages are deleted in a transaction that commits once they are handled. lease: "
        "they stay, hidden from other workers. auto: take while handlers are quick.",
    )

    @property
    def keyed(self) -> bool:
        """Whether no two changes of one key are handled at once."""
        return self.ordering == "key" or self.coalesce is not None


class Schedule(Model):
    """Messages sent at set times. ``every`` in seconds."""

    queue: QueueName = Field(description="Queue that each run sends to.", examples=["reports"])
    cron: Cron | None = Field(
        None,
        description="Minute, hour, day of the month, month, day of the week; or @hourly, @daily, @weekly, "
        "@monthly, @yearly. Not together with `every`.",
        examples=["0 3 * * *"],
    )
    every: WholeSeconds | None = Field(
        None,
        description="Interval between runs, which fall on its multiples since 1970-01-01 00:00 UTC. Not "
        "together with `cron`.",
        examples=["30s"],
    )
    timezone: Timezone = Field(
        "UTC", description="Time zone of `cron`, by its name.", examples=["Europe/Paris"]
    )
    body: Body = Field({}, description="The message: any JSON value.", examples=[{"kind": "nightly"}])
    missed: Literal["once", "skip"] = Field(
        "once",
        description="After a time without a worker: once sends one message for all runs that were missed, "
        "skip none.",
    )


def _empty_as_mapping(value: object) -> object:
    """`name:` with nothing after it: a queue with defaults, or consumers that are all commented out."""
    return {} if resolve(value) is None else value


def _empty_as_list(value: object) -> object:
    """`routes:` with nothing after it: all routes are commented out."""
    return [] if resolve(value) is None else value


class Spec(Model):
    """Which changes of which tables go to which queues, and who handles them."""

    version: Annotated[Literal[1], BeforeValidator(resolve)] = Field(
        description="Version of the spec's format.", examples=[1]
    )
    project: ProjectName = Field(
        description="Marks all applied objects as owned by this spec.", examples=["shop"]
    )
    owner: OwnerName | None = Field(
        None,
        description="Role that the capture functions belong to, which may send to the queues and do nothing "
        "else; `apply` creates it. Default: the role that applies, with all its rights.",
        examples=["changelane_capture"],
    )
    queues: dict[QueueName, Annotated[Queue, BeforeValidator(_empty_as_mapping)]] = Field(
        {}, description="Queues by name."
    )
    routes: Annotated[tuple[Route, ...], BeforeValidator(_empty_as_list)] = Field(
        (), description="From changes of tables to queues."
    )
    consumers: Annotated[dict[QueueName, Consumer], BeforeValidator(_empty_as_mapping)] = Field(
        {}, description="Handlers and relays by the queue that they work."
    )
    destinations: Annotated[dict[DestinationName, Destination], BeforeValidator(_empty_as_mapping)] = Field(
        {}, description="Engines that relays send to, by name."
    )
    schedules: Annotated[dict[ScheduleName, Schedule], BeforeValidator(_empty_as_mapping)] = Field(
        {}, description="Messages sent at set times, by name."
    )
    api: Boolean = Field(
        False,
        description="Functions in schema pgmq_public, for an HTTP API over the queues, open to those who "
        "have access to some queue.",
    )

    def model_post_init(self, context: Any) -> None:
        for index, route in enumerate(self.routes):
            route._index = index

    def dead_letter(self, queue: str) -> str:
        """The name of a declared queue's dead-letter queue."""
        return self.queues[queue].dead_letter or f"{queue}_dlq"
