"""``debezium``: the value of Debezium's connector for PostgreSQL, without schemas (``schemas.enable=false``).

Numbers are plain and times are ISO text, as in the message. A queue does not know positions in the log, so
``lsn``, ``xmin`` and ``sequence`` are null. The times are when the change was captured, so that each attempt
makes the same bytes. Source: Debezium's documentation, "PostgreSQL connector, change event values".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from changelane.contract.envelope import VERSION
from changelane.envelopes.event import Event, spell
from changelane.envelopes.headers import make_headers
from changelane.envelopes.record import Record, Refused, Setting
from changelane.envelopes.rows import find_before, require_change

OPS = {"insert": "c", "update": "u", "delete": "d", "snapshot": "r", "truncate": "t"}
NAME = "changelane"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write(event: Event, setting: Setting) -> Record:
    require_change(event, "debezium")
    facts = event.facts
    times = _spell_times(facts["at"])
    if not (facts["txid"].isascii() and facts["txid"].isdecimal()):
        raise Refused("its txid is not a number")
    source = (
        f'{{"version":"{VERSION}","connector":"postgresql","name":{spell(setting.source or NAME)},{times},'
        f'"snapshot":"{"true" if event.op == "snapshot" else "false"}","db":{spell(setting.database)},'
        f'"sequence":null,"schema":{spell(facts["schema"])},"table":{spell(facts["table"])},'
        f'"txId":{facts["txid"]},"lsn":null,"xmin":null}}'
    )
    body = (
        f'{{"before":{find_before(event) or "null"},"after":{event.find("new") or "null"},"source":{source},'
        f'"transaction":null,"op":"{OPS[event.op]}",{times}}}'
    )
    return Record(
        id=event.id,
        body=body.encode(),
        headers=make_headers(event, binding=setting.binding),
        key=event.key,
        tombstone=setting.tombstone and event.op == "delete" and event.key is not None,
    )


def _spell_times(text: str) -> str:
    try:
        micros = (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError):
        raise Refused("its 'at' is not a time stamp with a zone") from None
    return f'"ts_ms":{micros // 1000},"ts_us":{micros},"ts_ns":{micros * 1000}'
