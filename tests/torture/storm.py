"""The faults. The seed decides their kind, their time and their victim."""

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
from psycopg import sql
from support.tcp_proxy import Proxy

from changelane.runner.local import postmaster, server

TERMINATE = (Path(__file__).parent / "sql" / "terminate.sql").read_bytes()
SETTINGS = {"max_connections": "500", "fsync": "on"}

STRANGE = {
    "client_encoding": ("UTF8", "LATIN1", "SQL_ASCII", "EUC_JP"),
    "DateStyle": ("ISO, MDY", "German, DMY", "SQL, YMD", "Postgres, DMY"),
    "IntervalStyle": ("postgres", "sql_standard", "iso_8601", "postgres_verbose"),
    "TimeZone": ("UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"),
}
"""Settings that a fault may give to new sessions."""


class Storm:
    """``counts`` of what struck; ``kills`` a second are wanted, and the rest in proportion.

    ``lease`` is that of the consumers, in seconds.
    """

    lease = 2.0

    def __init__(
        self, *, folder: Path, url: str, fleet: Fleet, proxy: Proxy, seed: int, kills: float
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._url = url
        self._fleet = fleet
        self._proxy = proxy
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._random = random.Random(f"{seed} storm")
        self._stopped: list[tuple[float, int]] = []
        self._faults = self.list_faults(kills)
        self._due = time.monotonic() + self._pause()

    def list_faults(self, kills: float) -> dict[Callable[[], None], float]:
        """The rate of each fault, per second."""
        return {
            self._kill: kills,
            self._stop: kills * 0.3,
            self._terminate: kills * 0.2,
            self._end_idle: kills * 0.1,
            self._restart: kills * 0.1,
            self._kill_backend: kills * 0.02,
            self._crash_server: kills * 0.03,
            self._silence: kills * 0.1,
            self._forbid_writes: kills * 0.1,
            self._confuse: kills * 0.2,
        }

    def strike(self) -> None:
        """The faults that are due by now."""
        now = time.monotonic()
        for at, pid in self._stopped.copy():
            if now >= at:
                self._continue(at, pid)
        for at, end in self._later.copy():
            if now >= at:
                # Tried again while the server is away.
                with contextlib.suppress(psycopg.OperationalError):
                    end()
                    self._later.remove((at, end))
        while self._due <= now:
            self._due += self._pause()
            (fault,) = self._random.choices(list(self._faults), list(self._faults.values()))
            # The victim may have ended by itself.
            with contextlib.suppress(ProcessLookupError, psycopg.OperationalError):
                fault()

    def end(self) -> None:
        """Continue stopped processes, and end lasting faults."""
        for at, pid in self._stopped.copy():
            self._continue(at, pid)
        for _, end in self._later:
            end()

    def _pause(self) -> float:
        return self._random.expovariate(sum(self._faults.values()))

    def _choose(self) -> Member:
        return self._random.choice(self._fleet.members)

    def _choose_process(self) -> int:
        member = self._choose()
        # A supervised process, or the supervisor itself.
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
        self._stopped.append((time.monotonic() + self.lease * self._random.uniform(1.1, 2.5), pid))

    def _continue(self, at: float, pid: int) -> None:
        self._stopped.remove((at, pid))
        for member in self._fleet.members:
            member.excuse()
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

    def _end_idle(self) -> None:
        """Sessions that are idle in their transaction, as a timeout of the server does."""
        with psycopg.connect(self._url, autocommit=True) as conn:
            ended = conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'changelane work%' AND state = 'idle in transaction'"
            ).fetchall()
        self.counts["sessions ended while a handler ran"] += len(ended)

    def _kill_backend(self) -> None:
        """By SIGKILL: the server resets all connections and recovers."""
        with psycopg.connect(self._url, autocommit=True) as conn:
            found = conn.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'changelane work%'"
            ).fetchall()
        if found:
            os.kill(self._random.choice(found)[0], signal.SIGKILL)
            self.counts["backends killed"] += 1

    def _silence(self) -> None:
        """Nothing passes on the proxy's connections any more, nor, for a while and sometimes, on new ones."""
        self._proxy.silence(new=self._random.random() < 0.5)
        self.counts["silences of the proxy"] += 1
        self._later.append((time.monotonic() + self._random.uniform(1, 20), self._proxy.speak))

    def _forbid_writes(self) -> None:
        """For sessions that begin from now on; some of them do at once."""
        self._alter("SET default_transaction_read_only = on")
        self.counts["windows without writes"] += 1
        self._later.append((time.monotonic() + self._random.uniform(0.5, 4), self._allow_writes))
        self._terminate()

    def _allow_writes(self) -> None:
        self._alter("RESET default_transaction_read_only")

    def _confuse(self) -> None:
        """Another encoding, or another way to write times, for sessions that begin from now on."""
        name = self._random.choice(list(STRANGE))
        setting = sql.SQL("SET {} = {}").format(
            sql.Identifier(name), sql.Literal(self._random.choice(STRANGE[name]))
        )
        self._alter(setting.as_string())
        self.counts["settings of sessions changed"] += 1

    def _alter(self, setting: str) -> None:
        options = "-c default_transaction_read_only=off"
        with psycopg.connect(self._url, autocommit=True, options=options, client_encoding="UTF8") as conn:
            statement = f'ALTER DATABASE "{conn.info.dbname}" {setting}'
            conn.execute(statement.encode())

    def _crash_server(self) -> None:
        """Stopped at once, without a checkpoint; and started again."""
        running = postmaster.find(self._folder / "data")
        if running:
            os.kill(running.pid, signal.SIGQUIT)
            while postmaster.is_postmaster(running.pid, self._folder / "data"):
                time.sleep(0.01)
            self.counts["server stopped at once"] += 1
            time.sleep(self._random.choice([0.0, 0.5, self.lease * 1.2]))
        server.start(self._folder, settings=SETTINGS)
