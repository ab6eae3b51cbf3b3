"""A visit in a browser that records errors and can walk through every page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

from support.dashboard import Panel

PATIENCE = 30_000
"""Milliseconds within which a page must reach the expected state."""


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


def walk(page: Page, *, most: int = 60) -> Iterator[str]:
    """Open every page that links lead to, one of each shape; yields its address."""
    waiting, known = ["/"], {"/"}
    while waiting and most:
        address = waiting.pop(0)
        most -= 1
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, f"{address}: {answer.status}"
        yield address
        links = page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        for link in links:
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
