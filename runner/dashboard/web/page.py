"""What a module of ``pages`` declares as ``PAGE``: its routes, and its link in the navigation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from starlette.routing import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """``routes`` are its addresses. ``title`` and ``href`` make its link, placed by ``rank``; a page without
    them has none.
    """

    routes: Sequence[Route]
    title: str = ""
    href: str = ""
    rank: int = 0


def find_pages(package: str) -> list[Page]:
    """The pages that the modules of a package declare, in the order of the navigation."""
    return sorted(_read(package), key=lambda page: page.rank)


def sort_routes(pages: Sequence[Page]) -> list[Route]:
    """The routes of all pages, each fixed path before the patterns that match it, too."""
    return sorted((route for page in pages for route in page.routes), key=lambda route: route.path)


def _read(package: str) -> Iterator[Page]:
    for module in iter_modules(import_module(package).__path__):
        page = getattr(import_module(f"{package}.{module.name}"), "PAGE", None)
        if isinstance(page, Page):
            yield page
