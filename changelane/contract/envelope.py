"""The message of a change: its keys, its headers and its version.

Capture functions write it as jsonb, ``changelane.runner.queue`` reads it. SQL spells the names itself, so
that its reviewers see the message. ``schema/message.schema.json`` describes it to others. A test holds the
three together.
"""

# Postponed annotations would hide from __required_keys__ which keys are not required.
from typing import Any, Literal, NotRequired, TypedDict, get_args

VERSION = 1
"""The version that ``schema/message.schema.json`` names. Only a key that is removed or gets another meaning
raises it; readers ignore keys that they do not know.
"""

Operation = Literal["insert", "update", "delete", "truncate", "snapshot"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

Row = dict[str, Any]


class Envelope(TypedDict):
    """The keys of a message. ``id`` is absent in messages of version 0.1, ``extra`` where the route adds
    nothing, ``truncated`` unless the row was cut to its key.
    """

    id: NotRequired[str]
    op: Operation
    schema: str
    table: str
    key: Row | None
    new: Row | None
    old: Row | None
    txid: str
    at: str
    extra: NotRequired[Row]
    truncated: NotRequired[Literal[True]]


TEXTS = ("op", "schema", "table", "txid")
ROWS = ("key", "new", "old", "extra")

LONGEST_ID = 200
"""The most characters of an id. A longer text is not an id, and no handler should have to store it."""

ROUTE = "route"
"""The header that names the route. It marks a captured change: no client's right can write it."""

GROUP = "x-pgmq-group"
"""The header by which workers keep the order: the key as text. pgmq's own FIFO reads use the same name."""

KEY_CHANGE = "key_change"
"""The header of both halves of an update that changed the key: ``{"from": {...}, "to": {...}}``."""

TRACE = ("traceparent", "tracestate")
"""The headers of W3C Trace Context. Capture writes the first from the setting ``changelane.traceparent``."""

NOTES = "changelane"
"""The header in which workers count attempts (``changelane.runner.queue.delivery``)."""

DEAD_LETTER = "dead_letter"
"""The header of a dead letter: why it is one."""

REPLAYED_FROM = "replayed_from"
"""The header of a replayed message: the ``msg_id`` that it had before."""

SCHEDULE = ("schedule", "scheduled_at")
"""The headers of a scheduled message: the schedule's name, and the run that was due."""

ID = "id"
"""The header by which a sender gives a message that is no change its identity."""

RESERVED = (ROUTE, NOTES, DEAD_LETTER)
"""Headers that only capture functions and workers write."""

HEADERS = (ROUTE, GROUP, KEY_CHANGE, *TRACE, NOTES, DEAD_LETTER, REPLAYED_FROM, *SCHEDULE, ID)
"""Every header that Changelane writes or reads."""
