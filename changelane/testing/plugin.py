"""pytest fixtures for tests of handlers. pytest loads this module by itself wherever Changelane is.

So it imports nothing before a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from changelane.testing.scratch import Scratch

_STARTED = pytest.StashKey[bool]()
_KEY = "changelane_started"


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A process of pytest-xdist has ended. It says whether it started the server."""
    if getattr(node, "workeroutput", {}).get(_KEY):
        node.config.stash[_STARTED] = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that the tests started, once no process of the run needs it any more."""
    if not hasattr(config, "workerinput") and config.stash.get(_STARTED, False):
        from changelane.runner.local import server

        server.stop(Path.cwd() / server.FOLDER)


@pytest.fixture(scope="session")
def changelane_server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The conninfo of the server, and the name of a database with pgmq on it that serves as template.

    The server comes from DATABASE_URL, else from the PG* variables. Without these it is the local one, which
    the fixture starts, and stops again unless it ran before. The role must be able to create databases. The
    database that the variables name stays unchanged.
    """
    from changelane.runner.live.database import resolve
    from changelane.runner.local import server
    from changelane.testing.scratch import make_template

    folder = Path.cwd() / server.FOLDER
    ran = server.find(folder) is not None
    conninfo = resolve(None)
    if not ran and server.find(folder) is not None:
        request.config.stash[_STARTED] = True
        if hasattr(request.config, "workeroutput"):
            request.config.workeroutput[_KEY] = True
    with make_template(conninfo) as template:
        yield conninfo, template


@pytest.fixture
def changelane_database(
    changelane_server: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scratch]:
    """An empty database with pgmq, dropped after the test. DATABASE_URL and PGDATABASE name it during the
    test.
    """
    from changelane.testing.scratch import make_scratch

    conninfo, template = changelane_server
    with make_scratch(conninfo, template=template) as scratch:
        monkeypatch.setenv("DATABASE_URL", scratch.url)
        monkeypatch.setenv("PGDATABASE", scratch.conn.info.dbname)
        yield scratch
