"""Runs worker processes: starts them, passes signals on, restarts crashed ones, replaces old ones."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FIRST_PAUSE = 0.5
LAST_PAUSE = 30.0
SETTLED_AFTER = 60.0
"""A child that ran this many seconds is restarted without the pause that its earlier crashes earned."""

KILLED_AFTER = 4.5
"""Seconds beyond its grace after which a child that was asked to end is killed."""

WORKING, REPLACE, RETIRE = b"w", b"e", b"r"
"""A child's messages, once it works and once it is old; the parent's message, once a successor works."""


class Process:
    """One worker process. ``working`` and ``old`` are its own reports. ``told``: it got a signal."""

    def __init__(self, *, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.started = time.monotonic()
        self.working = False
        self.old = False
        self.told = False
        self._line, theirs = socket.socketpair()
        self._line.setblocking(False)
        with theirs:
            # A session of its own: an interrupt typed at the terminal reaches the child once, through its
            # parent. The child's end of the socket tells it when the parent has ended, however that ended.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "changelane", *arguments],
                env={**os.environ, **environment},
                stdin=theirs.fileno(),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        code = self._process.poll()
        if code is not None:
            self._line.close()
            return code
        try:
            said = self._line.recv(16)
        except OSError:
            return None
        self.working = self.working or WORKING in said
        self.old = self.old or REPLACE in said
        return None

    def send_signal(self, number: int) -> None:
        self.told = True
        self._process.send_signal(number)

    def retire(self) -> None:
        try:
            self._line.send(RETIRE)
        except OSError:
            # The child has ended, or ends now.
            return


class Child:
    """One slot: its process, the successor while that starts, and earlier ones that still finish."""

    def __init__(self, *, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environment = environment
        self._pause = 0.0
        self._due = 0.0
        self._current: Process | None = None
        self._next: Process | None = None
        self._leaving: list[Process] = []
        self._done = False

    @property
    def processes(self) -> Iterator[Process]:
        yield from (process for process in (self._current, self._next, *self._leaving) if process)

    @property
    def replacing(self) -> bool:
        return self._next is not None

    def check(self, log: FilteringBoundLogger, *, stopping: bool, replace: bool) -> bool:
        """Start the process when due, and replace an old one when allowed; False once it has ended."""
        self._leaving = [process for process in self._leaving if process.poll() is None]
        self._check_next(log, stopping=stopping)
        self._check_current(log, stopping=stopping)
        now = time.monotonic()
        if not stopping and not self._done and now >= self._due:
            if self._current is None:
                self._current = self._start()
            elif self._current.old and replace:
                self._next = self._start()
        return any(self.processes) or not (stopping or self._done)

    def _start(self) -> Process:
        return Process(arguments=self._arguments, environment=self._environment)

    def _check_next(self, log: FilteringBoundLogger, *, stopping: bool) -> None:
        process = self._next
        if process is None:
            return
        code = process.poll()
        if code is not None:
            self._next = None
            if not stopping:
                self._postpone(process, code, log)
        elif process.working:
            if self._current is not None:
                self._current.retire()
                self._leaving.append(self._current)
            self._current, self._next = process, None

    def _check_current(self, log: FilteringBoundLogger, *, stopping: bool) -> None:
        process = self._current
        code = process.poll() if process else None
        if process is None or code is None:
            return
        self._current, self._next = self._next, None
        if code == 0 or stopping:
            self._done = True
        else:
            self._postpone(process, code, log)

    def _postpone(self, process: Process, code: int, log: FilteringBoundLogger) -> None:
        now = time.monotonic()
        calm = now - process.started > SETTLED_AFTER
        self._pause = FIRST_PAUSE if calm or not self._pause else min(LAST_PAUSE, self._pause * 2)
        self._due = now + self._pause
        log.error("worker process ended; restarting", pid=process.pid, exit_code=code, restart_in=self._pause)


def supervise(
    *,
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    grace: float,
    log: FilteringBoundLogger,
) -> int:
    """Run ``changelane ARGUMENTS`` for each of ``commands`` until all have ended in order or a signal came.

    Children that still run ``grace`` seconds and a little after the signal are killed. Returns 0, or 130
    after SIGINT.
    """
    children = [Child(arguments=arguments, environment=environment) for arguments in commands]
    received: list[int] = []
    killed_at = [0.0]

    def forward(number: int, _frame: object) -> None:
        if not received:
            killed_at[0] = time.monotonic() + grace + KILLED_AFTER
        received.append(number)
        for child in children:
            for process in child.processes:
                process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    while True:
        replacing = any(child.replacing for child in children)
        left = False
        for child in children:
            left |= child.check(log, stopping=bool(received), replace=not replacing)
            replacing = replacing or child.replacing
        if received:
            # The signal came while they were being started.
            for process in [process for child in children for process in child.processes if not process.told]:
                process.send_signal(received[-1])
        if not left:
            return 130 if signal.SIGINT in received else 0
        if received and time.monotonic() > killed_at[0]:
            for child in children:
                for process in child.processes:
                    log.error("worker process did not end; killed", pid=process.pid)
                    process.send_signal(signal.SIGKILL)
            killed_at[0] += KILLED_AFTER
        time.sleep(0.1)


class ParentConnection:
    """A child's end of the connection to its parent."""

    def __init__(self) -> None:
        # Handlers' child processes would otherwise inherit the socket as their standard input.
        self._line = socket.socket(fileno=os.dup(0))
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)

    def follow(self, *, retire: Callable[[], object]) -> None:
        """From now on, stop in order when the parent is gone, and call ``retire`` when it says so."""

        def listen() -> None:
            while self._receive():
                retire()
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=listen, name="parent", daemon=True).start()

    def tell(self, said: bytes) -> None:
        """Say WORKING or REPLACE."""
        try:
            self._line.send(said)
        except OSError:
            # The parent is gone; the other thread has noticed.
            return

    def _receive(self) -> bytes:
        try:
            return self._line.recv(16)
        except OSError:
            return b""
