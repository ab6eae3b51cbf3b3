"""Events of captured and of drawn messages, and what a format makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from changelane.contract.formats import Format
from changelane.contract.template import Engine
from changelane.envelopes.event import Event
from changelane.envelopes.record import Record, Setting
from changelane.envelopes.write import write_event
from changelane.runner.queue.delivery import decode_json

GOLDEN = Path(__file__).parents[1] / "envelopes"
MESSAGES: list[dict[str, Any]] = json.loads((GOLDEN / "messages.json").read_text())
SETTING: dict[str, Any] = {"database": "shop", "attempts": 8}


def make_event(message: Mapping[str, Any], **facts: Any) -> Event:
    return Event(text=message["text"], queue=message["queue"], msg_id=1, headers=message["headers"], **facts)


def write(event: Event, format: Format, *, binding: Engine = "http", **setting: Any) -> Record | None:
    return write_event(event, format=format, setting=Setting(binding=binding, **{**SETTING, **setting}))


def read(record: Record | None) -> Any:
    assert record is not None
    return decode_json(record.body.decode())


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda number: abs(number.adjusted()) < 10_000
)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def draw_bodies(draw: st.DrawFn) -> dict[str, Any]:
    op = draw(st.sampled_from(["insert", "update", "delete", "snapshot"]))
    names = draw(st.lists(TEXTS, unique=True, min_size=1, max_size=5))
    row = draw(st.fixed_dictionaries(dict.fromkeys(names, VALUES)))
    old = draw(st.fixed_dictionaries({name: VALUES for name in names if draw(st.booleans())}))
    return {
        "id": draw(TEXTS.filter(bool)),
        "op": op,
        "schema": draw(TEXTS),
        "table": draw(TEXTS),
        "key": draw(st.none() | st.dictionaries(TEXTS, VALUES, min_size=1, max_size=2)),
        "new": None if op == "delete" else row,
        "old": {"update": old, "delete": draw(st.none() | st.just(row))}.get(op),
        "txid": str(draw(st.integers(0, 2**64 - 1))),
        "at": "2026-11-22T18:54:03.120311+00:00",
    }
