from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changelane.change import Change, DeadLetter, Discard, Failed, Retry
from changelane.contract.manifest import Consumer
from changelane.runner.queue.delivery import Delivery
from changelane.runner.work.handlers.handler_input import CHANGES
from changelane.runner.work.outcome.batch_split import divide
from changelane.runner.work.outcome.settle import Fate
from changelane.runner.work.sinks.fault import Fault, LeaseLost, Released, TimedOut
from changelane.runner.work.sinks.job import Job

CONSUMER = Consumer(queue="jobs", handler="a:b", dead_letter="jobs_dlq")


def deliver(*msg_ids: int) -> list[Delivery]:
    changes = [
        Change(
            op="insert", schema="public", table="things", key=None, new={"id": msg_id}, old=None,
            at=datetime.now(UTC), txid="1", route="things", queue="jobs", msg_id=msg_id, attempt=1,
        )
        for msg_id in msg_ids
    ]  # fmt: skip
    return [
        Delivery(change.msg_id, 1, 0, 0, "", leased_until=float("inf"), content=change, queue="jobs")
        for change in changes
    ]


def end(job: Job, error: BaseException | Fault | None) -> Job:
    job.start(CHANGES.read)
    job.end(error)
    return job


def split(
    job: Job, *, transaction: bool = False, stopping: bool = False
) -> tuple[dict[int, str], list[list[int]]]:
    """Actions by msg_id, and the parts that follow."""
    fates, following = divide(job, consumer=CONSUMER, transaction=transaction, stopping=stopping)
    parts = [following.deliveries, *following.rest] if following else []
    return actions(fates), [[item.msg_id for item in part] for part in parts]


def actions(fates: list[Fate]) -> dict[int, str]:
    return {delivery.msg_id: verdict.action for delivery, verdict in fates}


def named(job: Job, **errors: BaseException | str) -> Failed:
    by_id = {f"m{item.msg_id}": item.content for item in job.deliveries if item.content}
    return Failed({by_id[name]: error for name, error in errors.items()})


def test_named_failures_are_judged_each_by_its_error_and_the_others_acked() -> None:
    job = Job(deliver(1, 2, 3, 4, 5))
    error = named(job, m1="no customer", m2=DeadLetter("never"), m4=Retry(after=60), m5=Discard())
    fates, following = divide(end(job, error), consumer=CONSUMER, transaction=False, stopping=False)
    assert following is None
    assert actions(fates) == {1: "retry", 2: "dead_letter", 3: "ack", 4: "retry", 5: "ack"}
    verdicts = {delivery.msg_id: verdict for delivery, verdict in fates}
    assert (verdicts[1].error, verdicts[2].error, verdicts[4].delay) == ("no customer", "never", 60)


def test_in_a_transaction_the_others_are_run_again_alone() -> None:
    job = Job(deliver(1, 2, 3))
    assert split(end(job, named(job, m2=ValueError())), transaction=True) == ({2: "retry"}, [[1, 3]])


def test_when_all_are_named_nothing_is_left_to_run() -> None:
    job = Job(deliver(1, 2))
    error = named(job, m1=ValueError(), m2=ValueError())
    assert split(end(job, error), transaction=True) == ({1: "retry", 2: "retry"}, [])


def test_an_error_that_names_nobody_halves_the_batch() -> None:
    for error in (ValueError(), TimedOut("long"), named(Job(deliver(9)), m9=ValueError())):
        assert split(end(Job(deliver(1, 2, 3)), error)) == ({}, [[1, 2], [3]])


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (None, "ack"),
        (Retry(), "retry"),
        (Discard(), "ack"),
        (DeadLetter("all"), "dead_letter"),
        (Released(), "release"),
        (LeaseLost(), "release"),
        (Fault("interrupted"), "release"),
        (Fault("transient"), "release"),
    ],
    ids=str,
)
def test_a_batch_is_not_split_for_an_error_of_every_message(
    error: BaseException | Fault | None, action: str
) -> None:
    assert split(end(Job(deliver(1, 2)), error)) == ({1: action, 2: action}, [])


def test_messages_not_handed_over_are_released_without_an_attempt() -> None:
    deliveries = deliver(1, 2, 3)
    deliveries[0].lost = True
    assert split(end(Job(deliveries), ValueError())) == ({1: "release"}, [[2], [3]])
    job = Job(deliveries)
    assert split(end(job, named(job, m2=ValueError()))) == ({1: "release", 2: "retry", 3: "ack"}, [])


def test_when_stopping_the_parts_are_released() -> None:
    job = Job(deliver(1, 2), rest=(tuple(deliver(3)),))
    assert split(end(job, ValueError()), stopping=True) == (dict.fromkeys([1, 2, 3], "release"), [])


def test_failed_without_a_change_is_refused() -> None:
    with pytest.raises(ValueError, match="names no change or message"):
        Failed({})


def test_a_single_change_that_names_itself_is_judged_by_that() -> None:
    job = Job(deliver(1))
    assert split(end(job, named(job, m1=DeadLetter("x"))), transaction=True) == ({1: "dead_letter"}, [])


@given(st.integers(1, 40), st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_each_is_judged_once_and_only_the_guilty_are_charged(
    size: int, random: Random, transaction: bool, names: bool
) -> None:
    guilty = {msg_id for msg_id in range(1, size + 1) if random.random() < 0.2}
    judged: list[int] = []
    charged: set[int] = set()
    order: list[int] = []
    job: Job | None = Job(deliver(*range(1, size + 1)))
    while job is not None:
        changes = job.start(CHANGES.read)
        bad = {change: ValueError() for change in changes if change.msg_id in guilty}
        error = None if not bad else Failed(bad) if names else ValueError()
        job.end(error, acked=transaction and error is None)
        if job.acked:
            judged += [item.msg_id for item in job.handed]
        if error is None or len(changes) == 1:
            order += [change.msg_id for change in changes]
        fates, job = divide(job, consumer=CONSUMER, transaction=transaction, stopping=False)
        judged += [delivery.msg_id for delivery, _ in fates]
        charged |= {delivery.msg_id for delivery, verdict in fates if verdict.failed}
    assert sorted(judged) == list(range(1, size + 1))
    assert charged == guilty
    if not names:
        assert order == sorted(order)
