"""The dashboard's charts over a week of history: ranges, axes, and the crosshair with its values."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from psycopg.rows import TupleRow
from support.browser import PATIENCE, surf
from support.dashboard import Panel, open_panel

from changelane.contract.schema import SCHEMA_SQL

Connection = psycopg.Connection[TupleRow]

expect.set_options(timeout=PATIENCE)

PLACES = 17
"""Counts of a span: one for each bound, and one for all beyond."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None and os.environ.get("CI"):
        pytest.fail("chromium is not installed")
    if program is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def panel(conn: Connection, database: str, tmp_path: Path) -> Iterator[Panel]:
    conn.execute(SCHEMA_SQL.encode())
    conn.execute("SELECT pgmq.create('orders')")
    # 60 handled a minute, which waited 30 ms and took 1.5 s; one in six attempts fails.
    conn.execute(
        "INSERT INTO changelane.history "
        "SELECT 'orders', seconds, at, seconds, seconds / 6, seconds / 6, seconds / 60, "
        "extract(epoch FROM at - now() + interval '10 days')::bigint * 2, "
        "array_fill(0, ARRAY[3]) || seconds || array_fill(0, %(rest)s), "
        "array_fill(0, ARRAY[10]) || seconds || array_fill(0, %(last)s) "
        "FROM (SELECT 900 AS seconds, now() - n * interval '15 minutes' AS at "
        "FROM generate_series(96, 700) AS n UNION ALL "
        "SELECT 60, date_trunc('minute', now()) - n * interval '1 minute' "
        "FROM generate_series(1, 1439) AS n) AS spans",
        {"rest": [PLACES - 4], "last": [PLACES - 11]},
    )
    with open_panel(tmp_path, database, "--no-token") as panel:
        panel.wait("/queues", lambda page: "orders" in page.words)
        yield panel


def test_a_week_of_history_is_charted_with_axes_and_a_crosshair(browser: Browser, panel: Panel) -> None:
    told = json.loads(panel.open("/samples.json?range=7d&queue=orders").text)
    assert told["range"] == "7d"
    assert 600 < len(told["samples"]) <= 674, "in steps of a quarter of an hour"
    point = told["samples"][-3]
    assert (point["left"], point["sent"], point["depth"]) == (1, 2, 1)
    assert point["failed"] == point["retried"] == pytest.approx(1 / 6, abs=0.001)
    assert 0.025 < point["waited"] < point["waited_high"] <= 0.05
    assert 1 < point["worked"] < point["worked_high"] <= 2.5
    for name, most in (("24h", 290), ("6h", 362), ("", 40)):
        spans = [point for point in json.loads(panel.open(f"/samples.json?range={name}").text)["samples"]
                 if "waited" in point]  # fmt: skip
        assert most - 14 <= len(spans) <= most, name
    with surf(browser, panel) as page:
        page.goto(f"{panel.origin}/queues/orders")
        page.get_by_role("link", name="7 d", exact=True).click()
        expect(page.get_by_role("link", name="7 d", exact=True)).to_have_attribute("aria-current", "true")
        waited = page.locator("figure[data-chart=waited]")
        expect(waited.locator("svg.chart path.first")).to_be_attached()
        assert "UTC" not in waited.inner_text()
        ticks = waited.locator("svg.chart text").all_text_contents()
        assert ticks[0] == "0"
        assert all(tick.endswith("ms") for tick in ticks[1:3])
        assert sum(tick.count("-") for tick in ticks[3:]) >= 2, "days are named below"
        box = waited.locator("svg.chart").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
        for chart in ("rate", "depth", "waited", "worked", "failed"):
            figure = page.locator(f"figure[data-chart={chart}]")
            expect(figure.locator(".cross")).to_have_count(1)
            expect(figure.locator(".when")).to_contain_text("UTC")
        values = waited.locator(".legend b").all_text_contents()
        assert [value.endswith(" ms") for value in values] == [True, True]
        page.mouse.move(0, 0)
        expect(waited.locator(".cross")).to_have_count(0)
        if os.environ.get("SHOT"):
            page.set_viewport_size({"width": 1280, "height": 900})
            page.mouse.move(500, 500)
            page.wait_for_timeout(800)
            page.screenshot(path=os.environ["SHOT"])
        by_keyboard(page)


def by_keyboard(page: Page) -> None:
    chart = page.locator("figure[data-chart=failed] svg.chart")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    when = page.locator("figure[data-chart=failed] .when")
    first = when.inner_text()
    assert "UTC" in first
    page.keyboard.press("ArrowRight")
    assert when.inner_text() != first
    page.keyboard.press("Escape")
    assert when.inner_text() == ""


def test_without_scripts_the_range_is_a_table(panel: Panel) -> None:
    page = panel.open("/?range=7d")
    assert "Of the last 7 d" in page.words
    assert page.text.count('<tr><th scope="row">') >= 20
    assert "Of the last 30 min" in panel.open("/?range=%3Cb%3E").words
