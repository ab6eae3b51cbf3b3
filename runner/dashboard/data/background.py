"""The background task: a sample every few seconds, a comparison every half minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from anyio import to_thread

from changelane.errors import ChangelaneError, DatabaseError
from changelane.runner.apply.plan import plan
from changelane.runner.compare.compare import compare
from changelane.runner.compare.object import Object
from changelane.runner.dashboard.data.alarms import Alarms, find_alarms
from changelane.runner.dashboard.data.declared import NOTHING, Project
from changelane.runner.dashboard.data.pool import Pool
from changelane.runner.dashboard.data.samples import EVERY, SHARE, Sample, Samples, take
from changelane.runner.doctor.examine import examine
from changelane.runner.doctor.finding import Finding
from changelane.runner.live.observe import observe
from changelane.runner.live.session import explain

CHECK_EVERY = 30.0
"""Seconds between two comparisons of the database with the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The results of ``verify`` and ``doctor`` at ``at``, in seconds since 1970.

    ``objects`` are all objects with their states; ``error`` says why there are none.
    """

    at: float
    objects: tuple[Object, ...] = ()
    differences: tuple[Object, ...] = ()
    findings: tuple[Finding, ...] = ()
    error: str = ""
    fix: str = ""


class Watch:
    """Keeps the samples and the last check; ``wait`` tells streams of a new sample."""

    def __init__(self, pool: Pool, project: Project, *, log: Callable[[str], None]) -> None:
        self.samples = Samples()
        self.check: Check | None = None
        self.closing = False
        self.streams = 0
        self._pool = pool
        self._project = project
        self._log = log
        self._said = ""
        self._news = asyncio.Condition()
        self._wanted = asyncio.Event()
        self._hurried = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def alarms(self) -> Alarms:
        """What is wrong with the queues, by the last sample."""
        return find_alarms(self._project.read(), self.samples)

    async def run(self) -> None:
        """Refresh samples and checks until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sample())
            group.create_task(self._compare())

    def ask(self) -> None:
        """Start the next check now. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wanted.set)

    def hurry(self) -> None:
        """Take the next sample now. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hurried.set)

    async def wait(self, after: float, *, timeout: float) -> Sample | None:
        """The newest sample that is later than ``after``; None if there is none within ``timeout``
        seconds.
        """
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: self._is_newer(after))
        except TimeoutError:
            return None
        return self.samples.last

    def _is_newer(self, after: float) -> bool:
        last = self.samples.last
        return last is not None and last.at > after

    async def _sample(self) -> None:
        while True:
            sample = await to_thread.run_sync(self._take, abandon_on_cancel=True)
            self.samples.add(sample)
            async with self._news:
                self._news.notify_all()
            await _rest(self._hurried, max(EVERY, SHARE * sample.took))

    async def _compare(self) -> None:
        while True:
            began = time.monotonic()
            self.check = await to_thread.run_sync(self._look, abandon_on_cancel=True)
            rest = max(CHECK_EVERY, SHARE * (time.monotonic() - began))
            # The wait is shorter after a request or an error.
            rest = 5.0 if self.check.error and self._project.read().manifest else rest
            await _rest(self._wanted, rest)

    def _take(self) -> Sample:
        try:
            sample = take(self._pool, self.samples)
        except (psycopg.Error, DatabaseError) as error:
            known = error if isinstance(error, DatabaseError) else explain(error, doing="queues")
            last = self.samples.last
            seen = (last.session, last.queues, last.workers) if last else (None, {}, None)
            session, queues, workers = seen
            sample = Sample(
                at=time.time(),
                session=session,
                queues=queues,
                workers=workers,
                error=known.what,
                fix=known.fix,
            )
        if sample.error != self._said:
            self._log(sample.error or "the database answers")
        self._said = sample.error
        return sample

    def _look(self) -> Check:
        manifest = self._project.read().manifest or NOTHING
        try:
            with self._pool.lend() as conn:
                observed = observe(conn, manifest)
                findings = tuple(examine(conn, manifest))
            declared = manifest is not NOTHING
            return Check(
                at=time.time(),
                objects=compare(manifest, observed) if declared else (),
                differences=plan(manifest, observed).differences if declared else (),
                findings=findings,
            )
        except (psycopg.Error, ChangelaneError) as error:
            known = explain(error, doing="verify") if isinstance(error, psycopg.Error) else error
            return Check(at=time.time(), error=known.what, fix=known.fix)


async def _rest(wanted: asyncio.Event, seconds: float) -> None:
    """Wait this many seconds, or until a request comes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wanted.wait()
    wanted.clear()
