"""The context of one call: no other message sees what a handler sets there."""

from __future__ import annotations

from asyncio.events import Handle
from collections.abc import Awaitable, Generator
from contextvars import Context, ContextVar, copy_context
from types import TracebackType
from typing import Any

from changelane.runner.live.causes import get
from changelane.runner.work.sinks.job import Job

_JOB: ContextVar[Job | None] = ContextVar("changelane_job", default=None)


def make_context(job: Job) -> Context:
    """A copy of this thread's context that knows the job."""
    context = copy_context()
    context.run(_JOB.set, job)
    return context


def get_job() -> Job | None:
    """The job that this code belongs to: its call, or the call that started this task."""
    return _JOB.get()


def find_job(trace: TracebackType | None) -> Job | None:
    """The job whose call scheduled the event-loop step that raised this traceback."""
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code is Handle._run.__code__:
            context = get(frame.f_locals.get("self"), "_context")
            return context.get(_JOB) if isinstance(context, Context) else None
        trace = trace.tb_next
    return None


class InContext:
    """An awaitable whose steps all run in one context, inside the task that awaits it.

    A task of its own would give the same result but take ten times as long.
    """

    def __init__(self, context: Context, awaitable: Awaitable[Any]) -> None:
        self._context = context
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._awaitable.__await__()
        run, step, value = self._context.run, steps.send, None
        while True:
            try:
                waited = run(step, value)
            except StopIteration as end:
                return end.value
            try:
                value = yield waited
                step = steps.send
            except BaseException as error:  # noqa: BLE001 - the awaitable decides how to handle it
                value, step = error, steps.throw
