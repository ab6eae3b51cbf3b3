"""The background task: a sample every few seconds, a comparison every half minute."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import psycopg
from anyio import to_thread

from changelane.errors import ChangelaneError, DatabaseError
from changelane.runner.apply.plan import plan
from changelane.runner.compare.compare import compare
from changelane.runner.compare.object import Object
from changelane.runner.dashboard.data.alarms import Alarms, find_alarms
from changelane.runner.dashboard.data.declared import NOTHING, Project
from changelane.runner.dashboard.data.pool import Pool
from changelane.runner.dashboard.data.pulse import follow
from changelane.runner.dashboard.data.samples import EVERY, SHARE, Sample, Samples, take
from changelane.runner.doctor.examine import examine
from changelane.runner.doctor.finding import Finding
from changelane.runner.live.observe import observe
from changelane.runner.live.session import explain

FRESH = 1.0
"""Seconds that a page waits for a new sample after a change."""

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


class BackgroundRefresh:
    """Keeps the samples and the last check; ``wait`` tells streams of a new sample. ``away`` says why the
    database does not answer; ``boot`` names this run of the dashboard.
    """

    def __init__(self, pool: Pool, project: Project, *, pulse: Pool, log: Callable[[str], None]) -> None:
        self.samples = Samples()
        self.away: DatabaseError | None = None
        self.check: Check | None = None
        self.closing = False
        self.streams = 0
        self.boot = secrets.token_hex(8)
        self._pool = pool
        self._pulse = pulse
        self._project = project
        self._log = log
        self._said = ""
        self._began = 0.0
        self._news = asyncio.Condition()
        self._wanted = asyncio.Event()
        self._hurried = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def outage(self) -> str:
        """Why the numbers are old, or empty."""
        last = self.samples.last
        return self.away.what if self.away else last.error if last else ""

    @property
    def alarms(self) -> Alarms:
        """What is wrong with the queues, by the last sample."""
        return find_alarms(self._project.read(), self.samples)

    def count_dead(self) -> int:
        """The dead letters of all queues."""
        queues = self.samples.last.queues if self.samples.last else {}
        places = set(self._project.read().letters(frozenset(queues)).values())
        return sum(queues[name].depth or 0 for name in places if name in queues)

    async def run(self) -> None:
        """Refresh samples and checks until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sample())
            group.create_task(self._compare())
            group.create_task(follow(self._pulse, self._note))

    def close(self) -> None:
        """Close the connection that asks whether the database answers."""
        self._pulse.close()

    def ask(self) -> None:
        """Start the next check now. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wanted.set)

    def refresh(self) -> None:
        """Take a sample that begins now, and wait for it, FRESH seconds at most.

        May be called from any thread but that of the event loop.
        """
        if self._loop is None or self.away:
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._refresh(), self._loop).result(FRESH)

    async def _refresh(self) -> None:
        began = time.monotonic()
        self._hurried.set()
        async with self._news:
            await self._news.wait_for(lambda: self._began >= began)

    async def wait(self, after: float, *, timeout: float) -> Sample | None:
        """The newest sample if it is later than ``after``. Waits for one ``timeout`` seconds at most, and no
        longer than until the database goes away or comes back.
        """
        away = self.away is None
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: self._is_newer(after) or (self.away is None) is not away)
        return self.samples.last if self._is_newer(after) else None

    async def _note(self, away: DatabaseError | None) -> None:
        """Note why the database is away, or that it answers. No page waits for one that is away."""
        back = self.away is not None and away is None
        self.away = away
        self._pool.refuse(away)
        if back:
            self._hurried.set()
        async with self._news:
            self._news.notify_all()

    def _is_newer(self, after: float) -> bool:
        last = self.samples.last
        return last is not None and last.at > after

    async def _sample(self) -> None:
        while True:
            began = time.monotonic()
            # This sample does not hold requests from now on.
            self._hurried.clear()
            sample = await to_thread.run_sync(self._take, abandon_on_cancel=True)
            self.samples.add(sample)
            self._began = began
            async with self._news:
                self._news.notify_all()
            await _rest(self._hurried, max(EVERY, SHARE * sample.took))

    async def _compare(self) -> None:
        while True:
            began = time.monotonic()
            self._wanted.clear()
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
            sample = replace(last or Sample(at=0.0), at=time.time(), error=known.what, fix=known.fix)
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
