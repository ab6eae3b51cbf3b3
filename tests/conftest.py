"""One server for a whole test run, one database a test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.rows import TupleRow
from support.captures import Rig, lend_rig
from support.command_line import RunChangelane
from support.databases import SETTINGS, address, create, drop, lend
from support.manifest_by_hand import Sample
from support.workers import Bench

from changelane.errors import ServerError
from changelane.runner.live import database as databases
from changelane.runner.live import pgmq
from changelane.runner.local import server as servers

ROOT = "CHANGELANE_TEST_ROOT"
URL = "CHANGELANE_TEST_URL"
PREFIX = "changelane-test-"

# A slow machine must not fail a test.
settings.register_profile("busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the expected output, for review with git diff",
    )


def pytest_configure(config: pytest.Config) -> None:
    # A shell lets background commands ignore SIGINT, and programs that tests interrupt would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Workers of pytest-xdist inherit the environment; only the controller makes the folder and removes it.
    if hasattr(config, "workerinput"):
        return
    _sweep()
    os.environ[ROOT] = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    root = Path(os.environ.pop(ROOT))
    if os.environ.get(URL):
        with databases.connect(os.environ[URL]) as conn:
            drop(conn, _template_name(root))
    servers.remove(root)


@pytest.fixture(scope="session")
def server() -> str:
    """The URL of the maintenance database of the run's server, or of CHANGELANE_TEST_URL."""
    return os.environ.get(URL) or servers.start(Path(os.environ[ROOT]), settings=SETTINGS)


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The name of a database with pgmq and nothing else, made by the first worker that asks."""
    name = _template_name(Path(os.environ[ROOT]))
    with databases.connect(server) as conn:
        conn.execute("SELECT pg_advisory_lock(hashtextextended('changelane test template', 0))")
        known = conn.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            partial = f"{name}_partial"
            drop(conn, partial)
            create(conn, partial, template="template0")
            with databases.connect(address(server, partial)) as inside:
                pgmq.install(inside)
            conn.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(partial), sql.Identifier(name)
                )
            )
    return name


@pytest.fixture
def database(server: str, template: str) -> Iterator[str]:
    """The URL of a fresh database with pgmq."""
    yield from lend(server, template)


@pytest.fixture
def bare_database(server: str) -> Iterator[str]:
    """The URL of a fresh database without pgmq."""
    yield from lend(server, "template0")


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """An autocommit connection to ``database``."""
    with databases.connect(database, application_name="test") as connection:
        yield connection


@pytest.fixture
def run_changelane(database: str, tmp_path: Path) -> RunChangelane:
    """Run ``changelane ARGUMENTS`` on ``database`` in a process of its own, by default in ``tmp_path``."""

    def run(
        *arguments: str | Path,
        cwd: Path = tmp_path,
        env: Mapping[str, str] | None = None,
        input: str = "",
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "changelane", *arguments],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": database, **(env or {})},
            input=input,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def sample() -> Sample:
    """A manifest with one queue and one capture."""
    return Sample().queue("events").capture()


@pytest.fixture
def bench(conn: psycopg.Connection[TupleRow], database: str, tmp_path: Path) -> Bench:
    """Workers, by handlers that the test writes, on the test's database."""
    return Bench(conn=conn, url=database, folder=tmp_path)


@pytest.fixture(scope="module")
def shared_rig(server: str, template: str) -> Iterator[Rig]:
    yield from lend_rig(server, template)


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    """Captures to fire in a database that the tests of a module share, empty at first."""
    shared_rig.clear()
    return shared_rig


def _sweep() -> None:
    """End the servers of earlier runs that were killed."""
    for root in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = root.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not _is_alive(int(owner)):
            # It is another user's, or another run removes it at this moment.
            with contextlib.suppress(ServerError):
                servers.remove(root)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _template_name(root: Path) -> str:
    return f"changelane_template_{root.name.rpartition('-')[2]}"
