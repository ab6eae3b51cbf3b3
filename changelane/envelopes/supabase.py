"""``supabase``: the payload of Supabase's database webhooks, so that their receivers run unmodified.

A backfill says INSERT. Source: Supabase's documentation, "Database Webhooks, payload".
"""

from __future__ import annotations

from changelane.envelopes.event import Event, spell
from changelane.envelopes.headers import make_headers
from changelane.envelopes.record import Record, Setting
from changelane.envelopes.rows import find_before, require_change

TYPES = {"insert": "INSERT", "update": "UPDATE", "delete": "DELETE", "snapshot": "INSERT"}


def write(event: Event, setting: Setting) -> Record:
    require_change(event, "supabase")
    facts = event.facts
    body = (
        f'{{"type":"{TYPES[event.op]}","table":{spell(facts["table"])},"schema":{spell(facts["schema"])},'
        f'"record":{event.find("new") or "null"},"old_record":{find_before(event) or "null"}}}'
    )
    return Record(
        id=event.id,
        body=body.encode(),
        headers=make_headers(event, binding=setting.binding),
        key=event.key,
    )
