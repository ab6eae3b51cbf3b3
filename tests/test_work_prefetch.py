from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from changelane.commands.work import COLLECTED_AFTER, spare_collector
from changelane.contract.manifest import Consumer, Fair
from changelane.runner.queue.delivery import Delivery
from changelane.runner.work.process.prefetch import Prefetch
from changelane.runner.work.sinks.job import Job


class Taken(SimpleNamespace):
    """A sink of three slots that runs nothing."""

    def __init__(self, *, batch: bool) -> None:
        super().__init__(batch=batch, size=3, running=set(), waiting=0)
        self.jobs: list[Job] = []

    def submit(self, jobs: list[Job]) -> None:
        self.jobs += jobs


def open_prefetch(sink: Taken, **options: Any) -> Prefetch:
    spec = Consumer(
        queue="jobs", dead_letter="jobs_dlq", handler="app:run", batch=10, concurrency=3, **options
    )
    return Prefetch(spec=spec, sink=cast(Any, sink), alone=threading.Lock(), conclude=lambda job: None)


def claim(prefetch: Prefetch, count: int, *, first: int = 1) -> list[Delivery]:
    claimed = [Delivery(number, 1) for number in range(first, first + count)]
    prefetch.add(claimed)
    return claimed


@pytest.mark.parametrize("batch", [True, False])
def test_a_slow_sink_has_one_batch_claimed_at_a_time_and_a_fast_one_two(batch: bool) -> None:
    sink = Taken(batch=batch)
    prefetch = open_prefetch(sink)
    assert prefetch.measure_room() == 10
    for first in (1, 11):
        # The first time tells how fast the next are.
        prefetch.drop(claim(prefetch, 10, first=first))
    assert prefetch.measure_room() == 20


def test_a_claim_of_two_batches_is_two_jobs_for_a_handler_of_batches() -> None:
    sink = Taken(batch=True)
    claim(open_prefetch(sink), 14)
    assert [[item.msg_id for item in job.deliveries] for job in sink.jobs] == [
        [*range(1, 11)],
        [*range(11, 15)],
    ]


def test_a_fast_handler_of_batches_has_no_more_claimed_than_free_slots_take() -> None:
    sink = Taken(batch=True)
    prefetch = open_prefetch(sink)
    for first in (1, 11):
        prefetch.drop(claim(prefetch, 10, first=first))
    sink.waiting = 2
    assert prefetch.measure_room() == 10
    sink.waiting = 3
    assert prefetch.measure_room() == 0


@pytest.mark.parametrize(("took", "room"), [(0.0001, 10), (0.005, 6), (1.0, 3)])
def test_where_groups_take_turns_as_much_is_claimed_as_handlers_do_in_five_milliseconds(
    took: float, room: int
) -> None:
    prefetch = open_prefetch(Taken(batch=False), fair=Fair(by=(("key",),)))
    assert prefetch.measure_room() == 3
    job = Job([Delivery(1, 1)])
    job.handed, job.started, job.finished = job.deliveries, 7.0, 7.0 + took
    prefetch.measure([job])
    assert prefetch.measure_room() == room


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_worker_looks_for_garbage_rarely(collector: None) -> None:
    spare_collector()
    assert gc.get_threshold()[0] == COLLECTED_AFTER
    assert gc.get_freeze_count() > 0


def test_the_garbage_collector_stays_as_a_handler_s_module_set_it(collector: None) -> None:
    gc.set_threshold(123, 4, 5)
    spare_collector()
    assert gc.get_threshold() == (123, 4, 5)
