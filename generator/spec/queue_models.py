"""The models of ``queues`` in ``pipelines.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from changelane.contract.access import Operation
from changelane.generator.spec.model import Model
from changelane.generator.spec.scalars import (
    Duration,
    Expression,
    Identifier,
    Integer,
    QueueName,
    WholeSeconds,
    read_integer,
)


class Partition(Model):
    """How a partitioned queue is cut by time. Both in seconds."""

    interval: WholeSeconds = Field(description="Time that one partition spans.", examples=["1 day"])
    retain: WholeSeconds = Field(
        description="Age at which a partition is dropped, with the messages in it, read or not.",
        examples=["14 days"],
    )


class Archive(Model):
    """Handled messages are kept, not deleted. ``keep`` in seconds."""

    keep: WholeSeconds = Field(
        description="Age at which an archived message is pruned, from when it was archived.",
        examples=["30 days"],
    )


class DeadLetters(Model):
    """What becomes of dead letters that nobody sends back or discards. ``keep`` in seconds."""

    keep: WholeSeconds | None = Field(
        None,
        description="Age at which a dead letter is deleted, from when it became one. Default: never.",
        examples=["90 days"],
    )
    alarm: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(read_integer)] | None = Field(
        None,
        description="From so many dead letters on, `doctor` finds them, and a metric and the dashboard show "
        "an alarm.",
        examples=[100],
    )


class Autovacuum(Model):
    """When autovacuum cleans the queue's table. ``cost_delay`` in seconds."""

    threshold: Integer = Field(
        1000, ge=1, le=1_000_000_000, description="Dead rows that bring autovacuum, however large the table."
    )
    cost_delay: Duration = Field(
        0.0,
        description="Pause of autovacuum each time it has used up its cost limit, at most 100ms.",
        json_schema_extra={"default": "0ms"},
    )


class Access(Model):
    """What a role may do with the queue through SQL or an HTTP API over it."""

    role: Identifier = Field(description="A database role.", examples=["authenticated"])
    via: Literal["tables", "functions"] = Field(
        "tables",
        description="tables: by rights on the queue's tables, as pgmq's functions and workers need them. "
        "functions: by functions of this queue alone, with no right on a table, so that the role can neither "
        "lock it nor write a column.",
    )
    allow: tuple[Operation, ...] = Field(
        min_length=1, description="What the role may do.", examples=[["read", "archive"]]
    )
    using: Expression | None = Field(
        None,
        description="SQL over message, headers, msg_id, enqueued_at, read_ct and vt: which messages are "
        "meant. Default: all.",
        examples=["message->'new'->>'tenant' = current_setting('app.tenant', true)"],
    )


class Queue(Model):
    """A pgmq queue. Durations in seconds."""

    kind: Literal["logged", "unlogged", "partitioned"] = Field(
        "logged",
        description="How pgmq stores it. unlogged: sent faster, and empty after a crash. partitioned: cut by "
        "time, for retention.",
    )
    partition: Partition | None = Field(None, description="Only with `kind: partitioned`; needs pg_partman.")
    archive: Archive | None = Field(
        None, description="Keep handled messages; without it they are deleted once handled."
    )
    autovacuum: Autovacuum = Field(
        Autovacuum(),
        description="When autovacuum cleans the queue's table. Default: often, as its rows live short.",
    )
    dead_letter: QueueName | None = Field(
        None,
        description="Queue that takes messages which failed for good; created with this one. "
        "Default: the queue's name and `_dlq`.",
        examples=["order_events_dlq"],
    )
    dead_letters: DeadLetters | None = Field(
        None,
        description="How long dead letters of this queue are kept, and how many are too many. "
        "Default: for ever, and no alarm.",
    )
    access: tuple[Access, ...] = Field(
        (), min_length=1, description="Who may use the queue through SQL or an HTTP API over it; nobody else."
    )
