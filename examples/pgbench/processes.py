"""The processes that the demo starts, none of which outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

HERE = Path(__file__).parent
CHANGELANE = (sys.executable, "-m", "changelane")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_SECONDS = 30.0
ATTEMPTS_TO_CATCH = 100

_CONNECTED = "SELECT FROM pg_stat_activity WHERE application_name = %s"
_IN_TRANSACTION = f"{_CONNECTED} AND state = 'idle in transaction'"

Command = Sequence[str | Path]


class Failure(Exception):
    """The demo cannot go on; the text says why."""


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back until the block has ended, so that no process is started and then forgotten."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda *which: received.append(which[0])) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


def is_setting(name: str) -> bool:
    """Whether an environment variable chooses a database; only the demo itself may do that."""
    return name == "DATABASE_URL" or (name.startswith("PG") and name.isupper())


def _environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not is_setting(name)} | more


def run(command: Command, *, cwd: Path = HERE) -> str:
    """Run a command to its end and return its stdout. Raises Failure with its stderr when it fails."""
    # A session of its own: a Ctrl-C at the terminal reaches the demo alone, which ends the rest in order.
    done = subprocess.run(
        command, cwd=cwd, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        start_new_session=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise Failure(f"`{show(command)}` exits with {done.returncode}:\n{done.stderr or done.stdout}")
    return done.stdout


def show(command: Command) -> str:
    """The command as one would type it."""
    words = [str(word) for word in command]
    if tuple(words[:3]) == CHANGELANE:
        words[:3] = ["changelane"]
    return " ".join(words)


class Process:
    """A process beside the demo, ``name`` to the server. Output goes to ``log``; ``stack`` stops it."""

    def __init__(self, command: Command, *, name: str, log: Path, stack: contextlib.ExitStack) -> None:
        self.command = command
        self.name = name
        self.log = log
        self._popen: subprocess.Popen[bytes] | None = None
        stack.callback(self.stop)
        self._spawn()

    def _spawn(self) -> None:
        with uninterrupted(), self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.command, cwd=HERE, env=_environment(PGAPPNAME=self.name), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._popen.pid if self._popen else 0

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._popen.poll() if self._popen else 0

    def stop(self) -> int:
        """End it in order, or by force when that takes too long; returns its exit code."""
        if self._popen is None:
            return 0
        self._popen.terminate()
        # A process that was stopped, as by kill() or ^Z, would not notice.
        self._popen.send_signal(signal.SIGCONT)
        try:
            return self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()

    def read_log(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def explain(self) -> Failure:
        """Why it failed: the end of its log."""
        lines = self.read_log().splitlines()[-10:]
        return Failure("\n  ".join([f"`{show(self.command)}` exits with {self.poll()}:", *lines]))


class Worker(Process):
    """``changelane work``. ``restarts`` counts how often it was killed and started again."""

    restarts = 0

    def kill(self, conn: psycopg.Connection[Any]) -> None:
        """SIGKILL it, if it can be caught in one, in the middle of a handler's transaction."""
        assert self._popen is not None
        with uninterrupted():
            for _ in range(ATTEMPTS_TO_CATCH):
                self._popen.send_signal(signal.SIGSTOP)
                # Its statements on the server end meanwhile.
                time.sleep(0.01)
                if conn.execute(_IN_TRANSACTION, [self.name]).rowcount:
                    break
                self._popen.send_signal(signal.SIGCONT)
                time.sleep(0.005)
            self._popen.send_signal(signal.SIGKILL)

    def has_reached(self, conn: psycopg.Connection[Any]) -> bool:
        """Whether it is connected to the server."""
        return conn.execute(_CONNECTED, [self.name]).rowcount > 0

    def revive(self) -> str | None:
        """Start it again if it was killed; returns a note on that. Raises Failure if it failed on its own."""
        code = self.poll()
        if code is None:
            return None
        if code > 0:
            raise self.explain()
        pid = self.pid
        self._spawn()
        self.restarts += 1
        end = f"was killed ({signal.Signals(-code).name})" if code else "was stopped"
        return f"worker {pid} {end}; worker {self.pid} takes its place"
