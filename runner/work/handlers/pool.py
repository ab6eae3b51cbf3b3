"""Where handlers run: threads for plain ones, tasks for async ones."""

from __future__ import annotations

from collections.abc import Callable

from changelane.contract.manifest import Consumer
from changelane.runner.queue.fenced import Queue
from changelane.runner.work.handlers.job import Job
from changelane.runner.work.handlers.scarcity import Scarcity
from changelane.runner.work.handlers.signature import Handler
from changelane.runner.work.handlers.task_pool import Tasks
from changelane.runner.work.handlers.thread_pool import Threads

Pool = Threads | Tasks


def make_pool(
    *,
    handler: Handler,
    queue: Queue,
    spec: Consumer,
    conninfo: str,
    scarcity: Scarcity,
    report: Callable[[Job], None],
) -> Pool:
    """A pool with as many slots as the consumer's concurrency."""
    pool: Pool
    if handler.asynchronous:
        pool = Tasks(
            handler=handler,
            queue=queue,
            conninfo=conninfo,
            size=spec.concurrency,
            timeout=spec.timeout,
            scarcity=scarcity,
            report=report,
        )
    else:
        pool = Threads(
            handler=handler,
            queue=queue,
            conninfo=conninfo,
            size=spec.concurrency,
            scarcity=scarcity,
            report=report,
        )
    scarcity.add(pool)
    return pool
