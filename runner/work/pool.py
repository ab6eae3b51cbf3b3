"""Where handlers run: threads for plain ones, tasks for async ones."""

from __future__ import annotations

from collections.abc import Callable

from changelane.manifest import Consumer
from changelane.runner.work.handler import Handler
from changelane.runner.work.job import Job
from changelane.runner.work.queue import Queue
from changelane.runner.work.tasks import Loop, Tasks
from changelane.runner.work.threads import Threads

Pool = Threads | Tasks


def make_pool(
    *,
    handler: Handler,
    queue: Queue,
    spec: Consumer,
    conninfo: str,
    loop: Loop | None,
    report: Callable[[Job], None],
) -> Pool:
    """A pool of the consumer's concurrency; ``loop`` is there where any handler is async."""
    if not handler.asynchronous:
        return Threads(handler=handler, queue=queue, conninfo=conninfo, size=spec.concurrency, report=report)
    assert loop is not None
    return Tasks(
        handler=handler,
        queue=queue,
        conninfo=conninfo,
        size=spec.concurrency,
        timeout=spec.timeout,
        loop=loop,
        report=report,
    )
