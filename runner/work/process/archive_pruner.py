"""Deletes old archived messages and dead letters, in a thread of the worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from changelane.contract.manifest import Consumer
from changelane.errors import DatabaseError
from changelane.runner.live.jitter import vary
from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.queue.pruning import prune, prune_letters

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

EVERY = 60.0
"""Seconds from one round of a worker to its next, more or less."""

_Chore = Callable[[psycopg.Connection[Any]], int | None]


class ArchivePruner:
    """Prunes archives and dead letters of a process' consumers, now and again, in a thread of its own. Its
    connection is open only during a round.
    """

    def __init__(self, *, specs: Sequence[Consumer], conninfo: str, log: FilteringBoundLogger) -> None:
        self._chores: list[tuple[str, str, _Chore]] = []
        for spec in specs:
            if spec.archive:
                chore: _Chore = partial(prune, queue=spec.queue, keep=spec.archive.keep)
                self._chores.append(("archive", spec.queue, chore))
            if spec.dead_letters and spec.dead_letters.keep:
                chore = partial(prune_letters, queue=spec.dead_letter, keep=spec.dead_letters.keep)
                self._chores.append(("dead letters", spec.queue, chore))
        self._log = log
        self._stopped = threading.Event()
        self._reconnecting = ReconnectingConnection(conninfo, name="changelane worker archives")
        self._thread = threading.Thread(target=self._run, name="archives", daemon=True)

    def start(self) -> None:
        if self._chores:
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while True:
            for kind, queue, chore in self._chores:
                try:
                    self._prune(kind, queue, chore)
                except (psycopg.Error, DatabaseError) as error:
                    self._reconnecting.close()
                    message = str(error).partition("\n")[0]
                    self._log.warning(f"{kind} not pruned; trying again later", queue=queue, error=message)
            self._reconnecting.close()
            # So that many processes do not start their rounds at once.
            if self._stopped.wait(vary(EVERY, 0.8, 1.2)):
                return

    def _prune(self, kind: str, queue: str, chore: _Chore) -> None:
        pruned = 0
        while not self._stopped.is_set():
            count = chore(self._reconnecting.open())
            pruned += count or 0
            if not count:
                break
        if pruned:
            self._log.info(f"{kind} pruned", queue=queue, messages=pruned)
