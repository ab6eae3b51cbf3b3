"""Concurrent starts, killed starters, killed servers and deleted folders: the local server recovers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from support.local_servers import FAST, IS_ROOT, START, ask, lend_folder, pid_of, wait_until

from changelane.runner.live import database
from changelane.runner.local import server


@pytest.fixture
def folder() -> Iterator[Path]:
    with lend_folder() as found:
        yield found


@pytest.fixture
def root(folder: Path) -> Path:
    """A server's folder."""
    return folder / "root"


def test_starts_at_once_share_one_server(root: Path) -> None:
    command: list[str | Path] = [sys.executable, "-c", START, root]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    urls = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert urls == {server.find(root)}
    assert (root / "server.log").read_text().count("starting PostgreSQL") == 1


def test_the_server_outlives_a_killed_starter(root: Path) -> None:
    script = START + "; import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    killed = subprocess.run([sys.executable, "-c", script, root], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert ask(killed.stdout.strip()) == "postgres"
    assert server.start(root) == killed.stdout.strip()


def test_a_start_killed_during_initdb_leaves_nothing_broken(root: Path) -> None:
    starter = subprocess.Popen([sys.executable, "-c", START, root], stdout=subprocess.DEVNULL)
    wait_until(lambda: "creating subdirectories" in read(root / "server.log"))
    starter.kill()
    starter.wait()
    assert ask(server.start(root, settings=FAST)) == "postgres"


def test_a_start_killed_while_the_postmaster_starts_leaves_nothing_broken(root: Path) -> None:
    server.start(root, settings=FAST)
    server.stop(root)
    launched = read(root / "server.log").count("starting PostgreSQL")
    starter = subprocess.Popen([sys.executable, "-c", START, root], stdout=subprocess.DEVNULL)
    wait_until(lambda: read(root / "server.log").count("starting PostgreSQL") > launched)
    starter.kill()
    starter.wait()
    assert ask(server.start(root, settings=FAST)) == "postgres"
    assert read(root / "server.log").count("starting PostgreSQL") == launched + 1


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_killed_postmaster_is_started_anew(root: Path) -> None:
    for _ in range(3):
        url = server.start(root, settings=FAST)
        with database.connect(url) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
            conn.execute("INSERT INTO kept VALUES (1)")
            os.kill(pid_of(root), signal.SIGKILL)
            wait_until(lambda: server.find(root) is None)
    assert ask(server.start(root, settings=FAST), "SELECT count(*) FROM kept") == 3


def test_a_stale_lock_file_whose_number_is_in_use_again_does_not_matter(root: Path) -> None:
    socket = Path(str(conninfo_to_dict(server.start(root, settings=FAST))["host"]))
    lock = (root / "data" / "postmaster.pid").read_text()
    socket_lock = (socket / ".s.PGSQL.5432.lock").read_text()
    pid = pid_of(root)
    server.stop(root)
    for path, text in (
        (root / "data" / "postmaster.pid", lock),
        (socket / ".s.PGSQL.5432.lock", socket_lock),
    ):
        path.write_text(text.replace(str(pid), str(os.getpid()), 1))
    assert server.find(root) is None
    assert not server.stop(root)
    assert ask(server.start(root, settings=FAST)) == "postgres"


def test_a_folder_deleted_under_its_server_begins_afresh(root: Path) -> None:
    with database.connect(server.start(root, settings=FAST)) as conn:
        conn.execute("CREATE TABLE lost ()")
    old = pid_of(root)
    shutil.rmtree(root)
    try:
        assert ask(server.start(root, settings=FAST), "SELECT to_regclass('lost')::text") is None
    finally:
        # Ends by itself, but only within a minute.
        if (Path("/proc") / str(old)).exists():
            os.kill(old, signal.SIGINT)
            wait_until(lambda: not postmaster_runs(old))


def postmaster_runs(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return (Path("/proc") / str(pid)).exists()


def test_a_folder_moved_under_its_server_is_still_stopped_and_started(folder: Path) -> None:
    server.start(folder / "here", settings=FAST)
    (folder / "here").rename(folder / "there")
    # Of root's server the folder holds a link, by which it is still reached.
    assert (server.find(folder / "there") is not None) == IS_ROOT
    assert server.stop(folder / "there")
    assert ask(server.start(folder / "there", settings=FAST)) == "postgres"
    (folder / "there").rename(folder / "elsewhere")
    assert ask(server.start(folder / "elsewhere", settings=FAST)) == "postgres"
