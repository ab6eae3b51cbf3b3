"""Local servers in a folder of their own: their processes, and questions to them."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from changelane.runner.live import database
from changelane.runner.local import postmaster, server

IS_ROOT = os.geteuid() == 0
FAST = {"fsync": "off"}
START = "import sys; from pathlib import Path; from changelane.runner.local import server; "
START += "print(server.start(Path(sys.argv[1]), settings={'fsync': 'off'}), flush=True)"


@contextmanager
def lend_folder() -> Iterator[Path]:
    """A folder of a short name that all may enter; every server in it is stopped, and must be gone, after."""
    path = Path(tempfile.mkdtemp(prefix="cl-"))
    path.chmod(0o755)
    yield path
    homes = [link.resolve().parent.parent for link in path.rglob("data") if link.is_symlink()]
    for lock in [lock for lock in path.rglob("lock") if not lock.is_symlink()]:
        server.remove(lock.parent)
    for gone in (path, *homes):
        assert processes_in(gone) == []
    assert not any(home.exists() for home in homes)
    shutil.rmtree(path)


def processes_in(folder: Path) -> list[int]:
    """Every process with this folder in its command line or as its working directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
                place = os.fsencode(os.readlink(entry / "cwd"))
            except OSError:
                continue
            if os.fsencode(folder) + b"/" in line + b"/" + place + b"/":
                found.append(int(entry.name))
    return found


def ask(url: str, question: str = "SELECT current_user::text") -> Any:
    with database.connect(url) as conn:
        row = conn.execute(question.encode()).fetchone()
    return row and row[0]


def pid_of(root: Path) -> int:
    running = postmaster.find(root / "data")
    assert running is not None
    return running.pid


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
