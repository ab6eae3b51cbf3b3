"""pytest fixtures for tests of handlers: ``pytest_plugins = ["changelane.testing.plugin"]`` in conftest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from changelane.runner.live.database import resolve
from changelane.runner.local import server
from changelane.testing.scratch import Scratch, make_scratch, make_template

_RUNNING = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUNNING] = _find_local()


def pytest_unconfigure(config: pytest.Config) -> None:
    # The controller of pytest-xdist ends last, when no test process needs the server any more.
    if not hasattr(config, "workerinput") and not config.stash.get(_RUNNING, True) and _find_local():
        server.stop(Path.cwd() / server.FOLDER)


def _find_local() -> bool:
    return server.find(Path.cwd() / server.FOLDER) is not None


@pytest.fixture(scope="session")
def changelane_server() -> Iterator[tuple[str, str]]:
    """The conninfo of the server, and the name of a database with pgmq on it that serves as template.

    The server comes from DATABASE_URL, else from the PG* variables. Without these it is the local one, which
    the fixture starts, and stops again unless it ran before. The role must be able to create databases. The
    database that the variables name stays unchanged.
    """
    conninfo = resolve(None)
    with make_template(conninfo) as template:
        yield conninfo, template


@pytest.fixture
def changelane_database(
    changelane_server: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scratch]:
    """An empty database with pgmq, dropped after the test. DATABASE_URL and PGDATABASE name it during the
    test.
    """
    conninfo, template = changelane_server
    with make_scratch(conninfo, template=template) as scratch:
        monkeypatch.setenv("DATABASE_URL", scratch.url)
        monkeypatch.setenv("PGDATABASE", scratch.conn.info.dbname)
        yield scratch
