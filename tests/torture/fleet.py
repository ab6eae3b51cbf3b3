"""The worker processes: started, restarted after each death, with checks of their exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from effects import EXIT
from watchdog import find_processes

DRAINS = 3
GRACE = 10
STOP_SECONDS = GRACE + 5.0
"""Seconds within which a worker must end after SIGTERM, under any fault."""

SLACK = 3.0
"""Seconds that a machine under load may add before that counts as a failure."""

ORPHAN_SECONDS = 60.0
EXPECTED = {-signal.SIGKILL: "killed", -signal.SIGSEGV: "segmentation fault", EXIT: "os._exit"}
"""Exit codes that the torture itself causes."""


class Member:
    """One `changelane work` and its children. ``problems`` are unexpected ends.

    ``longest`` is the most seconds from a SIGTERM to the end.
    """

    def __init__(self, number: int, arguments: Sequence[str], *, folder: Path, url: str) -> None:
        self.log = folder / f"worker-{number}.log"
        self.problems: list[str] = []
        self.refused = 0
        self.longest = 0.0
        self._arguments = ["work", "--grace", str(GRACE), *arguments]
        self._folder = folder
        self._environment = {**os.environ, "DATABASE_URL": url}
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = self._late = False
        self._asked_at = 0.0

    @property
    def parent(self) -> int | None:
        """The process, or None between two runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def children(self) -> list[int]:
        """The processes that it supervises."""
        with contextlib.suppress(OSError):
            return [
                int(pid)
                for pid in Path(f"/proc/{self.parent}/task/{self.parent}/children").read_text().split()
            ]
        return []

    def revive(self) -> None:
        """Start it unless it runs, and see how and when it ended."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                self._watch()
                return
            self._judge(code)
        self._asked = self._late = False
        with self.log.open("ab") as output:
            self._began = output.tell()
            # A session of its own: an interrupt at the terminal is the torture's to handle.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "changelane", *self._arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def ask(self) -> None:
        """Ask it to end in order."""
        if self.parent and not self._asked:
            self._asked = True
            self._asked_at = time.monotonic()
            os.kill(self.parent, signal.SIGTERM)

    def excuse(self) -> None:
        """It was stopped, by SIGSTOP, so its time to end begins anew."""
        self._asked_at = time.monotonic()

    def _watch(self) -> None:
        if self._asked and time.monotonic() - self._asked_at > STOP_SECONDS + SLACK and not self._late:
            self._late = True
            self.problems.append(f"{self.log.name}: did not end within {STOP_SECONDS:.0f} s of SIGTERM")

    def stop(self) -> None:
        self.ask()
        if self._process is not None:
            try:
                self._judge(self._process.wait(STOP_SECONDS + SLACK))
            except subprocess.TimeoutExpired:
                self.problems.append(f"{self.log.name}: did not end within {STOP_SECONDS:.0f} s of SIGTERM")
            self._process = None

    def _judge(self, code: int) -> None:
        if self._asked:
            self.longest = max(self.longest, time.monotonic() - self._asked_at)
        text = self.log.read_bytes()[self._began :].decode(errors="replace")
        # Children of a supervisor that was killed still write to its log while the next one starts.
        started = '"working"' in text and "--processes" not in self._arguments
        if (
            code in EXPECTED
            or (code == 0 and self._asked)
            or (code == -signal.SIGTERM and self._asked and not started)
        ):
            return
        if code == 1 and not started and "\nTraceback" not in text:
            # The server was down when it started; the worker says so and exits.
            self.refused += 1
            return
        self.problems.append(f"{self.log.name}: ended by itself with {code}:\n{text[-2000:]}")


class Fleet:
    """A worker for each of ``crews``, its arguments. The second and the last connect by ``proxied``."""

    def __init__(self, folder: Path, url: str, *, proxied: str, crews: Sequence[Sequence[str]]) -> None:
        self._folder = folder
        self.members = [
            Member(
                number,
                arguments,
                folder=folder,
                url=proxied if number in (2, len(crews)) else url,
            )
            for number, arguments in enumerate(crews, start=1)
        ]

    def revive(self) -> None:
        for member in self.members:
            member.revive()

    def stop(self) -> None:
        """End all in order, with the children of those that were killed."""
        for member in self.members:
            member.ask()
        for member in self.members:
            member.stop()
        deadline = time.monotonic() + ORPHAN_SECONDS
        while (left := find_processes(self._folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left:
            self.members[0].problems.append(f"orphans did not end: {left}")

    @property
    def problems(self) -> list[str]:
        found = [problem for member in self.members for problem in member.problems]
        for member in self.members:
            text = member.log.read_text(errors="replace") if member.log.exists() else ""
            # Of its own: those of handlers are within a line.
            if "\nTraceback" in text:
                place = text.index("\nTraceback")
                found.append(f"{member.log.name}: {text[max(0, place - 500) : place + 2000]}")
        return found

    def drain(self, queues: Sequence[str], *, url: str) -> list[tuple[int, str]]:
        """Several `changelane work --drain`, each again whenever a message kills it.

        Returns their exit codes, and what they said.
        """
        logs = [self._folder / f"drain-{number}.log" for number in range(DRAINS)]
        pool = ThreadPoolExecutor(DRAINS)
        try:
            return list(pool.map(lambda log: self._drain(queues, url=url, log=log), logs))
        finally:
            # An interrupt does not wait for them; the watchdog ends them.
            pool.shutdown(wait=False)

    def _drain(self, queues: Sequence[str], *, url: str, log: Path) -> tuple[int, str]:
        while True:
            with log.open("ab") as output:
                began = output.tell()
                code = subprocess.run(
                    [sys.executable, "-m", "changelane", "work", "--drain", *queues],
                    cwd=self._folder,
                    env={**os.environ, "DATABASE_URL": url},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    check=False,
                ).returncode
            if code not in EXPECTED:
                return code, log.read_bytes()[began:][-2000:].decode(errors="replace")
