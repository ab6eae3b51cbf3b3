"""The running postmaster of a data directory: find it, stop it, remove what it left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from changelane.errors import ServerError

FAST_SECONDS = 20.0
"""How long a fast shutdown may take before an immediate one follows."""


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A live postmaster, as ``postmaster.pid`` describes it. ``socket`` is the folder of its Unix socket."""

    pid: int
    socket: Path
    ready: bool


def find(data: Path) -> Postmaster | None:
    """The live postmaster of this data directory, or None. A stale ``postmaster.pid`` is ignored.

    Raises ServerError if the caller may not read the directory.
    """
    try:
        lines = (data / "postmaster.pid").read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise ServerError(
            f"{data} belongs to another user", fix="run as its owner, or from another folder"
        ) from None
    # The server writes this file line by line while it starts (src/include/utils/pidfile.h).
    pid = int(lines[0]) if lines and lines[0].isdigit() else 0
    if pid <= 0 or not is_postmaster(pid, data):
        return None
    socket = Path(os.fsdecode(lines[4])) if len(lines) > 4 else Path()
    return Postmaster(pid=pid, socket=socket, ready=len(lines) > 7 and lines[7].strip() == b"ready")


def clear(data: Path, socket: Path) -> None:
    """Remove the lock files of a postmaster that has ended.

    Postgres itself keeps them if their process number is in use again, or belongs to a zombie.
    """
    if find(data) is None:
        for path in (data / "postmaster.pid", socket / ".s.PGSQL.5432", socket / ".s.PGSQL.5432.lock"):
            path.unlink(missing_ok=True)


def is_postmaster(pid: int, data: Path) -> bool:
    """Whether ``pid`` is a live postgres of this data directory, neither a zombie nor a reused process
    number.
    """
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    process = Path("/proc") / str(pid)
    if not Path("/proc/self/cmdline").exists():
        return _asked_of_ps(pid, data)
    try:
        # A zombie's command line is empty.
        arguments = process.joinpath("cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    if os.path.basename(arguments[0]) != b"postgres":
        return False
    try:
        # This comparison also holds if the folder was moved since.
        return os.path.samestat(process.joinpath("cwd").stat(), data.stat())
    except (PermissionError, FileNotFoundError):
        # The process belongs to another account, and we may not inspect it.
        return os.fsencode(data.resolve()) in arguments


def _asked_of_ps(pid: int, data: Path) -> bool:
    answer = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603, S607
    return b"postgres" in answer.stdout and os.fsencode(data.resolve()) in answer.stdout


def end(data: Path) -> bool:
    """Stop the postmaster of this data directory, and return when it is gone; False if none ran.

    A fast shutdown comes first. After FAST_SECONDS an immediate shutdown follows.
    """
    found = find(data)
    if found is None:
        return False
    for how, seconds in ((signal.SIGINT, FAST_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, how)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not is_postmaster(found.pid, data):
                return True
            time.sleep(0.02)
    return False
