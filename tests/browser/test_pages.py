"""The dashboard in a browser: by eye, by keyboard, on a phone, without scripts, under attack."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from psycopg.rows import TupleRow
from support.browser import PATIENCE, find_url, launch, surf, walk
from support.dashboard import Panel, open_panel
from support.deployment import bring, declare

from changelane.runner.live import database as databases

Connection = psycopg.Connection[TupleRow]

ACCESSIBILITY = (Path(__file__).parent / "accessibility.js").read_text()
EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script></code>\u202e {{7*7}} \u0007'

expect.set_options(timeout=PATIENCE)
SPEC = """
version: 1
project: shop
queues:
  events: {archive: {keep: 30 days}}
  letters: {}
routes:
  - {name: orders, table: public.orders, events: [insert, update, delete], queue: events}
  - {name: paid, table: public.orders, events: [update], when: new.status = 'paid', queue: letters}
consumers:
  events: {handler: "handlers:handle", retry: {attempts: 1}}
"""
HANDLER = """
from changelane import Change, DeadLetter


def handle(change: Change) -> None:
    if change.new and change.new["status"] == "bad":
        raise DeadLetter("an order that nobody can pay")
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launch()


@pytest.fixture
def project(conn: Connection, tmp_path: Path) -> Path:
    """The folder of a project that is applied, with messages in every state."""
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    bring(conn, declare(conn, tmp_path, SPEC))
    (tmp_path / "handlers.py").write_text(HANDLER)
    conn.execute(
        "INSERT INTO orders SELECT n, CASE n WHEN 3 THEN 'bad' ELSE 'new' END FROM generate_series(1, 9) n"
    )
    subprocess.run(
        [sys.executable, "-m", "changelane", "work", "--drain"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": find_url(conn)},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    conn.execute("UPDATE orders SET status = 'paid' WHERE id > 5")
    conn.execute('SELECT pgmq.send(\'events\', \'{"new": {"status": "later"}}\', 3600)')
    return tmp_path


@pytest.fixture
def panel(conn: Connection, project: Path) -> Iterator[Panel]:
    with open_panel(project, find_url(conn), "--no-token") as panel:
        panel.wait("/queues", lambda page: "events_dlq" in page.words)
        panel.wait("/drift", lambda page: "Database matches" in page.words)
        yield panel


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_asks_nobody_else(browser: Browser, panel: Panel, scheme: Any) -> None:
    with surf(browser, panel, color_scheme=scheme, reduced_motion="reduce") as page:
        for address in walk(page):
            page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
            assert page.evaluate(ACCESSIBILITY) == [], address


def test_no_page_is_wider_than_a_phone(browser: Browser, panel: Panel) -> None:
    with surf(browser, panel, viewport={"width": 360, "height": 740}, is_mobile=True) as page:
        for address in walk(page):
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
            rows = page.locator("table.messages tbody tr").all()
            assert all((box := row.bounding_box()) and box["height"] < 200 for row in rows), address


def read_tick(text: str) -> float:
    value, _, unit = text.replace(",", "").partition(" ")
    return float(value) * {"": 1, "ms": 0.001, "s": 1, "min": 60, "h": 3600}[unit]


def test_numbers_and_charts_follow_without_a_reload(browser: Browser, panel: Panel, conn: Connection) -> None:
    with surf(browser, panel) as page:
        page.evaluate("window.same = true")
        depth = page.locator("svg [data-queue=letters] [data-value=depth]")
        expect(depth).to_have_text("4")
        conn.execute("UPDATE orders SET status = 'paid', id = id + 100")
        expect(depth).to_have_text("13")
        dead = page.locator("svg [data-letters=events_dlq]")
        before = int(dead.inner_html().split()[0])
        conn.execute("SELECT pgmq.send('events_dlq', '{}')")
        expect(dead).to_have_text(f"{before + 1} dead")
        expect(page.locator("table [data-letters=events_dlq]")).to_have_text(str(before + 1))
        expect(page.locator("figure[data-chart=depth] svg").first).to_be_visible()
        for chart in page.locator("figure svg.chart").all():
            none, half, top = map(read_tick, chart.locator("text").all_text_contents()[:3])
            assert (none, half * 2) == (0, top)
        assert page.evaluate("window.same")
        conn.execute("ALTER TABLE orders DISABLE TRIGGER USER")
        panel.open("/drift?again=1")
        expect(page.locator("[data-drift]")).to_contain_text("difference")


def test_an_alarm_comes_and_goes_without_a_reload(browser: Browser, panel: Panel, conn: Connection) -> None:
    with surf(browser, panel) as page:
        banner = page.locator("[role=alert]")
        box = page.locator("svg a.queue[data-queue=events]")
        conn.execute("DELETE FROM pgmq.q_events WHERE vt <= now()")
        expect(banner).to_have_count(0)
        expect(box).to_have_class(re.compile("alarm-warn"))
        conn.execute("SELECT pgmq.send('events', '{}')")
        expect(banner).to_contain_text("unconsumed events: no worker runs, and messages are due.")
        expect(box).to_have_class(re.compile("alarm-bad"))
        expect(box.locator(".word")).to_have_text("unconsumed")
        expect(page.locator("svg a.consumer .word").first).to_have_text("unconsumed")
        expect(page.locator("tr[data-queue=events] .state")).to_have_text("unconsumed")
        conn.execute("DELETE FROM pgmq.q_events WHERE vt <= now()")
        expect(banner).to_have_count(0)
        expect(box).to_have_class(re.compile("alarm-warn"))


def test_an_open_page_says_that_the_database_is_away_and_goes_on(
    browser: Browser, panel: Panel, conn: Connection, server: str
) -> None:
    with surf(browser, panel) as page, databases.connect(server) as other:
        depth = page.locator("svg [data-queue=letters] [data-value=depth]")
        expect(depth).to_have_text("4")
        dark = depth.evaluate("element => getComputedStyle(element).fill")
        other.execute(f"ALTER DATABASE {conn.info.dbname} ALLOW_CONNECTIONS false".encode())
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'changelane dashboard'",
            [conn.info.dbname],
        )
        expect(page.locator("[data-outage] [role=alert]")).to_contain_text("The database does not answer.")
        assert depth.evaluate("element => getComputedStyle(element).fontStyle") == "italic"
        assert depth.evaluate("element => getComputedStyle(element).animationName") == "none"
        expect(page.locator(".badge.good:not(.stale .badge)")).to_have_count(0)
        other.execute(f"ALTER DATABASE {conn.info.dbname} ALLOW_CONNECTIONS true".encode())
        expect(page.locator("[data-outage] [role=alert]")).to_have_count(0)
        expect(page.locator("body.stale")).to_have_count(0)
        assert depth.evaluate("element => getComputedStyle(element).fill") == dark


def test_an_open_page_says_that_the_dashboard_is_away_and_goes_on(
    browser: Browser, project: Path, conn: Connection
) -> None:
    with open_panel(project, find_url(conn), "--no-token") as panel, surf(browser, panel) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        page.evaluate("window.before = true")
        panel.process.send_signal(signal.SIGSTOP)
        try:
            expect(page.locator("[data-outage]")).to_contain_text("The dashboard does not answer.")
            expect(page.locator("body.stale")).to_have_count(1)
        finally:
            panel.process.send_signal(signal.SIGCONT)
        page.wait_for_function("!window.before && document.readyState === 'complete'")
        expect(page.locator("body.stale")).to_have_count(0)
        panel.process.kill()
        panel.process.wait()
        expect(page.locator("[data-outage]")).to_contain_text("The dashboard does not answer.")
        # A second one at its address; the page's forms are of its sessions then.
        with open_panel(project, find_url(conn), "--no-token", "--port", str(panel.port)):
            expect(page.locator("body.stale")).to_have_count(0)
            page.goto("/queues/events")
            page.get_by_role("button", name="Pause").click()
            expect(page.get_by_role("status").first).to_contain_text("Queue events is paused")


def test_without_scripts_everything_reads_and_works(browser: Browser, panel: Panel, conn: Connection) -> None:
    with surf(browser, panel, java_script_enabled=False) as page:
        page.goto("/queues/events")
        expect(page.locator("svg, table").first).to_be_visible()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("status").first).to_contain_text("Queue events is paused")
        page.goto("/queues/letters")
        page.get_by_role("link", name="Purge").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Purge queue letters?")
        page.get_by_role("button", name="Purge").click()
        expect(page.get_by_role("status").first).to_contain_text("4 messages deleted")
        page.goto("/dead-letters/events")
        expect(page.get_by_role("main")).to_contain_text("an order that nobody can pay")
    assert conn.execute("SELECT count(*) FROM pgmq.q_letters").fetchone() == (0,)


def test_by_keyboard_alone_a_message_is_found_and_deleted(
    browser: Browser, panel: Panel, conn: Connection
) -> None:
    with surf(browser, panel) as page:
        page.goto("/queues/letters")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        press_until(page, "document.activeElement.name === 'id'")
        page.keyboard.press("Space")
        press_until(page, "document.activeElement.textContent === 'Delete'")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Delete 1 message of letters?")
        press_until(page, "document.activeElement.textContent === 'Delete'")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("1 message deleted")
    assert conn.execute("SELECT count(*) FROM pgmq.q_letters").fetchone() == (3,)


def press_until(page: Page, condition: str) -> None:
    """Tab on: each stop is visibly focused, and comes later in the page than the one before."""
    for _ in range(120):
        page.evaluate("window.before = document.activeElement")
        page.keyboard.press("Tab")
        assert page.evaluate(
            # A field of several parts is one element.
            "before === document.body || before === document.activeElement"
            " || Boolean(before.compareDocumentPosition(document.activeElement) & 4)"
        ), page.evaluate("document.activeElement.outerHTML")
        assert page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement);
                const rect = document.activeElement.querySelector("rect");
                const stroke = rect ? parseFloat(getComputedStyle(rect).strokeWidth) : 0;
                return style.outlineStyle !== "none" || stroke > 2;
            }"""
        ), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate(condition):
            return
    raise AssertionError(condition)


def test_hostile_messages_and_names_stay_text(browser: Browser, panel: Panel, conn: Connection) -> None:
    name = 'x"<img src=x onerror=alert(3)>&{{7*7}}'
    conn.execute("SELECT pgmq.create(%s)", [name])
    conn.execute('CREATE TABLE "<script>alert(4)</script>" (id int)')
    message = json.dumps(
        {"key": {EVIL: EVIL}, "table": EVIL, "op": EVIL, EVIL: EVIL, "long": "W" * 1_000_000}
    )
    for queue in ("letters", name):
        conn.execute(
            "SELECT pgmq.send(%s, %s::jsonb, %s::jsonb)",
            [queue, message.replace("\\u0007", ""), json.dumps({EVIL: EVIL, "x-pgmq-group": EVIL})],
        )
    conn.execute(
        "SELECT pgmq.send('events_dlq', %s::jsonb, %s::jsonb)",
        [
            json.dumps({"x": EVIL}),
            json.dumps(
                {"dead_letter": {"queue": EVIL, "error": EVIL, "traceback": EVIL * 100, "attempts": 1}}
            ),
        ],
    )
    panel.wait("/queues", lambda page: "onerror" in page.words)
    with surf(browser, panel) as page:
        for address in walk(page):
            assert page.locator("img, script:not([src])").count() == 0, address
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        for query in (EVIL, "%00", "'; DROP TABLE orders; --"):
            for parameter in ("text", "key", "state", "order", "after", "since"):
                page.goto(f"/queues/letters?{parameter}={page.evaluate('encodeURIComponent', query)}")
                assert page.locator("img, script:not([src])").count() == 0
        page.goto("/queues/letters")
        expect(page.get_by_role("main")).to_contain_text("onerror=alert(1)")
    assert conn.execute("SELECT to_regclass('orders') IS NOT NULL").fetchone() == (True,)


def test_a_token_is_asked_for_and_a_hostile_one_does_nothing(
    browser: Browser, conn: Connection, project: Path
) -> None:
    token = f"secret-{EVIL}".encode("ascii", "ignore").decode().strip("\a")
    with (
        open_panel(project, find_url(conn), env={"CHANGELANE_DASHBOARD_TOKEN": token}) as panel,
        surf(browser, panel) as page,
    ):
        expect(page).to_have_url(re.compile("/login"))
        field = page.get_by_label("Token")
        field.fill(EVIL)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        assert token not in page.content()
        page.get_by_role("button", name="Log out").click()
        page.goto("/queues")
        expect(page).to_have_url(re.compile("/login"))
