"""Splits a batch of which a part failed: the failed messages are found, and the others are not charged."""

from __future__ import annotations

from changelane.contract.manifest import Consumer
from changelane.runner.queue.delivery import Delivery
from changelane.runner.work.outcome.settle import Fate, judge_delivery, judge_job, judge_rest, release
from changelane.runner.work.sinks.fault import Fault
from changelane.runner.work.sinks.job import Job

Part = tuple[Delivery, ...]


def divide(
    job: Job, *, consumer: Consumer, transaction: bool, stopping: bool
) -> tuple[list[Fate], Job | None]:
    """The verdicts on an ended job, as far as its error identifies messages, and the jobs to run next.

    ``Failed`` names the failed messages. The others are acked, or run again without the failed ones when the
    handler's ``transaction`` was rolled back. Any other error of several messages identifies none. Then the
    halves run, one after the other, until a message fails alone. When ``stopping``, they are released
    instead.
    """
    if job.fault is None and not job.rest:
        return judge_job(job, consumer=consumer), None
    fates, parts = _split(job, consumer=consumer, transaction=transaction)
    parts += job.rest
    if not parts:
        return fates, None
    if stopping:
        return fates + [release(delivery) for part in parts for delivery in part], None
    return fates, Job(list(parts[0]), rest=parts[1:])


def _split(job: Job, *, consumer: Consumer, transaction: bool) -> tuple[list[Fate], tuple[Part, ...]]:
    handed = tuple(job.handed)
    rest = judge_rest(job, consumer=consumer)
    fault = job.fault
    if fault is not None and fault.kind == "divided":
        causes = {item: fault.parts[item.name] for item in handed if item.name in fault.parts}
        if len(causes) == len(fault.parts):
            others = tuple(item for item in handed if item not in causes)
            fates = [judge_delivery(item, cause, consumer=consumer) for item, cause in causes.items()]
            if transaction and others:
                return fates + rest, (others,)
            return fates + rest + [judge_delivery(item, None, consumer=consumer) for item in others], ()
        text = "ValueError: Failed names what the handler was not given"
        job.fault = Fault("failed", text=text, place=fault.place)
    elif fault is None or fault.kind != "failed":
        return judge_job(job, consumer=consumer), ()
    if len(handed) < 2:
        return judge_job(job, consumer=consumer), ()
    middle = (len(handed) + 1) // 2
    return rest, (handed[:middle], handed[middle:])
