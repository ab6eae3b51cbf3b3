from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import psycopg
import pytest
from psycopg import errors

from changelane.change import DeadLetter, Discard, Failed, Retry
from changelane.contract.manifest import Retry as Policy
from changelane.errors import DatabaseError
from changelane.runner.live.transient import is_transient
from changelane.runner.work.outcome.verdict import FREE_RETURNS, Verdict, compute_backoff, judge
from changelane.runner.work.sinks.fault import (
    ERROR_LIMIT,
    TRACE_LIMIT,
    Fault,
    Released,
    TimedOut,
    Unfinished,
    read_fault,
)

POLICY = Policy(attempts=3, first=1, max=60)


def decide(error: BaseException | Fault | None, **counts: Any) -> Verdict:
    counts = {"failed": 0, "released": 0, **counts}
    return judge(error, policy=POLICY, on_exhausted="dead_letter", **counts)


def test_a_returned_handler_and_a_discard_are_acked() -> None:
    assert decide(None).action == decide(Discard()).action == "ack"


def test_a_failure_is_retried_until_attempts_are_used_up() -> None:
    assert [decide(ValueError("x"), failed=count).action for count in range(3)] == [
        "retry",
        "retry",
        "dead_letter",
    ]
    assert decide(ValueError("x"), failed=2).failed == 3


def test_exhausted_messages_go_where_the_consumer_says() -> None:
    verdict = judge(ValueError(), failed=2, released=0, policy=POLICY, on_exhausted="archive")
    assert verdict.action == "archive"


@pytest.mark.parametrize("after", [5, 5.0, timedelta(seconds=5)])
def test_retry_after_is_taken_at_its_word(after: float | timedelta) -> None:
    verdict = decide(Retry("later", after=after))
    assert (verdict.action, verdict.delay, verdict.failed, verdict.error) == ("retry", 5.0, 1, "later")


def test_retry_without_after_waits_as_the_backoff_says() -> None:
    assert 0.5 <= decide(Retry()).delay <= 1.0


def test_retry_uses_up_attempts() -> None:
    assert decide(Retry(after=1), failed=2).action == "dead_letter"


def test_a_dead_letter_moves_at_once_with_its_reason() -> None:
    verdict = decide(DeadLetter("not ours"))
    assert (verdict.action, verdict.error, verdict.failed) == ("dead_letter", "not ours", 1)


def test_a_timeout_is_a_failed_attempt() -> None:
    assert decide(TimedOut("too long")).action == "retry"


def test_a_vanished_worker_was_charged_before() -> None:
    verdict = decide(Unfinished("vanished"), failed=3)
    assert (verdict.action, verdict.failed) == ("dead_letter", 3)


def test_a_release_spends_no_attempt() -> None:
    verdict = decide(Released(), failed=1, released=2)
    assert (verdict.action, verdict.failed, verdict.released, verdict.delay) == ("release", 1, 3, 0.0)


def test_transient_errors_spend_no_attempt_and_wait_longer_each_time() -> None:
    verdicts = [decide(Fault("transient"), failed=2, released=9, returned=count) for count in (0, 3, 19)]
    assert {verdict.action for verdict in verdicts} == {"release"}
    assert {(verdict.failed, verdict.released) for verdict in verdicts} == {(2, 10)}
    assert [verdict.returned for verdict in verdicts] == [1, 4, 20]
    assert verdicts[0].delay <= 0.1 < verdicts[1].delay < verdicts[2].delay <= 30


@pytest.mark.parametrize("kind", ["transient", "interrupted"])
def test_a_message_that_is_released_again_and_again_fails_in_the_end(
    kind: Literal["transient", "interrupted"],
) -> None:
    assert decide(Fault(kind), returned=FREE_RETURNS).action == "retry"
    assert decide(Fault(kind), returned=FREE_RETURNS, failed=2).action == "dead_letter"


def test_a_lost_session_counts_as_the_death_of_a_worker_and_fails_a_suspect() -> None:
    assert decide(Fault("interrupted"), released=4).released == 4
    assert decide(Fault("interrupted"), suspect=True).action == "retry"


class Mean(Exception):
    """An exception whose every attribute raises."""

    def __str__(self) -> str:
        raise SystemExit(1)

    def __getattribute__(self, name: str) -> Any:
        raise KeyboardInterrupt(name)


class Bare(Retry):
    def __init__(self) -> None:
        """Does not call the base class's constructor."""


class Named(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit


class Nameless(Exception, metaclass=Named):
    pass


class Loose(Failed):
    def __init__(self, errors: Any) -> None:
        self.errors = errors


def retry_at(after: Any) -> Retry:
    asked = Retry("later")
    asked.after = after
    return asked


LIES = {"__class__": property(lambda self: sys.exit())}
QUIET = {"__init__": lambda self: None, "__str__": lambda self: 1}
RAISED: dict[str, tuple[Callable[[], BaseException], str]] = {
    "a mean one": (Mean, "retry"),
    "a retry without its constructor": (Bare, "retry"),
    "one that lies of its class": (type("Liar", (Retry,), LIES), "retry"),
    "one without a name": (Nameless, "retry"),
    "a dead letter without a text": (type("Quiet", (DeadLetter,), QUIET), "dead_letter"),
    "a mean discard": (type("Forgotten", (Discard,), {"__str__": Mean.__str__}), "ack"),
    "a failure of nothing": (lambda: Loose(None), "retry"),
    "a failure of none": (lambda: Loose({}), "retry"),
    "a failure of a mean one": (lambda: Loose(Mean()), "retry"),
    **{
        f"a retry after {number}": (partial(retry_at, after), "retry")
        for number, after in enumerate(("soon", float("nan"), 1e300, -1, [], Mean(), True))
    },
}


@pytest.mark.parametrize("name", RAISED)
def test_every_exception_of_a_handler_is_judged(name: str) -> None:
    make, action = RAISED[name]
    verdict = decide(make())
    assert (verdict.action, verdict.failed <= 1) == (action, True)
    assert 0 <= verdict.delay <= 1
    verdict.error.encode()


def test_the_faults_of_a_batch_are_read_one_by_one() -> None:
    parts = read_fault(Loose({"jobs:1": Mean(), "jobs:2": 7, "jobs:3": DeadLetter("no")})).parts
    assert [parts[f"jobs:{number}"].kind for number in (1, 2, 3)] == ["failed", "failed", "dead_letter"]


def test_a_fault_says_where_it_was_raised_and_quotes_no_row() -> None:
    def reindex() -> None:
        raise ValueError("no such index\nDETAIL: secret")

    try:
        reindex()
    except ValueError as error:
        fault = read_fault(error)
    assert fault.place.endswith("in reindex")
    assert "test_work_verdict.py:" in fault.place
    assert "no such index" in fault.brief
    assert "reindex" in fault.brief
    assert "secret" not in fault.brief


class Foreign(Exception):
    sqlstate = "40P01"


@pytest.mark.parametrize(
    "error",
    [
        errors.SerializationFailure(),
        errors.DeadlockDetected(),
        errors.AdminShutdown(),
        errors.CrashShutdown(),
        errors.CannotConnectNow(),
        errors.TooManyConnections(),
        errors.IdleSessionTimeout(),
        errors.IdleInTransactionSessionTimeout(),
        errors.ReadOnlySqlTransaction(),
        psycopg.OperationalError("server closed the connection unexpectedly"),
        DatabaseError("cannot connect"),
        Foreign(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_failures_of_the_database_are_transient(error: BaseException) -> None:
    assert is_transient(error)
    wrapper = RuntimeError("wrapped")
    wrapper.__cause__ = error
    assert is_transient(wrapper)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        errors.UniqueViolation(),
        errors.QueryCanceled(),
        errors.LockNotAvailable(),
        errors.UndefinedTable(),
        OSError("refused"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_failures_of_the_handler_are_not_transient(error: BaseException) -> None:
    assert not is_transient(error)


def test_a_cause_that_was_put_aside_is_no_excuse() -> None:
    aside, implied = ValueError("mine"), ValueError("while handling")
    aside.__context__ = implied.__context__ = errors.SerializationFailure()
    aside.__suppress_context__ = True
    assert not is_transient(aside)
    assert is_transient(implied)


@pytest.mark.parametrize(
    ("backoff", "wholes"),
    [
        ("exponential", [1, 2, 4, 8, 16, 32, 60, 60]),
        ("linear", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("constant", [1] * 8),
    ],
)
def test_backoff_grows_as_declared_between_half_and_whole(backoff: str, wholes: list[float]) -> None:
    policy = Policy.model_validate({"backoff": backoff, "first": 1, "max": 60})
    for attempt, whole in enumerate(wholes, start=1):
        waits = [compute_backoff(policy, attempt=attempt) for _ in range(50)]
        assert whole / 2 <= min(waits) < max(waits) <= whole


def test_backoff_survives_any_number_of_attempts() -> None:
    assert compute_backoff(POLICY, attempt=10**6) <= 60


def test_error_and_traceback_are_bounded_and_fit_jsonb() -> None:
    try:
        raise ValueError("\0\ud800" * 10_000)
    except ValueError as error:
        verdict = decide(error, failed=2)
    assert len(verdict.error) == ERROR_LIMIT
    assert len(verdict.traceback) <= TRACE_LIMIT
    assert "\0" not in verdict.error + verdict.traceback
    verdict.error.encode()
