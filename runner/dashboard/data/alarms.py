"""The problems of a queue now: its state in one word, and the cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from changelane.contract.manifest import Consumer
from changelane.runner.dashboard.data.declared import Declared
from changelane.runner.dashboard.data.samples import Reading, Sample, Samples
from changelane.runner.doctor.finding import say_seconds
from changelane.runner.doctor.flow import WAITED

State = Literal["unconsumed", "blocked", "late", "failing", "paused"]
Level = Literal["bad", "warn"]

STARTING = 5.0
"""Seconds for which a due message may wait for a worker that starts or connects again."""

RECENT = 300.0
"""Seconds for which a new dead letter makes its queue failing."""

MANY = 10
"""Messages that wait for another attempt, from which on a queue is as bad as one with new dead letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """``bad`` ones are in the banner of every page, ``warn`` ones beside their queue alone."""

    queue: str
    state: State
    level: Level
    cause: str


Alarms = Mapping[str, Sequence[Alarm]]
"""The alarms of each queue that has some, the worst first."""


def find_alarms(declared: Declared, samples: Samples) -> Alarms:
    """The alarms of all queues by the last sample, none before the first one."""
    sample = samples.last
    if sample is None:
        return {}
    before = samples.find_since(sample.at - RECENT)
    letters = declared.letters(frozenset(sample.queues))
    found = {}
    for name, reading in sample.queues.items():
        if name in letters.values():
            continue
        alarms = list(_judge(name, reading, declared, sample, letters.get(name), before))
        if alarms:
            found[name] = sorted(alarms, key=lambda alarm: alarm.level != "bad")
    return found


def list_bad(alarms: Alarms) -> list[Alarm]:
    """Those for the banner."""
    return [alarm for found in alarms.values() for alarm in found if alarm.level == "bad"]


def _judge(
    name: str,
    reading: Reading,
    declared: Declared,
    sample: Sample,
    letters: str | None,
    before: Sample | None,
) -> Iterator[Alarm]:
    consumer = declared.consumers.get(name)
    late = reading.late or 0.0
    if (cause := _find_unconsumed(reading, consumer, sample)) is not None:
        level: Level = "bad" if reading.late is not None else "warn"
        yield Alarm(queue=name, state="unconsumed", level=level, cause=cause)
    elif consumer and late > consumer.lease and not reading.paused and not reading.blocked:
        cause = (
            f"a message has been due for {say_seconds(late)}, longer than its lease of {consumer.lease:g} s"
        )
        yield Alarm(queue=name, state="late", level="bad", cause=cause)
    if reading.blocked:
        cause = f"{_count(reading.blocked, 'message')} failed for good and block their keys"
        yield Alarm(queue=name, state="blocked", level="bad", cause=cause)
    yield from _find_failing(name, reading, declared, sample, letters, before)
    if reading.paused:
        yield Alarm(
            queue=name, state="paused", level="warn", cause="nobody claims its messages until it is resumed"
        )


def _find_unconsumed(reading: Reading, consumer: Consumer | None, sample: Sample) -> str | None:
    if reading.consumers or reading.moves or reading.paused:
        return None
    if consumer is None:
        waits = (reading.late or 0.0) >= WAITED
        return (
            f"no consumer is declared, and a message waits for {say_seconds(reading.late or 0.0)}"
            if waits
            else None
        )
    if not sample.workers:
        return "no worker runs" if reading.late is None else "no worker runs, and messages are due"
    if (reading.late or 0.0) >= STARTING:
        return f"no worker consumes it, and a message has been due for {say_seconds(reading.late or 0.0)}"
    return None


def _find_failing(
    name: str,
    reading: Reading,
    declared: Declared,
    sample: Sample,
    letters: str | None,
    before: Sample | None,
) -> Iterator[Alarm]:
    causes = []
    bad = reading.retrying >= MANY
    if reading.retrying:
        causes.append(f"{_count(reading.retrying, 'message')} failed and will be tried again")
    dead = sample.queues.get(letters) if letters else None
    earlier = before.queues.get(letters) if before and letters else None
    added = dead.queue.inserted - earlier.queue.inserted if dead and earlier else 0
    if added > 0 and dead and dead.depth:
        bad = True
        causes.append(f"{_count(added, 'new dead letter')} in the last {say_seconds(RECENT)}")
    queue = declared.queues.get(name)
    alarm = queue.dead_letters.alarm if queue and queue.dead_letters else None
    if alarm and dead and (dead.depth or 0) >= alarm:
        bad = True
        causes.append(f"{_count(dead.depth or 0, 'dead letter')}, and its alarm is at {alarm:,}")
    if causes:
        yield Alarm(queue=name, state="failing", level="bad" if bad else "warn", cause="; ".join(causes))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
