"""``cloudevents``: CloudEvents 1.0, whose data is the message as the queue holds it.

Binary mode has the attributes in headers: ``ce_*`` in Kafka, ``ce-*`` over HTTP, NATS and AMQP 0-9-1. Redis
has no binding, so its entries are structured. Sources: github.com/cloudevents/spec, and Knative's
specification of the binding for RabbitMQ.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from changelane.contract.template import Engine
from changelane.envelopes.event import Event, spell
from changelane.envelopes.headers import find_trace, make_headers, spell_header
from changelane.envelopes.record import JSON, Record, Setting

STRUCTURED = "application/cloudevents+json"
PREFIXES: dict[Engine, str] = {"kafka": "ce_", "http": "ce-", "nats": "ce-", "rabbitmq": "ce-"}


def write(event: Event, setting: Setting) -> Record:
    prefix = PREFIXES.get(setting.binding)
    if prefix is None:
        return write_structured(event, setting)
    attributes = {
        f"{prefix}{name}": spell_header(value, binding=setting.binding)
        for name, value in find_attributes(event, setting).items()
    }
    return Record(
        id=event.id,
        body=event.text.encode(),
        headers={**attributes, **make_headers(event, binding=setting.binding)},
        key=event.key,
    )


def write_structured(event: Event, setting: Setting) -> Record:
    attributes = {**find_attributes(event, setting), "datacontenttype": JSON}
    members = ",".join(f"{spell(name)}:{spell(value)}" for name, value in attributes.items())
    return Record(
        id=event.id,
        body=f'{{{members},"data":{event.text}}}'.encode(),
        headers=make_headers(event, binding=setting.binding, content_type=STRUCTURED),
        key=event.key,
    )


def find_attributes(event: Event, setting: Setting) -> dict[str, str]:
    """All attributes but ``datacontenttype``, unspelled. ``partitionkey``, ``route``, ``traceparent`` and
    ``tracestate`` are extensions; the last two are those of CloudEvents' own list.
    """
    facts = event.facts
    if event.is_change:
        place = [facts["schema"], facts["table"]]
        described = {"type": f"changelane.{event.op}", "time": facts["at"], "route": event.route}
    else:
        place = [event.queue]
        described = {"type": "changelane.message", "time": _read_time(event.enqueued_at)}
    if event.key is not None:
        described |= {"subject": event.key, "partitionkey": event.key}
    source = setting.source or "/".join(["/changelane", *(quote(part, safe="") for part in place)])
    attributes = {"specversion": "1.0", "id": event.id, "source": source, **described, **find_trace(event)}
    return {name: value for name, value in attributes.items() if value}


def _read_time(text: str | None) -> str:
    """RFC 3339, or empty for a text that is no time."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return ""
    return at.isoformat() if at.tzinfo else ""
