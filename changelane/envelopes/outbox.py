"""``outbox``: the rows of an outbox table, by the conventions of Debezium's event router.

The value is the bare payload, the record key is ``aggregateid``, the header ``id`` is the row's. The topic is
the relay's template, ``outbox.event.{new.aggregatetype}``. Only inserted rows are events; a backfill sends
those that were there before. Source: Debezium's documentation, "Outbox Event Router".
"""

from __future__ import annotations

import json

from changelane.contract.formats import OUTBOX_COLUMNS
from changelane.envelopes.event import Event, split
from changelane.envelopes.headers import make_headers
from changelane.envelopes.record import JSON, Record, Refused, Setting, make_plain
from changelane.envelopes.rows import require_change

TEXT = "text/plain; charset=utf-8"
OPTIONAL = "type"


def write(event: Event, setting: Setting) -> Record | None:
    require_change(event, "outbox")
    if event.op not in ("insert", "snapshot"):
        return None
    if event.is_truncated:
        raise Refused("the outbox row was too large, so its message has only its key")
    row = split(event.find("new") or "{}")
    if lacking := [name for name in OUTBOX_COLUMNS if name not in row and name != OPTIONAL]:
        raise Refused(f"the outbox row has no column {', '.join(lacking)}")
    id, kind = _read_text(row["id"]), _read_text(row.get(OPTIONAL, "null"))
    key = _read_text(row["aggregateid"])
    if id is None:
        raise Refused("the id of the outbox row is null")
    payload = row["payload"]
    quoted = payload.startswith('"')
    named = {"id": id} if kind is None else {"id": id, "eventType": kind}
    headers = make_headers(event, binding=setting.binding, content_type=TEXT if quoted else JSON, **named)
    body = json.loads(payload) if quoted else "" if payload == "null" else payload
    return Record(id=make_plain(id), body=body.encode(), headers=headers, key=key)


def _read_text(value: str) -> str | None:
    """A text without its quotes, null as None, any other value as its JSON."""
    if value == "null":
        return None
    return str(json.loads(value)) if value.startswith('"') else value
