"""Runs of a schedule, compared with a look at every single minute."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changelane.contract.timing import COUNTED, FIELDS, MACROS, CronError, Timing, check_cron

MINUTE = timedelta(minutes=1)
CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "Australia/Sydney": ("2026-04-04T16:00", "2026-10-03T16:00"),
    "Australia/Lord_Howe": ("2026-04-04T15:00", "2026-10-03T15:30"),
    "America/St_Johns": ("2026-03-08T05:30", "2026-11-01T04:30"),
    "America/Santiago": ("2026-04-05T03:00", "2026-09-06T04:00"),
    "Africa/Cairo": ("2026-04-23T22:00", "2026-10-29T21:00"),
    "Asia/Kolkata": ("2026-03-29T01:00",),
    "UTC": ("2026-02-28T23:00",),
}
"""Zones, and when they change: both hemispheres, half hours, changes by half an hour and at midnight."""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def expand(field: str, place: int) -> set[int]:
    """The numbers of a field, as cron's manual defines them."""
    known = FIELDS[place]
    meant = set[int]()
    for term in field.upper().split(","):
        span, _, step = term.partition("/")
        for number, name in enumerate(known.names, known.lowest):
            span = span.replace(name, str(number))
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = known.lowest, known.highest
        else:
            low = int(first)
            high = int(last) if dash else known.highest if step else low
        meant |= set(range(low, high + 1, int(step or 1)))
    return meant


@cache
def walk(zone: str, start: datetime, days: int) -> list[tuple[datetime, datetime]]:
    """Each minute of elapsed time, with the local time then."""
    instants = [start + MINUTE * count for count in range(days * 1440)]
    return [(instant, instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for instant in instants]


def list_by_force(cron: str, zone: str, start: datetime, days: int) -> list[datetime]:
    fields = cron.split()
    minutes, hours, days_of_month, months, weekdays = (
        expand(field, place) for place, field in enumerate(fields)
    )
    weekdays = {day % 7 for day in weekdays}
    either = not (fields[2].startswith("*") or fields[4].startswith("*"))

    def matches(wall: datetime) -> bool:
        by_month = wall.day in days_of_month
        by_week = (wall.weekday() + 1) % 7 in weekdays
        day = by_month or by_week if either else by_month and by_week
        return day and wall.minute in minutes and wall.hour in hours and wall.month in months

    runs = list[datetime]()
    seen = set[datetime]()
    shown: datetime | None = None
    for instant, wall in walk(zone, start, days):
        if len(hours) == 24:
            due = matches(wall)
        else:
            skipped = (
                [shown + MINUTE * n for n in range(1, max(1, (wall - shown) // MINUTE))] if shown else []
            )
            due = (matches(wall) and wall not in seen) or any(matches(one) for one in skipped)
            seen.add(wall)
        shown = wall
        if due:
            runs.append(instant)
    return runs


def terms(place: int) -> st.SearchStrategy[str]:
    known = FIELDS[place]
    highest = 6 if place == 4 else known.highest
    number = st.integers(known.lowest, highest)
    spelled = number.map(lambda n: known.names[n - known.lowest] if known.names and n % 2 else str(n))
    # A range of one number and a step is open to the library's reading.
    pairs = st.lists(number, min_size=2, max_size=2, unique=True)
    spans = pairs.map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.integers(1, 40)
    return st.one_of(spelled, spans, st.builds("{}/{}".format, spans, step), st.builds("*/{}".format, step))


def fields(place: int) -> st.SearchStrategy[str]:
    several = st.lists(terms(place), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), several)


CRONS = st.tuples(*(fields(place) for place in range(5))).map(" ".join)


@given(cron=CRONS, zone=st.sampled_from(sorted(CHANGES)), data=st.data())
@settings(max_examples=100, deadline=None)
def test_runs_are_those_that_each_minute_looked_at_shows(cron: str, zone: str, data: st.DataObject) -> None:
    change = at(data.draw(st.sampled_from(CHANGES[zone])))
    # Start before the day begins, so that repeated local times are known.
    start, days = change - timedelta(days=1, hours=12), 3
    try:
        check_cron(cron)
    except CronError as error:
        assert str(error) == "never comes"
        return
    after = start + timedelta(days=1) + timedelta(seconds=data.draw(st.integers(0, 86400)))
    expected = [run for run in list_by_force(cron, zone, start, days) if run > after]
    timing = Timing(cron=cron, every=None, timezone=zone)
    assert list(islice(timing._list_runs(after), len(expected))) == expected
    if not expected:
        assert timing.find_next(after) >= start + timedelta(days=days)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "runs"),
    [
        # A skipped local time runs once, at the end of the gap; the next day is normal.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("30 2 * * *", "Australia/Sydney", "2026-10-03T12:00", ["2026-10-03T16:00", "2026-10-04T15:30"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", ["2026-04-23T22:00", "2026-04-24T21:00"]),
        ("*/20 2 * * *", "America/New_York", "2026-03-08T00:00", ["2026-03-08T07:00", "2026-03-09T06:00"]),
        # A repeated local time runs at its first occurrence.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 1 * * *", "America/St_Johns", "2026-10-31T12:00", ["2026-11-01T04:00", "2026-11-02T05:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", ["2026-04-04T14:45", "2026-04-05T15:15"]),
        ("0 */2 * * *", "Europe/Berlin", "2026-10-24T23:00", ["2026-10-25T00:00", "2026-10-25T03:00"]),
        # All hours: by elapsed time.
        ("30 * * * *", "Europe/Berlin", "2026-10-25T00:00", ["2026-10-25T00:30", "2026-10-25T01:30"]),
        ("30 0-23 * * *", "Europe/Berlin", "2026-03-29T00:00", ["2026-03-29T00:30", "2026-03-29T01:30"]),
        ("@daily", "Asia/Kolkata", "2026-03-29T00:00", ["2026-03-29T18:30", "2026-03-30T18:30"]),
        # Either day where both are said; the day that both mean where one is a star's.
        ("0 0 13 * FRI", "UTC", "2026-02-01T00:00", ["2026-02-06T00:00", "2026-02-13T00:00"]),
        ("0 0 29 2 *", "UTC", "2026-02-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_runs_around_the_changes_of_zones(cron: str, zone: str, after: str, runs: list[str]) -> None:
    timing = Timing(cron=cron, every=None, timezone=zone)
    assert list(islice(timing._list_runs(at(after)), len(runs))) == [at(run) for run in runs]


@given(every=st.integers(1, 366 * 86400), after=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_an_interval_is_on_its_own_multiples_and_never_drifts(every: int, after: datetime) -> None:
    moment = after.replace(tzinfo=UTC)
    run = Timing(cron=None, every=every).find_next(moment)
    assert (run - at("1970-01-01")) % timedelta(seconds=every) == timedelta(0)
    assert timedelta(0) < run - moment <= timedelta(seconds=every)


def test_missed_runs_are_counted_and_the_last_one_is_known() -> None:
    first = at("2026-01-01T00:00")
    assert Timing(cron=None, every=30).find_missed(first, first) == (first, 0)
    assert Timing(cron=None, every=30).find_missed(first, first + timedelta(seconds=95)) == (
        first + timedelta(seconds=90), 3,
    )  # fmt: skip
    daily = Timing(cron="@daily", every=None)
    assert daily.find_missed(first, at("2026-01-04T12:00")) == (at("2026-01-04T00:00"), 3)
    assert daily.find_missed(first, at("2026-01-01T23:59")) == (first, 0)
    minutely = Timing(cron="* * * * *", every=None)
    assert minutely.find_missed(first, at("2027-06-01T00:00:30")) == (at("2027-06-01T00:00"), COUNTED)
    rare = Timing(cron="0-59 0 1 1 *", every=None)
    assert rare.find_missed(first, at("2056-06-01T00:00")) == (at("2056-01-01T00:59"), COUNTED)


@pytest.mark.parametrize(
    ("cron", "marked"),
    [
        ("61 * * * *", "61"),
        ("0 24 * * *", "24"),
        ("0 0 1-32 * *", "1-32"),
        ("0 0 1 JAN,FOO *", "FOO"),
        ("0 0 * * 1,9", "9"),
        ("0 0 * * FRI-MON", "FRI-MON"),
        ("*/0 * * * *", "*/0"),
        ("5-1 * * * *", "5-1"),
        ("0 0 30 2 *", "30 2 *"),
        ("0 0 31 4,6 *", "31 4,6 *"),
        ("* * * *", "* * * *"),
        ("@never", "@never"),
        ("0 0 ? * *", "?"),
        ("1" * 300, "1" * 300),
        ("٣ * * * *", "٣"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_place(cron: str, marked: str) -> None:
    with pytest.raises(CronError) as caught:
        check_cron(cron)
    assert cron[caught.value.offset : caught.value.offset + caught.value.length] == marked


@given(st.text(max_size=60) | st.from_regex(r"([0-9*/,#LW-]{1,6} ){4}[0-9*/,#LW-]{1,6}", fullmatch=True))
@settings(deadline=None)
def test_any_text_is_right_or_refused(cron: str) -> None:
    try:
        check_cron(cron)
    except CronError as error:
        assert 0 <= error.offset <= error.offset + error.length <= max(1, len(cron))
    else:
        assert Timing(cron=cron, every=None, timezone="Europe/Paris").find_next(at("2026-01-01")) > at(
            "2026-01-01"
        )


@pytest.mark.parametrize("cron", [*MACROS, "*/15 9-17 * * mon-fri", "0 0 L * *", "0 9 * * MON#1"])
def test_names_ranges_and_steps_are_right(cron: str) -> None:
    check_cron(cron)
    assert re.fullmatch(
        r"2026-\d\d-\d\d", str(Timing(cron=cron, every=None).find_next(at("2026-01-01")).date())
    ) or (cron in ("@yearly", "@annually"))


def test_an_hourly_run_comes_twice_in_a_half_hour_that_is_repeated() -> None:
    timing = Timing(cron="30 * * * *", every=None, timezone="Australia/Lord_Howe")
    runs = list(islice(timing._list_runs(datetime(2026, 4, 4, 13, tzinfo=UTC)), 4))
    # 00:30, 01:30 before and after the clock goes back by half an hour, 02:30.
    assert [f"{run:%H:%M}" for run in runs] == ["13:30", "14:30", "15:00", "16:00"]
