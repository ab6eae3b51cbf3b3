"""Every page of the dashboard at four sizes and in two themes, with data that are made to be nasty.

What is wrong is measured in the browser; a screenshot of each page where something is wrong stays in the
test's folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from playwright.sync_api import Browser, Page
from psycopg.rows import TupleRow
from support.browser import find_url, launch, steady, surf, walk
from support.dashboard import Panel, open_panel
from support.databases import lend
from support.deployment import bring, declare

from changelane.runner.live.database import connect

Connection = psycopg.Connection[TupleRow]

SIZES = [(390, 844), (768, 1024), (1280, 800), (1920, 1080)]
THEMES: list[Literal["light", "dark"]] = ["light", "dark"]
LAYOUT = (Path(__file__).parent / "layout.js").read_text()
ACCESSIBILITY = (Path(__file__).parent / "accessibility.js").read_text()

LONG = "everything_that_ever_happens_to_a_order_in_2026"
"""A queue's name of 47 bytes, the longest."""
DEAD = "everything_that_nobody_could_handle_in_year_2026"[:47]
WIDE = "注文テーブル_対象外の長い名前_絵文字🎉🎊"
RIGHT_TO_LEFT = "جدول الطلبات المدفوعة في المستودع"
ERROR = f"ValueError: {RIGHT_TO_LEFT}: {WIDE} " + "/srv/shop/" + "a_path_without_an_end/" * 20

SPEC = f"""
version: 1
project: a_project_with_a_name_of_31_byt
queues:
  {LONG}: {{archive: {{keep: 30 days}}, dead_letter: {DEAD}}}
  short: {{}}
  empty: {{}}
routes:
  - name: a_route_that_sends_what_somebody_has_paid
    table: '"{WIDE}"."{RIGHT_TO_LEFT}"'
    events: [insert, update, delete]
    when: new.status = 'paid' or new.status in ({", ".join(f"'state number {n}'" for n in range(12))})
    queue: {LONG}
  - {{name: short, table: public.orders, events: [insert], queue: short}}
consumers:
  {LONG}:
    handler: handlers.of.a.package.with.a.long.name:handle_what_happened_to_an_order
    ordering: key
    on_exhausted: block
  short: {{handler: "handlers:handle", retry: {{attempts: 3}}}}
schedules:
  every_night_at_three_when_nobody_looks:
    cron: "0 3 * * *"
    timezone: America/Argentina/ComodRivadavia
    queue: short
    body: {{kind: nightly}}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launch()


@pytest.fixture(scope="module")
def database(server: str, template: str) -> Iterator[str]:
    yield from lend(server, template)


@pytest.fixture(scope="module")
def nasty(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """A dashboard over names, numbers, messages and errors that are as long and as wide as they can be."""
    folder = tmp_path_factory.mktemp("nasty")
    with connect(database) as conn:
        conn.execute(f'CREATE SCHEMA "{WIDE}"'.encode())
        conn.execute(f'CREATE TABLE "{WIDE}"."{RIGHT_TO_LEFT}" (id bigint PRIMARY KEY, status text)'.encode())
        conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
        bring(conn, declare(conn, folder, SPEC))
        fill(conn)
        with open_panel(folder, find_url(conn), "--no-token") as panel:
            panel.wait("/queues", lambda page: LONG in page.text)
            panel.wait("/drift", lambda page: "looking" not in page.words)
            yield panel


def fill(conn: Connection) -> None:
    columns = "(vt, read_ct, message, headers)"
    change = {
        "id": "1", "op": "update", "schema": WIDE, "table": RIGHT_TO_LEFT, "txid": "1",
        "at": "2026-11-29T00:00:00+00:00", "old": None,
    }  # fmt: skip
    bodies = [
        change | {"key": {"id": 10**18}, "new": {"id": 10**18, "status": RIGHT_TO_LEFT * 5}},
        change | {"key": {"reference": "W" * 300}, "new": {"text": "漢字" * 300}},
        change | {"key": {RIGHT_TO_LEFT: WIDE}, "new": {"x" * 200: ["🎉" * 50, "W" * 2000]}},
    ]
    dead = {"queue": LONG, "error": ERROR, "traceback": (ERROR + "\n") * 40, "attempts": 123456}
    for body in bodies:
        for queue, headers in (
            (LONG, {"x-pgmq-group": "W" * 200, "route": "a_route_that_sends_what_somebody_has_paid"}),
            (LONG, {"x-pgmq-group": WIDE, "blocked": {"error": ERROR, "attempts": 8}}),
            (f"{DEAD}", {"dead_letter": {**dead, "msg_id": 123456}}),
            ("short", {"failure": {"error": ERROR, "attempts": 2}}),
        ):
            conn.execute(
                f"INSERT INTO pgmq.q_{queue} {columns} VALUES (now(), 3, %s, %s)".encode(),
                [json.dumps(body), json.dumps(headers)],
            )
    conn.execute(
        f"INSERT INTO pgmq.q_{LONG} {columns}"
        " SELECT now(), 0, jsonb_build_object('new', jsonb_build_object('id', n)),"
        " jsonb_build_object('x-pgmq-group', n::text) FROM generate_series(1, 123456) AS n".encode()
    )
    conn.execute(
        f"INSERT INTO pgmq.q_{DEAD} {columns} SELECT now(), 1, '{{}}', jsonb_build_object('dead_letter',"
        " jsonb_build_object('queue', %s::text, 'error', 'Error: number ' || n, 'attempts', 5))"
        " FROM generate_series(1, 2000) AS n".encode(),
        [LONG],
    )
    conn.execute(
        f"INSERT INTO pgmq.a_{LONG} (msg_id, vt, message, headers) SELECT n, now(), %s, '{{}}'"
        " FROM generate_series(900001, 900060) AS n".encode(),
        [json.dumps(bodies[0])],
    )
    running = [{"queue": LONG, "ids": list(range(100_001, 100_010)), "messages": 123456, "seconds": 86399.5}]
    for state, quiet in (("working", "0 s"), ("draining", "0 s"), ("working", "1 hour")):
        conn.execute(
            "INSERT INTO changelane.workers VALUES (%s, %s, 4194304, '0.2.0', now() - interval '400 days',"
            " %s, %s, %s, %s, now(), now() - %s::interval, NULL)",
            [f"{state}{quiet}", f"{'host-' * 12}.example.org", [LONG, "short"], state, json.dumps(running),
             ERROR, quiet],
        )  # fmt: skip
    for state in ("running", "paused", "stopped"):
        conn.execute(
            "INSERT INTO changelane.relays VALUES (%s, %s, %s, 'rabbitmq', %s, now() - interval '9 days',"
            " %s, now(), 123456, 123456, 123456, now())",
            [LONG, f"{'host-' * 12}:{state}", "d" * 40, state, ERROR],
        )
    conn.execute("SELECT changelane.pause('short')")
    # Nobody declared it, and its name has no place to break at.
    conn.execute("SELECT pgmq.create(%s)", ["W" * 47])
    conn.execute(f'ALTER TABLE "{WIDE}"."{RIGHT_TO_LEFT}" DISABLE TRIGGER USER'.encode())


@pytest.fixture
def bare(bare_database: str, tmp_path: Path) -> Iterator[Panel]:
    """A dashboard over a database that holds nothing, in a folder without a spec."""
    with open_panel(tmp_path, bare_database, "--no-token") as panel:
        yield panel


def look(page: Page, folder: Path) -> dict[str, str]:
    """What is wrong with the open page, and where."""
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    found: dict[str, str] = {}
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            problems = page.evaluate(LAYOUT)
            if width in {SIZES[0][0], SIZES[2][0]}:
                problems += page.evaluate(ACCESSIBILITY)
            for problem in problems:
                found.setdefault(problem, f"{page.url} at {width}x{height}, {theme}")
            if problems:
                name = re.sub(r"\W+", "-", page.url.partition("//")[2])[:80]
                page.screenshot(path=folder / f"{name}-{width}-{theme}.png")
    return found


@pytest.mark.parametrize("data", ["nasty", "bare"])
def test_every_page_reads_at_every_size_and_in_every_theme(
    browser: Browser, data: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    panel: Panel = request.getfixturevalue(data)
    problems: dict[str, str] = {}
    with surf(browser, panel, reduced_motion="reduce") as page:
        for _ in walk(page, most=150):
            problems = {**steady(page, partial(look, page, tmp_path)), **problems}
    lines = [f"{where}: {what}" for what, where in problems.items()]
    assert not lines, "\n".join([f"screenshots in {tmp_path}", *lines])


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<p style='width: 2000px'>wide</p>", "the page is"),
        ("<p style='width: 3rem'>one_word_without_an_end</p>", "out of its box"),
        ("<p style='position: relative; left: -40px'>beyond</p>", "beyond the window"),
        (
            "<p style='width: 3rem; overflow: hidden; white-space: nowrap'>cut off at its end</p>",
            "clipped text",
        ),
        ("<p style='height: 8px; overflow: hidden'>cut off below</p>", "clipped above or below"),
        ("<p>one</p><p style='margin-top: -2em'>other</p>", "text over"),
        (
            "<div class='scroll' style='overflow: auto'><table><td style='min-width: 2000px'>wide",
            "wider than its",
        ),
        ("<button style='width: 3rem; overflow-wrap: anywhere'>interminable</button>", "word is broken"),
        ("<button style='width: 3rem; white-space: nowrap'>a long name</button>", "wider than its box"),
        ("<svg><a><rect width='20' height='20'/><text y='15'>long text</text></a></svg>", "its rectangle"),
        ("<svg width='50'><text y='15'>a text that is long</text></svg>", "beyond its drawing"),
    ],
)
def test_what_is_wrong_with_a_page_is_seen(browser: Browser, body: str, found: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_content(f"<main>{body}</main>")
    assert any(found in problem for problem in page.evaluate(LAYOUT))
    page.set_content("<main><p>A page that is as it should be</p><button>Go on</button></main>")
    assert page.evaluate(LAYOUT) == []
    page.close()
