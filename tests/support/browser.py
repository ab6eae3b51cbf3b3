"""A visit in a browser that records errors and can walk through every page."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, sync_playwright

from support.dashboard import Panel

PATIENCE = 30_000
"""Milliseconds within which a page must reach the expected state."""

LINKS = "links => links.map(link => link.getAttribute('href'))"
T = TypeVar("T")


def launch() -> Iterator[Browser]:
    """For a fixture of a module: Playwright's event loop runs in this thread, and asyncio.run() refuses
    another.
    """
    program = shutil.which("chromium")
    if program is None and os.environ.get("CI"):
        pytest.fail("chromium is not installed")
    if program is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        # Its sandbox refuses root; the only pages that it opens are the dashboard's.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def surf(browser: Browser, panel: Panel, **options: Any) -> Iterator[Page]:
    """A page on the overview. Fails at the end where a script failed, a policy was violated, a dialog came up
    or another host was asked.
    """
    problems: list[str] = []

    def listen(said: ConsoleMessage) -> None:
        # Some tests expect an error response.
        # Some tests stop the server for a while.
        if said.type == "error" and not said.text.startswith(
            ("Failed to load resource: the server responded", "Failed to load resource: net::ERR_")
        ):
            problems.append(f"{page.url}: {said.text}")

    def dismiss(dialog: Dialog) -> None:
        problems.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def watch(request: Request) -> None:
        if not request.url.startswith((panel.origin, "data:")):
            problems.append(request.url)

    context = browser.new_context(base_url=panel.origin, **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on("console", listen)
    page.on("dialog", dismiss)
    page.on("request", watch)
    page.goto("/")
    yield page
    context.close()
    assert not problems, problems


def steady(page: Page, look: Callable[[], T]) -> T:
    """What a look at the page finds; it looks again where the page loaded itself anew meanwhile."""
    for _ in range(5):
        try:
            return look()
        except Error as error:
            if "navigation" not in error.message:
                raise
            page.wait_for_load_state()
    raise AssertionError(f"{page.url} goes on loading")


def walk(page: Page, *, most: int = 60) -> Iterator[str]:
    """Open every page that links lead to, one of each shape; yields its address."""
    waiting, known = ["/"], {"/"}
    while waiting and most:
        address = waiting.pop(0)
        most -= 1
        answer = steady(page, partial(page.goto, address))
        assert answer is not None
        assert answer.status == 200, f"{address}: {answer.status}"
        yield address
        for link in steady(page, partial(page.locator("a[href]").evaluate_all, LINKS)):
            parts = urlsplit(link)
            if parts.netloc or not parts.path:
                continue
            shape = re.sub(r"\d+", "N", f"{parts.path}?{re.sub('=[^&]*', '', parts.query)}")
            if shape not in known:
                known.add(shape)
                waiting.append(link.partition("#")[0])
    assert len(known) > 10, known


def find_url(conn: psycopg.Connection[Any]) -> str:
    """Of the connection's database."""
    info = conn.info
    return f"postgresql:///{info.dbname}?host={info.host}&port={info.port}&user={info.user}"
