"""``hasura``: the payload of Hasura's event triggers, so that their receivers run unmodified.

A backfill says MANUAL, as Hasura does for rows sent by hand. Session variables are what the route adds under
names of ``payload.extra`` that begin with ``x-hasura-``. Source: Hasura's documentation, "Event trigger
payload".
"""

from __future__ import annotations

from changelane.contract.envelope import TRACE
from changelane.envelopes.event import Event, join, spell, split
from changelane.envelopes.headers import find_trace, make_headers
from changelane.envelopes.record import Record, Setting
from changelane.envelopes.rows import find_before, require_change

OPS = {"insert": "INSERT", "update": "UPDATE", "delete": "DELETE", "snapshot": "MANUAL"}
SESSION = "x-hasura-"


def write(event: Event, setting: Setting) -> Record:
    require_change(event, "hasura")
    facts = event.facts
    table = f'{{"schema":{spell(facts["schema"])},"name":{spell(facts["table"])}}}'
    data = f'{{"old":{find_before(event) or "null"},"new":{event.find("new") or "null"}}}'
    retries = f'{{"current_retry":{event.attempt - 1},"max_retries":{max(setting.attempts - 1, 0)}}}'
    body = (
        f'{{"id":{spell(event.id)},"created_at":{spell(facts["at"])},"trigger":{{"name":{spell(event.route)}}},'
        f'"table":{table},"event":{{"session_variables":{_find_session(event)},"op":"{OPS[event.op]}",'
        f'"data":{data},"trace_context":{_find_trace(event)}}},"delivery_info":{retries}}}'
    )
    return Record(
        id=event.id,
        body=body.encode(),
        headers=make_headers(event, binding=setting.binding),
        key=event.key,
    )


def _find_session(event: Event) -> str:
    extra = event.find("extra")
    found = {name: text for name, text in split(extra or "{}").items() if name.startswith(SESSION)}
    return join(found) if found else "null"


def _find_trace(event: Event) -> str:
    parts = find_trace(event).get(TRACE[0], "").split("-")
    return f'{{"trace_id":{spell(parts[1])},"span_id":{spell(parts[2])}}}' if len(parts) == 4 else "null"
