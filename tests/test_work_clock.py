"""The decision that follows from a schedule and the server's time."""

from datetime import UTC, datetime

import pytest

from changelane.runner.work.process.clock import Advance, Schedule, decide


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-05-04T{text}").replace(tzinfo=UTC)


def make(*, next_at: str | None, now: str, missed: str = "once", every: int | None = None) -> Schedule:
    return Schedule(
        name="beat",
        spec="",
        cron=None if every else "*/10 * * * *",
        every=every,
        timezone="UTC",
        missed=missed,
        since=at("10:05"),
        next_at=at(next_at) if next_at else None,
        now=at(now),
    )


@pytest.mark.parametrize(
    ("schedule", "advance"),
    [
        # The first run is the first one after the declaration, even if it is past by now.
        (make(next_at=None, now="11:00"), Advance(run=None, passed_over=0, next_at=at("10:10"))),
        (make(next_at="10:10", now="10:09:59.999"), None),
        (make(next_at="10:10", now="10:10"), Advance(run=at("10:10"), passed_over=0, next_at=at("10:20"))),
        (make(next_at="10:10", now="10:35"), Advance(run=at("10:30"), passed_over=2, next_at=at("10:40"))),
        # A minute late at most, or half of the time between two runs.
        (
            make(next_at="10:10", now="10:11", missed="skip"),
            Advance(run=at("10:10"), passed_over=0, next_at=at("10:20")),
        ),
        (
            make(next_at="10:10", now="10:11:01", missed="skip"),
            Advance(run=None, passed_over=1, next_at=at("10:20")),
        ),
        (
            make(next_at="10:10", now="10:30:30", missed="skip"),
            Advance(run=at("10:30"), passed_over=2, next_at=at("10:40")),
        ),
        (
            make(next_at="10:10:00", now="10:10:12", missed="skip", every=20),
            Advance(run=None, passed_over=1, next_at=at("10:10:20")),
        ),
    ],
)
def test_a_look_at_a_schedule_decides_the_run_to_send_and_the_next(
    schedule: Schedule, advance: Advance | None
) -> None:
    assert decide(schedule) == advance


def test_a_zone_that_this_machine_does_not_know_is_an_error_and_no_guess() -> None:
    schedule = Schedule(
        name="beat", spec="", cron="0 3 * * *", every=None, timezone="Mars/Olympus", missed="once",
        since=at("10:05"), next_at=at("10:10"), now=at("10:11"),
    )  # fmt: skip
    with pytest.raises(KeyError):
        decide(schedule)
