"""docs/envelopes.md shows what the formats make of one message.

``pytest tests/test_envelopes_page.py --update-golden`` rewrites the blocks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest

from changelane.contract.formats import FORMATS, Format
from changelane.contract.template import Engine
from changelane.envelopes.event import Event
from changelane.envelopes.record import Setting
from changelane.envelopes.write import write_event

PAGE = Path(__file__).parent.parent / "docs" / "envelopes.md"
HEADERS = {"route": "orders", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
MESSAGE = (
    '{"at": "2026-11-22T18:54:03.120311+00:00", "id": "767-17959201222845428810860504454610", "op": "update",'
    ' "key": {"id": 7}, "new": {"id": 7, "total": 19.50, "status": "paid"}, "old": {"id": 7, "total": 19.50,'
    ' "status": "open"}, "txid": "767", "table": "orders", "schema": "shop"}'
)
EVENT = (
    '{"at": "2026-11-22T18:54:03.120311+00:00", "id": "768-17959201222845428810860504454611", "op": "insert",'
    ' "key": {"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},'
    ' "new": {"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "type": "OrderPaid",'
    ' "payload": {"id": 7, "total": 19.50}, "aggregateid": "7", "aggregatetype": "order"},'
    ' "old": null, "txid": "768", "table": "outbox", "schema": "shop"}'
)
BLOCK = re.compile(r"^```(?:text (\w+) (\w+)|json message)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def show(format: str | None, binding: str | None) -> str:
    if format is None:
        return f"{MESSAGE}\n"
    text = EVENT if format == "outbox" else MESSAGE
    record = write_event(
        Event(text=text, queue="order_events", msg_id=1, headers=HEADERS),
        format=cast(Format, format),
        setting=Setting(binding=cast(Engine, binding), database="shop", attempts=8),
    )
    assert record is not None
    headers = "".join(f"{name}: {value}\n" for name, value in record.headers.items())
    return f"{headers}record key: {record.key}\n\n{record.body.decode()}\n"


def test_the_page_shows_what_each_format_makes(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text()
    shown = BLOCK.sub(lambda found: f"{found[0].splitlines()[0]}\n{show(found[1], found[2])}```", text)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(shown)
    assert shown == PAGE.read_text()
    assert {found[1] for found in BLOCK.finditer(text)} == {None, *FORMATS}
