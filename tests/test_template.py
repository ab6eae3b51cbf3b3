"""Names at a destination, filled from a message."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changelane.contract.template import (
    ENGINES,
    LONGEST,
    Engine,
    TemplateError,
    Unfillable,
    escape,
    fill,
    parse_template,
)

VALUES: dict[str, Any] = {
    "schema": "public",
    "table": "orders",
    "op": "update",
    "route": "paid",
    "queue": "events",
    "key": {"id": 7},
    "new": {"id": 7, "tenant": "a.b", "total": Decimal("1.50"), "paid": True, "gone": None, "tags": [1]},
    "old": None,
}


def name(text: str, *, engine: Engine = "nats", **values: Any) -> str:
    return fill(parse_template(text, engine=engine), {**VALUES, **values})


def test_every_place_is_filled() -> None:
    text = "{schema}.{table}.{op}.{route}.{queue}.{key}.{new.id}.{new.paid}"
    assert name(text) == "public.orders.update.paid.events.7.7.true"
    assert name("{old.id}", old={"id": 3}) == "3"
    assert name("a{{b}}", engine="redis") == "a{b}"


@pytest.mark.parametrize(
    ("engine", "tenant", "key"),
    [
        ("nats", "a%2Eb", "x,a%2Cb"),
        ("kafka", "a.b", "x_a_b"),
        ("rabbitmq", "a%2Eb", "x,a%2Cb"),
        ("redis", "a.b", "x,a%2Cb"),
        ("http", "a.b", "x,a%2Cb"),
    ],
)
def test_values_are_escaped_and_the_parts_of_a_key_are_told_apart(
    engine: Engine, tenant: str, key: str
) -> None:
    assert name("{new.tenant}", engine=engine) == tenant
    assert name("{key}", engine=engine, key={"one": "x", "two": "a,b"}) == key


def test_numbers_are_spelled_as_they_are() -> None:
    assert name("{new.total}", engine="kafka") == "1.50"
    assert name("{new.total}") == "1%2E50"


@pytest.mark.parametrize(
    ("text", "values", "says"),
    [
        ("{old.id}", {}, "{old.id}"),
        ("{new.nothing}", {}, "{new.nothing}"),
        ("{new.gone}", {}, "null"),
        ("{new.tags}", {}, "list"),
        ("{key}", {"key": None}, "null"),
        ("{key}", {"key": {}}, "object"),
        ("{new.v}", {"new": {"v": ""}}, "''"),
        ("{new.v}", {"new": {"v": "x" * 3000}}, "3000 bytes"),
        ("{new.v}", {"new": {"v": 10**5000}}, "huge number"),
        ("{new.v}", {"new": [1]}, "{new.v}"),
    ],
)
def test_a_message_without_the_value_is_its_own_fault(text: str, values: dict[str, Any], says: str) -> None:
    with pytest.raises(Unfillable, match=re.escape(says)):
        name(text, **values)


@pytest.mark.parametrize(
    ("engine", "value"), [("kafka", "."), ("kafka", "é" * 300), ("http", ".."), ("rabbitmq", "é" * 128)]
)
def test_a_value_that_makes_no_name_is_refused(engine: Engine, value: str) -> None:
    with pytest.raises(Unfillable):
        name("{new.v}", engine=engine, new={"v": value})


@pytest.mark.parametrize(
    ("engine", "text", "at"),
    [
        ("nats", "shop.{tabel}", 5),
        ("nats", "shop.{new}", 5),
        ("nats", "shop.{new.}", 5),
        ("nats", "shop.{table.x}", 5),
        ("nats", "shop.{table", 5),
        ("nats", "shop.table}", 10),
        ("nats", "shop.{}", 5),
        ("nats", "shop orders", 4),
        ("nats", "shop.*", 5),
        ("nats", "shop.>", 5),
        ("nats", "shop..x", 4),
        ("nats", ".shop", 0),
        ("nats", "$JS.API", 0),
        ("nats", "", 0),
        ("nats", "x" * 3000, 0),
        ("kafka", "shop/orders", 4),
        ("kafka", "x" * 250, 0),
        ("rabbitmq", "shop\n", 4),
        ("rabbitmq", "é" * 128, 0),
        ("redis", "shop\0", 4),
        ("http", "/a b", 2),
    ],
)
def test_a_wrong_template_is_refused_where_it_is_wrong(engine: Engine, text: str, at: int) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template(text, engine=engine)
    assert caught.value.at == at
    assert caught.value.fix


@pytest.mark.parametrize("engine", ENGINES)
@given(value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_no_value_adds_a_part_to_a_name(engine: Engine, value: str) -> None:
    parted = {
        "nats": r"[.*>\s]",
        "kafka": r"[^\w.-]",
        "rabbitmq": r"[.*#\s]",
        "redis": r"[:{}\s]",
        "http": "[/?#]",
    }
    spelled = escape(value, engine=engine)
    assert spelled
    assert not re.search(parted[engine], spelled, re.ASCII if engine == "kafka" else 0)
    if engine != "kafka":
        assert unquote(spelled) == value
    if engine == "nats":
        parse_template(f"shop.{spelled.replace('{', '{{').replace('}', '}}')}", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_name_may_be_as_long_as_the_engine_takes_it(engine: Engine) -> None:
    longest = "x" * LONGEST[engine]
    assert name("{new.v}", engine=engine, new={"v": longest}) == longest
