"""Runs several worker processes: starts them, passes signals on, restarts what crashed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FIRST_PAUSE = 0.5
LAST_PAUSE = 30.0
SETTLED_AFTER = 60.0
"""Seconds after which a child that crashes is restarted without the pause that its earlier crashes earned."""


class Child:
    """One process, and when it may be started again."""

    def __init__(self, *, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environment = environment
        self.pause = 0.0
        self.due = 0.0
        self.done = False
        self.process: subprocess.Popen[bytes] | None = None
        self.code = 0

    def start(self) -> None:
        # A session of its own: an interrupt typed at the terminal reaches it once, through its parent. Its
        # stdin is a pipe that ends with the parent, however that ends.
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "changelane", *self._arguments],
            env={**os.environ, **self._environment},
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.started = time.monotonic()

    def check(self, log: FilteringBoundLogger, *, stopping: bool) -> None:
        """Start it when due; when it has crashed, say when that is; when it has ended in order, leave it."""
        now = time.monotonic()
        if self.process is None:
            if not stopping and now >= self.due:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        pid, self.process = self.process.pid, None
        if code == 0 or stopping:
            self.done = True
            self.code = code
            return
        calm = now - self.started > SETTLED_AFTER
        self.pause = FIRST_PAUSE if calm or not self.pause else min(LAST_PAUSE, self.pause * 2)
        self.due = now + self.pause
        log.error("worker process ended; restarting", pid=pid, exit_code=code, restart_in=self.pause)


def supervise(
    *, commands: Sequence[Sequence[str]], environment: Mapping[str, str], log: FilteringBoundLogger
) -> int:
    """Run ``changelane ARGUMENTS`` for each of ``commands`` until all have ended in order or a signal came.

    Returns 0, or 130 after SIGINT.
    """
    children = [Child(arguments=arguments, environment=environment) for arguments in commands]
    received: list[int] = []
    rouse = threading.Event()

    def forward(number: int, _frame: object) -> None:
        received.append(number)
        for child in children:
            if child.process is not None:
                child.process.send_signal(number)
        rouse.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    while True:
        for child in children:
            if not child.done:
                child.check(log, stopping=bool(received))
        if all(child.done or (received and child.process is None) for child in children):
            return 130 if signal.SIGINT in received else 0
        rouse.wait(0.1)
        rouse.clear()


def follow_parent() -> None:
    """In a child: stop in order when the parent is gone, which closes the pipe that is this one's stdin."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
