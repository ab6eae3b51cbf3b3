"""A sink that is neither handler nor relay: the loop uses it by the protocol only."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import inf
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql

from changelane.contract.manifest import Consumer
from changelane.errors import ChangelaneError
from changelane.runner.work.process.worker import Worker
from changelane.runner.work.sinks.fault import Fault, Released
from changelane.runner.work.sinks.job import Job
from changelane.runner.work.sinks.protocol import Host

Connection = psycopg.Connection[Any]

PATIENCE = 60.0


class Outlet:
    """A sink of batches, and its own plan. ``accept`` decides how a job ends."""

    batch, size, transaction, cancels = True, 1, False, True
    lends = None
    overrun = "the outlet is late"
    dated, warning = False, ""

    def __init__(self) -> None:
        self.held_until = 0.0
        self.failure: Exception | None = None
        self.running: set[Job] = set()
        self.jobs: list[Job] = []
        self.got: list[str] = []
        self.seen = threading.Event()
        self._lock = threading.Lock()

    def open(self, host: Host) -> Outlet:
        self.host = host
        return self

    def start(self) -> None:
        self._pool = ThreadPoolExecutor(1)

    @property
    def relay_state(self) -> None:
        """It is no relay."""

    @property
    def waiting(self) -> int:
        return len(self.jobs)

    def submit(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.jobs.append(job)
            self._pool.submit(self._take)

    def withdraw(self) -> list[Job]:
        with self._lock:
            jobs, self.jobs = self.jobs, []
        return jobs

    def _take(self) -> None:
        with self._lock:
            if not self.jobs:
                return
            job = self.jobs.pop(0)
            self.running.add(job)
        texts = job.start(lambda delivery: delivery.text or "")
        self.accept(job, texts)
        self.running.discard(job)
        self.host.report(job)

    def accept(self, job: Job, texts: list[str]) -> None:
        self.got += texts
        job.end()

    def cancel(self) -> None: ...

    def close(self) -> None:
        self._pool.shutdown(wait=False)


@pytest.fixture
def queues(conn: Connection) -> Connection:
    for name in ("one", "two"):
        conn.execute("SELECT pgmq.create(%s), pgmq.create(%s)", [name, f"{name}_dlq"])
        conn.execute("SELECT pgmq.send(%s, to_jsonb(n)) FROM generate_series(1, 10) AS n", [name])
    return conn


def count(conn: Connection, queue: str, where: str = "true") -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE " + where).format(sql.Identifier("pgmq", f"q_{queue}"))
    found = conn.execute(query).fetchone()
    assert found is not None
    return int(found[0])


def await_that(what: Any) -> None:
    limit = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.02)


@contextmanager
def working(url: str, sinks: dict[str, Outlet], *, drain: bool = False) -> Iterator[Worker]:
    """A worker that runs in a thread; it is stopped at the end, and its error raised."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    specs = [Consumer(queue=name, handler="no:ne", dead_letter=f"{name}_dlq", batch=4) for name in sinks]
    worker = Worker(
        specs=specs,
        sinks=sinks,
        conninfo=url,
        drain=drain,
        grace=5.0,
        log=structlog.wrap_logger(logging.getLogger("sink"), wrapper_class=quiet),
    )
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.run, signals=False)
        try:
            yield worker
        finally:
            if not drain:
                worker.stop()
            assert running.result(PATIENCE) == 0


def test_a_sink_takes_batches_and_its_faults_are_judged(queues: Connection, database: str) -> None:
    class Picky(Outlet):
        def accept(self, job: Job, texts: list[str]) -> None:
            self.got += texts
            parts = {item.name: Fault("dead_letter", text="no") for item in job.handed if item.text == "3"}
            job.end(Fault("divided", parts=parts) if parts else None)

    sink = Picky()
    with working(database, {"one": sink}, drain=True):
        pass
    assert sorted(map(int, sink.got)) == list(range(1, 11))
    assert (count(queues, "one"), count(queues, "one_dlq")) == (0, 1)


def test_a_sink_that_holds_back_keeps_no_message_and_spends_no_attempt(
    queues: Connection, database: str
) -> None:
    class Interrupted(Outlet):
        def accept(self, job: Job, texts: list[str]) -> None:
            if self.got or self.seen.is_set():
                super().accept(job, texts)
                return
            self.held_until = inf
            job.end(Released())
            self.seen.set()
            self.host.wake()

    sink = Interrupted()
    with working(database, {"one": sink}) as worker:
        assert sink.seen.wait(PATIENCE)
        (consumer,) = worker.consumers
        await_that(lambda: not consumer.held and count(queues, "one", "vt <= clock_timestamp()") == 10)
        claims = queues.execute("SELECT sum(read_ct) FROM pgmq.q_one").fetchone()
        time.sleep(0.5)
        assert queues.execute("SELECT sum(read_ct) FROM pgmq.q_one").fetchone() == claims
        assert consumer.counts["failed"] == 0
        sink.held_until = time.monotonic() + 0.2
        sink.host.wake()
        await_that(lambda: not count(queues, "one"))
        assert sorted(map(int, sink.got)) == list(range(1, 11))
        assert consumer.counts["failed"] == 0


def test_a_sink_that_fails_stops_its_consumer_and_leaves_the_others(
    queues: Connection, database: str
) -> None:
    class Misconfigured(Outlet):
        def accept(self, job: Job, texts: list[str]) -> None:
            self.failure = ChangelaneError("no such stream", fix="make it")
            job.end(Released())
            self.host.wake()

    failing, sound = Misconfigured(), Outlet()

    def check() -> None:
        with working(database, {"one": failing, "two": sound}) as worker:
            await_that(lambda: worker.consumers[0].stopped)
            queues.execute("SELECT pgmq.send('two', '11')")
            await_that(lambda: not count(queues, "two"))
            assert worker.consumers[1].alive

    with pytest.raises(ChangelaneError, match="no such stream"):
        check()
    assert len(sound.got) == 11
    assert count(queues, "one", "vt <= clock_timestamp()") == 10


def test_a_drain_ends_with_the_error_of_the_sink_that_failed(queues: Connection, database: str) -> None:
    class Misconfigured(Outlet):
        def start(self) -> None:
            super().start()
            self.failure = ChangelaneError("no such stream", fix="make it")

    sound = Outlet()
    with (
        pytest.raises(ChangelaneError, match="no such stream"),
        working(database, {"one": Misconfigured(), "two": sound}, drain=True),
    ):
        pass
    assert (len(sound.got), count(queues, "one")) == (10, 10)
