"""The application: it changes captured tables, and notes each change in the same transaction."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import psycopg

KEYS = {"ordered": 40, "blocking": 300, "fair": 3, "merged": 40}
FEW = 150
"""Keys of the other tables."""

BACKLOG = {"patient": 20, "fair": 150}
MOST = 300
"""Messages in the other queues beyond which their writers wait."""

KINDS = {
    "singles": {"fails": 0.02, "poison": 0.002, "gone": 0.003, "forks": 0.005},
    "batches": {"fails": 0.01, "poison": 0.002, "gone": 0.003, "late": 0.0005},
    "asyncs": {"fails": 0.02, "poison": 0.002, "gone": 0.003, "late": 0.002, "forks": 0.005},
    "ordered": {"fails": 0.02, "poison": 0.002, "gone": 0.003},
    "blocking": {"fails": 0.01},
    "patient": {"slow": 0.7, "late": 0.05},
    "fair": {"fails": 0.02, "poison": 0.002, "gone": 0.003},
    "merged": {"fails": 0.02, "late": 0.001, "forks": 0.002},
    "loose": {"fails": 0.02, "poison": 0.002},
    "taken": {"fails": 0.01, "poison": 0.002, "gone": 0.003, "slow": 0.002, "late": 0.001, "forks": 0.005},
    "taken_batches": {"fails": 0.005, "poison": 0.002, "gone": 0.003, "late": 0.0005},
}
RARE = {
    "singles": ("exits", "crashes"),
    "taken": ("exits", "crashes"),
    "ordered": ("exits", "crashes"),
    "blocking": ("poison",),
}
"""Kinds that cost a lot: one in RARE_SECONDS for each queue."""

RARE_SECONDS = 15.0


class Writer:
    """Two threads a queue. ``depths`` is how many messages wait in each, kept up by somebody else.

    ``kinds`` are shares of the changes, and of ``rare`` ones comes one in ``spread`` seconds. It writes rows
    0 to ``keys``, up to ``size`` at once, while fewer than ``most`` messages wait.
    """

    def __init__(
        self,
        queue: str,
        *,
        url: str,
        seed: int,
        depths: Counter[str],
        kinds: Mapping[str, float],
        keys: int = FEW,
        most: int = MOST,
        rare: Sequence[str] = (),
        spread: float = RARE_SECONDS,
        size: int = 8,
    ) -> None:
        self.queue = queue
        self.committed = 0
        self._url = url
        self._depths = depths
        self._kinds = kinds
        self._keys = keys
        self._most = most
        self._rare = rare
        self._size = size
        self._random = random.Random(f"{seed} {queue}")
        self._spread = spread
        self._rare_at = time.monotonic() + self._random.random() * spread
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with psycopg.connect(self._url, application_name="writer") as conn:
                    while not self._stopped.wait(self._random.expovariate(20)):
                        if self._depths[self.queue] < self._most:
                            self._change(conn)
            except psycopg.Error:
                # A fault, or a deadlock with the other thread, rolled the transaction back.
                self._stopped.wait(0.1)

    def _change(self, conn: psycopg.Connection) -> None:
        """One transaction of some statements, of which some are rolled back."""
        choose, count = self._random, 0
        for _ in range(choose.randint(1, 3)):
            ids = choose.sample(range(self._keys), choose.randint(1, min(self._size, self._keys)))
            kinds = [self._choose_kind() for _ in ids]
            gone = choose.random() < 0.05
            conn.execute("SELECT torture.write(%s, %s, %s, %s)", [self.queue, ids, kinds, gone])
            count += len(ids)
        if choose.random() < 0.05:
            conn.rollback()
        else:
            conn.commit()
            self.committed += count

    def _choose_kind(self) -> str:
        now = time.monotonic()
        if self._rare and now >= self._rare_at:
            self._rare_at = now + self._spread
            return self._random.choice(self._rare)
        point = self._random.random()
        for kind, share in self._kinds.items():
            point -= share
            if point < 0:
                return kind
        return "plain"
