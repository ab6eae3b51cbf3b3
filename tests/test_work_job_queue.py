"""JobQueue: one thread runs brief jobs, all threads run longer ones, and a stuck thread delays no job."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from changelane.runner.work.handlers.job_queue import BRIEF, JobQueue

PATIENCE = 30.0

Job = Callable[[], object]


class Crew:
    """Threads that run what they take; ``ran`` counts jobs by thread."""

    def __init__(self, size: int) -> None:
        self.queue: JobQueue[Job | None] = JobQueue()
        self.ran: Counter[str] = Counter()
        self.took: float | None = None
        self.threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def _serve(self) -> None:
        own = threading.Lock()
        own.acquire()
        while (job := self.queue.take(own)) is not None:
            job()
            self.ran[threading.current_thread().name] += 1
            if self.took is not None:
                self.queue.note(self.took)

    def end(self) -> None:
        self.queue.set_brief(False)
        self.queue.put([None] * len(self.threads))
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_every_job_is_run_once_whoever_puts_and_however_long_jobs_take() -> None:
    crew = Crew(6)
    done: Counter[int] = Counter()
    lock = threading.Lock()

    def make(number: int) -> Job:
        def run() -> None:
            if number % 97 == 0:
                time.sleep(0.003)
            with lock:
                done[number] += 1

        return run

    def put(start: int) -> None:
        for first in range(start, start + 3000, 30):
            crew.took = BRIEF / 10 if first % 200 < 100 else BRIEF * 5
            crew.queue.put([make(number) for number in range(first, first + 30)])

    putters = [threading.Thread(target=put, args=(start,)) for start in range(0, 12_000, 3000)]
    for putter in putters:
        putter.start()
    for putter in putters:
        putter.join(PATIENCE)
    crew.end()
    assert done == Counter(range(12_000))


@pytest.mark.parametrize("brief", [True, False])
def test_jobs_that_wait_for_each_other_all_run(brief: bool) -> None:
    crew = Crew(4)
    crew.queue.set_brief(brief)
    barrier = threading.Barrier(4)
    crew.queue.put([partial(barrier.wait, PATIENCE)] * 4)
    limit = time.monotonic() + PATIENCE
    while crew.ran.total() < 4:
        assert time.monotonic() < limit
        time.sleep(0.01)
    crew.end()
    assert not barrier.broken


def test_a_stuck_job_holds_up_no_other_while_jobs_are_brief() -> None:
    crew = Crew(3)
    crew.queue.set_brief(True)
    stuck, passed = threading.Event(), threading.Event()
    crew.queue.put([partial(stuck.wait, PATIENCE), passed.set])
    assert passed.wait(PATIENCE)
    passed.clear()
    crew.queue.put([passed.set])
    assert passed.wait(PATIENCE)
    stuck.set()
    crew.end()


def test_briefness_follows_the_average() -> None:
    queue: JobQueue[None] = JobQueue()
    for _ in range(200):
        queue.note(BRIEF / 2)
    assert queue.brief
    queue.note(60.0)
    assert queue.brief, "one of many does not count"
    for _ in range(10):
        queue.note(BRIEF * 20)
    assert not queue.brief


def test_withdrawn_jobs_are_not_run() -> None:
    queue: JobQueue[int] = JobQueue()
    queue.put([1, 2, 3])
    assert (len(queue), queue.withdraw(), len(queue)) == (3, [1, 2, 3], 0)


def test_a_job_is_taken_early_only_while_no_thread_is_free_for_it() -> None:
    crew = Crew(1)
    busy, free = threading.Event(), threading.Event()

    def run() -> None:
        busy.set()
        free.wait(PATIENCE)

    def nothing() -> None: ...

    assert crew.queue.take_early() is None
    crew.queue.put([run])
    assert busy.wait(PATIENCE)
    assert crew.queue.take_early() is None
    crew.queue.put([nothing])
    assert crew.queue.take_early() is nothing
    assert len(crew.queue) == 0
    free.set()
    crew.end()
