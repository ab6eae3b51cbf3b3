"""One torture run: its folder, its watchdog, its database, and the loop of faults."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import psycopg
from fleet import Fleet
from psycopg import sql
from rich.console import Console
from storm import Storm
from watchdog import Watchdog
from writers import Writer

SQL = Path(__file__).parent / "sql"
console = Console(stderr=True, highlight=False)


class Torture(Protocol):
    """``kills`` are those of a second; returns the exit code."""

    def __call__(self, folder: Path, *, seconds: int, kills: float, seed: int) -> int: ...


def hold(torture: Torture, *, seconds: int, kills: float, seed: int | None, keep: bool, limit: float) -> None:
    """Run it in a temporary folder and exit with its code; whatever happens, nothing of it stays.

    ``kills`` are those of a minute, ``limit`` the most seconds that all may take.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # Many processes are killed on purpose.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    folder = Path(tempfile.mkdtemp(prefix="changelane-torture-")).resolve()
    watchdog = Watchdog(folder, limit=limit, keep=keep)
    console.print(f"seed {seed}, {seconds} s, {kills:g} kills a minute, in {folder}")
    try:
        code = torture(folder, seconds=seconds, kills=kills / 60, seed=seed)
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped")
        code = 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        watchdog.release()
    sys.exit(code)


def apply(folder: Path, url: str) -> None:
    """The folder's spec, as a user does it."""
    for arguments in (["inspect"], ["generate"], ["apply", "--yes"]):
        done = subprocess.run(
            [sys.executable, "-m", "changelane", *arguments],
            cwd=folder, env={**os.environ, "DATABASE_URL": url},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"changelane {' '.join(arguments)}: {done.stderr}")


def endure(
    seconds: int,
    *,
    queues: Sequence[str],
    fleet: Fleet,
    storm: Storm,
    writers: Sequence[Writer],
    depths: Counter[str],
    url: str,
) -> None:
    """Strike, bring back and count, until the time is over."""
    began = measured = shown = time.monotonic()
    template = sql.SQL((SQL / "depth.sql").read_text())
    ask = sql.SQL(" UNION ALL ").join(
        template.format(name=sql.Literal(name), table=sql.Identifier("pgmq", f"q_{name}")) for name in queues
    )
    conn: psycopg.Connection[Any] | None = None
    with console.status("") as status:
        while (now := time.monotonic()) < began + seconds:
            storm.strike()
            fleet.revive()
            if now - measured > 0.3:
                measured = now
                try:
                    conn = conn or psycopg.connect(url, autocommit=True)
                    depths.update(
                        {name: depth - depths[name] for name, depth in conn.execute(ask).fetchall()}
                    )
                except psycopg.Error:
                    conn = None
                line = (f"{now - began:5.0f} s  changes {sum(writer.committed for writer in writers):>8,}  "
                        f"backlog {sum(depths.values()):>6,}  "
                        + ", ".join(f"{count} {name}" for name, count in storm.counts.items()))  # fmt: skip
                if console.is_terminal:
                    status.update(line)
                elif now - shown > 5:
                    shown = now
                    print(line, file=sys.stderr, flush=True)
            time.sleep(0.02)
