"""Ends everything that runs in a folder when its owner has ended, however that ended, or takes too long.

A process of its own, so that neither an interrupt nor a SIGKILL of the owner leaves anything behind; and the
only one that cleans up, so that there is one way for all ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from changelane.runner.local import server

ENGINES = "engines"
"""Folder below, in which the servers of relays run."""

RESPITE = 30.0
"""Seconds that the owner has to say what it saw, once its time is over."""


class Watchdog:
    """Watches over ``folder``, which it removes at the end unless told to ``keep`` it.

    ``limit`` in seconds.
    """

    def __init__(self, folder: Path, *, limit: float, keep: bool) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, folder, str(limit), str(os.getpid()), "keep" if keep else "remove"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def release(self) -> None:
        """End the remaining processes; returns when all are gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def find_processes(folder: Path) -> list[int]:
    """Those that run in the very folder; the server runs in one below."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return found


def watch(folder: Path, *, limit: float, owner: int, keep: bool) -> None:
    for number, seconds in ((signal.SIGTERM, limit), (signal.SIGKILL, RESPITE)):
        # The owner's end of the pipe is closed by its death, too.
        if select.select([0], [], [], seconds)[0]:
            break
        print(f"watchdog: time is over; {number.name} to {owner}", file=sys.stderr, flush=True)
        os.kill(owner, number)
    while found := [*find_processes(folder), *find_processes(folder / ENGINES)]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    (server.stop if keep else server.remove)(folder)


if __name__ == "__main__":
    _, where, span, pid, then = sys.argv
    watch(Path(where), limit=float(span), owner=int(pid), keep=then == "keep")
