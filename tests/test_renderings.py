"""Captures that differ only in names share one rendering, and the result is the same as without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from changelane.contract.catalog import load_catalog
from changelane.generator.capture.calls import list_calls
from changelane.generator.capture.capture import Capture
from changelane.generator.capture.resolution import resolve
from changelane.generator.render.renderings import Renderings
from changelane.generator.spec.loading import read_spec
from changelane.generator.sql.expression import parse_expression

FOLDERS = sorted(path.parent for path in (Path(__file__).parent / "golden").glob("*/pipelines.yaml"))


def read_captures(folder: Path) -> list[Capture]:
    document = read_spec(folder / "pipelines.yaml")
    catalog = load_catalog(next(iter([*folder.rglob("catalog.json")])))
    return resolve(document, catalog).require()


def rename(capture: Capture, *, route: str, schema: str, table: str, queue: str) -> Capture:
    """The capture under other names; ``queue`` is how each of its queues begins."""
    queues = {name: f"{queue}{number}" for number, name in enumerate(capture.queues)}
    return replace(
        capture,
        route=route,
        declared=(schema, table),
        table=capture.table.model_copy(update={"schema_": schema, "name": table}),
        queues=tuple(queues.values()),
        waking=tuple(queues[name] for name in capture.waking),
    )


def vary(capture: Capture) -> Iterator[Capture]:
    """The capture under names of equal and of other lengths, names that hold each other, and odd ones."""
    for route, schema, table, queue in (
        ("orders", "public", "orders", "work"),
        ("refund", "public", "refund", "work"),
        ("second", "orders", "public", "rest"),
        ("r7g777", "s7h777", "t7i777", "7j77"),
        ("7h7777", "7g7777", "7j7777", "7i77"),
        ("inserted_rows_of_a_table", "a_schema_with_a_long_name", "a_table_with_a_long_name", "queue"),
        ("inserted_rows_by_a_route", "a_name_that_is_as_long_as", "another_long_table_name_", "again"),
        ("inserted_rows_by_another", "a_schema_of_the_same_size", "that_is_as_long_as_these", "third"),
        ("r", "public", "orders", "work"),
        ("orders", 'odd "schema"', "it's a $changelane$ table\\", "work"),
        ("refund", 'odd "second"', "it's a $changelane$ other\\", "work"),
    ):
        yield rename(capture, route=route, schema=schema, table=table, queue=queue)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_rendering_is_the_one_that_its_capture_has_by_itself(folder: Path) -> None:
    renderings = Renderings()
    captures = read_captures(folder)
    shared = 0
    for capture in captures:
        for variant in (capture, *vary(capture)):
            rendering = renderings.render(variant)
            shared += rendering.kin is not variant
            alone = Renderings().render(variant)
            assert replace(rendering, kin=variant) == alone
            for fact in ("needed", "weighed"):
                assert getattr(rendering.kin, fact) == getattr(variant, fact)
            assert list_calls(rendering.kin) == list_calls(variant)
    assert shared or not captures


def test_expression_that_holds_a_stand_in_keeps_its_text() -> None:
    renderings = Renderings()
    plain = next(iter(read_captures(Path(__file__).parent / "golden" / "plain_table")))
    text = "'7g7777' <> '7h7777 7i7777 7j770 7_a777777777'"
    for variant in vary(replace(plain, when=parse_expression(text))):
        rendering = renderings.render(variant)
        assert text in rendering.function
        assert replace(rendering, kin=variant) == Renderings().render(variant)


def test_partition_does_not_share_the_rendering_of_a_table_that_is_declared_itself() -> None:
    renderings = Renderings()
    plain = next(iter(read_captures(Path(__file__).parent / "golden" / "plain_table")))
    for declared, name in (
        ("orders", "orders"),
        ("parent", "orders"),
        ("orders", "others"),
        ("parts", "parts"),
    ):
        table = plain.table.model_copy(update={"name": name})
        variant = replace(plain, declared=("public", declared), table=table)
        for repeat in (variant, replace(variant, route="second")):
            rendering = renderings.render(repeat)
            assert replace(rendering, kin=repeat) == Renderings().render(repeat)
