"""Works one queue: claims messages and hands them to its sink. One thread, one connection."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, Any

import psycopg

from changelane.contract.manifest import Consumer as Spec
from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.fenced import FencedQueue, explain
from changelane.runner.queue.identity import name_session
from changelane.runner.queue.taken import TakenQueue
from changelane.runner.work.process.prefetch import Prefetch
from changelane.runner.work.process.rate_limit import RateLimit
from changelane.runner.work.process.settler import Settler
from changelane.runner.work.process.taker import Taker
from changelane.runner.work.sinks.connection_shares import ConnectionShares
from changelane.runner.work.sinks.fault import Released, TimedOut
from changelane.runner.work.sinks.job import Job
from changelane.runner.work.sinks.protocol import Host, SinkPlan
from changelane.runner.work.sinks.relay_state import RelayState

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from changelane.runner.live.connection_watchdog import ConnectionSocket


HEARTBEAT = 10.0
"""Seconds after which an idle consumer checks that its connection still works."""

SILENCE = 30.0
"""Seconds without an answer from the database after which a consumer is not healthy."""

BLOCKED = 1.0
"""Seconds past its timeout after which a job that its sink should have cancelled is ended by the loop."""

LEAVE = 5.0
"""Seconds that running jobs get to end after their sink failed."""


class Consumer:
    """Claims for one sink, no more than it can soon use.

    ``idle`` means that no message can be claimed until ``wake``.
    """

    def __init__(
        self,
        *,
        spec: Spec,
        queue: FencedQueue,
        plan: SinkPlan,
        conninfo: str,
        alone: threading.Lock,
        shares: ConnectionShares,
        log: FilteringBoundLogger,
    ) -> None:
        self.spec = spec
        self.queue = queue
        self.idle = False
        self.failure: BaseException | None = None
        self._log = log
        self._event = threading.Event()
        self._stopping = threading.Event()
        self._deadline: float | None = None
        name = name_session(queue.name)
        self._reconnecting = ReconnectingConnection(conninfo, name=name, refused=shares.report)
        self._woken = False
        self._claimed_at = time.monotonic()
        self._rate_limit = RateLimit(rate=spec.rate)
        self.settler = Settler(
            spec=spec, queue=queue, conninfo=conninfo, stopping=self._stopping, progress=self.wake,
            shares=shares, log=log,
        )  # fmt: skip
        self._sink = plan.open(
            Host(
                queue=queue,
                conninfo=conninfo,
                shares=shares,
                log=log,
                report=self._report,
                wake=self.wake,
            )
        )
        self.taker: Taker | None = None
        if isinstance(queue, TakenQueue) and (self._sink.lends or not self._sink.transaction):
            self.taker = self.settler.taker = Taker(
                spec=spec,
                queue=queue,
                conninfo=conninfo,
                kind=self._sink.lends,
                ack=self.settler.ack_late,
                refused=shares.report,
                log=log,
            )
        self._prefetch = Prefetch(spec=spec, sink=self._sink, alone=alone, conclude=self.settler.put)
        self._thread = threading.Thread(target=self._run, name=f"consume-{queue.name}", daemon=True)

    @property
    def held(self) -> list[Delivery]:
        """The deliveries that are claimed and not settled; a copy."""
        return self._prefetch.snapshot()

    @property
    def running(self) -> list[Job]:
        """The calls that run now; a copy."""
        return list(self._sink.running)

    @property
    def last_error(self) -> tuple[str, float]:
        """The last failure of a message, or of the sink itself; empty without one. And when, in seconds since
        1970.
        """
        if self.failure:
            return str(self.failure).partition("\n")[0], time.time()
        return self.settler.last_error

    @property
    def relay_state(self) -> RelayState | None:
        return self._sink.relay_state

    @property
    def counts(self) -> Counter[str]:
        """How many messages ended in each outcome."""
        return self.settler.counts

    def start(self) -> None:
        self.settler.start(sink=self._sink, prefetch=self._prefetch)
        self._sink.start()
        self._thread.start()

    def wake(self) -> None:
        """Tell the consumer that messages are due."""
        self._woken = True
        self.idle = False
        self._event.set()

    @property
    def paused(self) -> bool:
        return self._rate_limit.paused

    def pause(self, paused: bool) -> None:
        """Stop claiming and give back what no handler has taken; or go on."""
        self._rate_limit.paused = paused
        self.wake()

    def stop(self, *, deadline: float) -> None:
        """Stop claiming, release what no handler has taken, wait for the rest until ``deadline``
        (monotonic).
        """
        self._deadline = deadline
        self._stopping.set()
        self._event.set()

    def join(self, *, timeout: float) -> None:
        self._thread.join(timeout)

    @property
    def stuck(self) -> bool:
        """Whether handlers still run."""
        return bool(self._sink.running)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        """Whether it ended because its sink failed. The worker continues without it."""
        return self._sink.failure is not None and not self.alive

    @property
    def silent(self) -> bool:
        """Whether the database has not answered for long."""
        return time.monotonic() - self._reconnecting.spoke_at > SILENCE

    @property
    def claimed_at(self) -> float:
        """When the last claim succeeded, on the monotonic clock; before the first, when this was made."""
        return self._claimed_at

    @property
    def jammed(self) -> bool:
        """Whether a handler that ran past its timeout and cannot be stopped occupies every slot."""
        late = [job.finished for job in list(self._sink.running) if job.finished is not None]
        return len(late) >= self._sink.size and max(late) < time.monotonic() - BLOCKED

    def find_waiting(self, *, seconds: float) -> list[ConnectionSocket]:
        """Connections on which a handler has waited this long for an answer and whose server process is
        known.
        """
        limit = time.monotonic() - seconds
        connections = [job.connection for job in list(self._sink.running)]
        wires = [connection.wire for connection in connections if connection is not None]
        return [wire for wire in wires if wire.pid is not None and (wire.began or inf) < limit]

    def expire(self) -> list[int]:
        """Fail jobs that ran past their timeout; returns the server processes of their transactions.

        This covers jobs that their sink cannot cancel, or did not. A later result is discarded. The slot
        stays occupied until the sink frees it.
        """
        timeout = self.spec.timeout
        if timeout is None:
            return []
        backends = []
        limit = time.monotonic() - timeout - (BLOCKED if self._sink.cancels else 0.0)
        for job in list(self._sink.running):
            if job.started is None or job.started > limit or job.ended:
                continue
            if job.end(TimedOut(f"the handler ran longer than its timeout of {timeout:g} s")):
                self._log.error(
                    self._sink.overrun,
                    queue=self.queue.name,
                    msg_ids=[delivery.msg_id for delivery in job.deliveries],
                    timeout=timeout,
                )
                if job.connection is not None:
                    if job.connection.wire.pid is not None:
                        backends.append(job.connection.wire.pid)
                    # A handler that waits for the database gets an error, which frees its slot.
                    job.connection.wire.cut()
                self.settler.put(job)
        return backends

    def _report(self, job: Job) -> None:
        last = not self._sink.waiting
        self.settler.report(job, last=last)
        if last and not self._event.is_set():
            self._event.set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self._sink.failure is None:
                if self.taker is not None:
                    # Here, so that it happens also while there is no connection for claims.
                    self.taker.convert_slow()
                self._attempt(self._turn)
            if not self._stopping.is_set():
                self.stop(deadline=time.monotonic() + LEAVE)
            self._finish()
            self.failure = self.settler.failure or self._sink.failure
        except BaseException as error:  # noqa: BLE001
            self.failure = error
        finally:
            if self.taker is not None:
                self.taker.close()
            self._reconnecting.close()
            if isinstance(self.failure, psycopg.Error):
                self.failure = explain(self.failure, queue=self.queue.name)

    def _attempt(self, step: Callable[[psycopg.Connection[Any]], None]) -> None:
        self._reconnecting.attempt(step, until=self._stopping, log=self._log, queue=self.queue.name)

    def _turn(self, connection: psycopg.Connection[Any]) -> None:
        now = time.monotonic()
        held_until = self._sink.held_until
        if self.paused or held_until > now:
            self._prefetch.give_back()
        self._prefetch.dispatch_suspects(connection, self.queue)
        room = 0 if self.taker is not None and self.taker.busy else self._prefetch.measure_room()
        limit = self._rate_limit.admit(room) if held_until <= now else 0
        beat = self._reconnecting.spoke_at + HEARTBEAT
        if now >= beat and (self.taker is not None or not limit):
            # This detects a lost connection before a message has to wait for it. Takes use others.
            connection.execute("SELECT", prepare=False)
            if self.taker is not None and self.idle:
                self.taker.close_idle()
        # A consumer that was woken while it judged itself idle must look again.
        if limit and (self._woken or not self.idle or now >= min(self.queue.next_at, beat)):
            self._claim(connection, limit=limit)
            return
        if now >= beat:
            return
        pause = beat - now
        if self.taker is not None:
            pause = min(pause, self.taker.next_at - now)
        if held_until > now:
            pause = min(pause, held_until - now)
        elif room and not self.paused:
            pause = min(pause, self.queue.next_at - now if self.idle else self._rate_limit.measure_pause())
        self._event.wait(max(pause, 0.001))
        self._event.clear()

    def _claim(self, connection: psycopg.Connection[Any], *, limit: int) -> None:
        self._woken = False
        claimed = self.taker.take(connection, limit=limit) if self.taker is not None else None
        if claimed is None:
            claimed = self.queue.claim(connection, limit=limit, lease=self.spec.lease)
        self._claimed_at = time.monotonic()
        self._prefetch.add(claimed)
        self._rate_limit.spend(len(claimed))
        self.idle = self.queue.next_at > time.monotonic() and not self._woken

    def _finish(self) -> None:
        """Release what no handler took, wait for those that run, cancel them past the deadline."""
        self.settler.join()
        self._prefetch.give_back()
        self._attempt(self.settler.settle)
        if self.taker is not None:
            self.taker.convert_all()
        while self._sink.running and time.monotonic() < (self._deadline or 0.0):
            self._event.wait(0.1)
            self._event.clear()
            # A job that found no connection is back among the jobs that no handler has begun.
            self._prefetch.give_back()
            self._attempt(self.settler.settle)
        if self._sink.running:
            self._log.warning(
                "handlers still running at the end of the grace; their messages are released",
                queue=self.queue.name,
                running=len(self._sink.running),
            )
            self._sink.cancel()
            self._event.wait(0.5)
            for job in list(self._sink.running):
                if job.end(Released()):
                    self.settler.put(job)
        self._prefetch.give_back()
        self._attempt(self.settler.settle)
        if self.taker is not None:
            self._attempt(self.taker.end)
        self._sink.close()


def list_relays(consumers: Iterable[Consumer]) -> dict[str, RelayState]:
    """The states of those that relay, by queue."""
    states = {consumer.spec.queue: consumer.relay_state for consumer in consumers}
    return {queue: state for queue, state in states.items() if state is not None}
