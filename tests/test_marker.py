from __future__ import annotations

import pytest

from changelane.contract.marker import (
    Marker,
    format_marker,
    hash_function,
    hash_model,
    hash_trigger,
    parse_marker,
)

LINE = "changelane:1 project=shop route=paid spec=0123456789ab live=ba9876543210 pg=18"


def test_a_formatted_marker_parses_to_the_same_facts() -> None:
    text = format_marker(project="shop", kind="route", name="paid", spec="0123456789ab", live="ba9876543210")
    assert f"{text} pg=18" == LINE
    assert parse_marker(LINE) == Marker(
        project="shop", kind="route", name="paid", spec="0123456789ab", live="ba9876543210", pg=18
    )


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "",
        "orders to the warehouse",
        LINE + " and a word",
        LINE.replace("changelane:1", "changelane:2"),
        LINE.replace("spec=0123456789ab", "spec=0123"),
        LINE.replace("route=", "table="),
        "note\n" + LINE,
    ],
)
def test_any_other_comment_is_no_marker(comment: str | None) -> None:
    assert parse_marker(comment) is None


def test_a_model_hashes_alike_in_whatever_order_its_keys_come() -> None:
    assert hash_model({"a": 1, "b": [2]}) == hash_model({"b": [2], "a": 1})
    assert hash_model({"a": 1}) != hash_model({"a": "1"})


FUNCTION = {
    "body": "begin end",
    "language": "plpgsql",
    "security_definer": True,
    "config": ("search_path=pg_catalog, pg_temp", "TimeZone=UTC"),
    "public_execute": False,
}


@pytest.mark.parametrize(
    "change",
    [
        {"body": "begin  end"},
        {"language": "sql"},
        {"security_definer": False},
        {"config": ()},
        {"public_execute": True},
    ],
)
def test_every_fact_of_a_function_is_part_of_its_hash(change: dict[str, object]) -> None:
    assert hash_function(**FUNCTION) != hash_function(**{**FUNCTION, **change})  # type: ignore[arg-type]


def test_the_order_of_a_functions_settings_is_not_part_of_its_hash() -> None:
    turned = {**FUNCTION, "config": FUNCTION["config"][::-1]}  # type: ignore[index]
    assert hash_function(**FUNCTION) == hash_function(**turned)  # type: ignore[arg-type]


TRIGGER = {
    "function": "changelane.f",
    "type": 4,
    "old_table": None,
    "new_table": "new_rows",
    "conditional": False,
    "columns": 0,
}


@pytest.mark.parametrize(
    "change",
    [
        {"function": "changelane.g"},
        {"type": 5},
        {"old_table": "old_rows"},
        {"new_table": None},
        {"conditional": True},
        {"columns": 1},
    ],
)
def test_every_fact_of_a_trigger_is_part_of_its_hash(change: dict[str, object]) -> None:
    assert hash_trigger(**TRIGGER) != hash_trigger(**{**TRIGGER, **change})  # type: ignore[arg-type]
