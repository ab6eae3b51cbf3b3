"""The faults: which, when and whom they strike is chosen by the seed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg
from fleet import Fleet, Member

from changelane.runner.local import postmaster, server

LEASE = 2.0
TERMINATE = (Path(__file__).parent / "sql" / "terminate.sql").read_bytes()
SETTINGS = {"max_connections": "500", "fsync": "on"}


class Storm:
    """``counts`` of what struck; ``kills`` a second are wanted, and the rest in proportion."""

    def __init__(self, *, folder: Path, url: str, fleet: Fleet, seed: int, kills: float) -> None:
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._url = url
        self._fleet = fleet
        self._random = random.Random(f"{seed} storm")
        self._stopped: list[tuple[float, int]] = []
        self._faults: dict[Callable[[], None], float] = {
            self._kill: kills,
            self._stop: kills * 0.3,
            self._terminate: kills * 0.2,
            self._restart: kills * 0.1,
            self._kill_backend: kills * 0.02,
            self._crash_server: kills * 0.03,
        }
        self._due = time.monotonic() + self._pause()

    def strike(self) -> None:
        """Whatever is due by now."""
        now = time.monotonic()
        for at, pid in self._stopped.copy():
            if now >= at:
                self._continue(at, pid)
        while self._due <= now:
            self._due += self._pause()
            (fault,) = self._random.choices(list(self._faults), list(self._faults.values()))
            # The victim may have ended by itself meanwhile.
            with contextlib.suppress(ProcessLookupError, psycopg.OperationalError):
                fault()

    def end(self) -> None:
        """Let those go on that are stopped."""
        for at, pid in self._stopped.copy():
            self._continue(at, pid)

    def _pause(self) -> float:
        return self._random.expovariate(sum(self._faults.values()))

    def _choose(self) -> Member:
        return self._random.choice(self._fleet.members)

    def _choose_process(self) -> int:
        member = self._choose()
        # One under a supervisor, or else the supervisor itself.
        pids = member.children or [member.parent or 0]
        pid = member.parent if member.parent and self._random.random() < 0.5 else self._random.choice(pids)
        if not pid:
            raise ProcessLookupError
        return pid

    def _kill(self) -> None:
        os.kill(self._choose_process(), signal.SIGKILL)
        self.counts["workers killed"] += 1

    def _stop(self) -> None:
        pid = self._choose_process()
        os.kill(pid, signal.SIGSTOP)
        self.counts["stopped past their lease"] += 1
        self._stopped.append((time.monotonic() + LEASE * self._random.uniform(1.1, 2.5), pid))

    def _continue(self, at: float, pid: int) -> None:
        self._stopped.remove((at, pid))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def _restart(self) -> None:
        member = self._choose()
        member.ask()
        self.counts["asked to end"] += 1

    def _terminate(self) -> None:
        """Some or all backends of workers."""
        share = self._random.choice([0.1, 0.5, 1.0])
        with psycopg.connect(self._url, autocommit=True) as conn:
            row = conn.execute(TERMINATE, {"share": share}).fetchone()
        self.counts["backends terminated"] += row[0] if row else 0

    def _kill_backend(self) -> None:
        """By SIGKILL: the server resets all connections and recovers."""
        with psycopg.connect(self._url, autocommit=True) as conn:
            found = conn.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'changelane work%'"
            ).fetchall()
        if found:
            os.kill(self._random.choice(found)[0], signal.SIGKILL)
            self.counts["backends killed"] += 1

    def _crash_server(self) -> None:
        """Stopped at once, without a checkpoint; and started again."""
        running = postmaster.find(self._folder / "data")
        if running:
            os.kill(running.pid, signal.SIGQUIT)
            while postmaster.is_postmaster(running.pid, self._folder / "data"):
                time.sleep(0.01)
            self.counts["server stopped at once"] += 1
            time.sleep(self._random.choice([0.0, 0.5, LEASE * 1.2]))
        server.start(self._folder, settings=SETTINGS)
