"""The formats that a message can take outside of its queue, and what each can say."""

from __future__ import annotations

from typing import Literal, get_args

from changelane.contract.envelope import OPERATIONS, Operation

Format = Literal[
    "changelane", "cloudevents", "cloudevents_structured", "debezium", "hasura", "supabase", "outbox", "row"
]
FORMATS: tuple[Format, ...] = get_args(Format)

_ROWS: tuple[Operation, ...] = ("insert", "update", "delete", "snapshot")

OPERATIONS_OF: dict[Format, tuple[Operation, ...]] = {
    "changelane": OPERATIONS,
    "cloudevents": OPERATIONS,
    "cloudevents_structured": OPERATIONS,
    "debezium": OPERATIONS,
    "hasura": _ROWS,
    "supabase": _ROWS,
    "outbox": OPERATIONS,
    "row": _ROWS,
}
"""By format: the operations that it can say. A message with another one is refused. ``outbox`` takes all and
sends only inserted rows.
"""

OF_MESSAGES: tuple[Format, ...] = ("changelane", "cloudevents", "cloudevents_structured", "row")
"""The formats that also carry a message that no capture function wrote."""

OUTBOX_COLUMNS = ("id", "aggregatetype", "aggregateid", "type", "payload")
"""The columns that ``outbox`` reads. All but ``type`` are required."""
