"""Publishes the messages of one queue to a destination, in batches, each acked after the engine's own answer.

An engine that does not answer is no message's fault. The sink then gives everything back, claims nothing,
and tries to reach the engine, ever more rarely. Once it is reached, one message is published before others
are. A wrong configuration ends the sink, and leaves the messages in the queue.
"""

from __future__ import annotations

import queue as queues
import secrets
import threading
import time
from collections.abc import Sequence
from math import inf

from changelane.contract.destination import Relay
from changelane.errors import DestinationError
from changelane.runner.queue.delivery import Delivery
from changelane.runner.relay.destinations import Destinations
from changelane.runner.relay.engine import Engine, Misconfigured, Outcome, Outgoing, Unavailable
from changelane.runner.relay.writer import Writer
from changelane.runner.work.relays.outage import Outage
from changelane.runner.work.sinks.fault import Fault, Released
from changelane.runner.work.sinks.fault import Kind as FaultKind
from changelane.runner.work.sinks.job import Job
from changelane.runner.work.sinks.protocol import Host
from changelane.runner.work.sinks.relay_state import RelayState

PUBLISHERS = 4
"""Batches that are published at once: while the engine stores some, others are written."""

READY = 2
"""Batches that wait for a publisher, at most: as many as one claim brings."""

TRIAL = 5.0
"""Seconds that an engine has for the one message that shows whether it stores again. A receiver of HTTP has
the relay's whole timeout, for it may do its work before it answers.
"""

_FATES: dict[str, FaultKind] = {
    "refused": "dead_letter",
    "unroutable": "failed",
    "failed": "failed",
    "unavailable": "released",
    "misconfigured": "released",
}


class RelaySink:
    """Sends to one destination."""

    batch, transaction, cancels = True, False, True
    lends = None
    overrun = ""
    size = PUBLISHERS + READY

    def __init__(
        self,
        relay: Relay,
        *,
        lease: float,
        attempts: int,
        engine: Engine,
        destinations: Destinations,
        host: Host,
    ) -> None:
        self.relay = relay
        self.running: set[Job] = set()
        self.held_until = inf
        self.failure: Exception | None = None
        self.outage = Outage()
        self.relay_state = RelayState(destination=relay.to, engine=destinations.find(relay.to).kind)
        self._lease = lease
        self._attempts = attempts
        self._engine = engine
        self._destinations = destinations
        self._host = host
        self._kind = destinations.find(relay.to).kind
        self._trial = replace_timeout(relay, relay.timeout if self._kind == "http" else TRIAL)
        self._log = host.log.bind(queue=host.queue.name, destination=relay.to)
        self._jobs: queues.SimpleQueue[Job | None] = queues.SimpleQueue()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._left = PUBLISHERS

    @property
    def waiting(self) -> int:
        return self._jobs.qsize()

    def start(self) -> None:
        name = self._host.queue.name
        for number in range(PUBLISHERS):
            threading.Thread(target=self._serve, name=f"relay-{name}-{number}", daemon=True).start()
        threading.Thread(target=self._reach, args=[0.0], name=f"reach-{name}", daemon=True).start()

    def submit(self, jobs: list[Job]) -> None:
        for job in jobs:
            self._jobs.put(job)

    def withdraw(self) -> list[Job]:
        jobs: list[Job] = []
        while True:
            try:
                job = self._jobs.get_nowait()
            except queues.Empty:
                return jobs
            if job is None:
                self._jobs.put(None)
                return jobs
            jobs.append(job)

    def cancel(self) -> None:
        """Cut the connection: messages on their way fail, and are given back."""
        self._ending.set()
        self._engine.close()

    def close(self) -> None:
        self._ending.set()
        for _ in range(PUBLISHERS):
            self._jobs.put(None)

    def _serve(self) -> None:
        writer = Writer(self.relay, engine=self._kind, queue=self._host.queue.name, attempts=self._attempts)
        while (job := self._jobs.get()) is not None:
            self.running.add(job)
            try:
                self._publish(job, writer)
            except Exception as error:  # noqa: BLE001 - whatever a client raises is a failed attempt
                job.end(error)
            finally:
                self.running.discard(job)
                if job.ended:
                    self._host.report(job)
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            self._destinations.leave(self.relay.to)

    def _publish(self, job: Job, writer: Writer) -> None:
        if self.held_until or self.failure:
            # Claimed just before the pause: another worker may be able to send it.
            job.end(Released())
            return
        written = job.start(writer.write)
        messages = [message for message in written if message is not None]
        if not messages:
            job.end()
            return
        outcomes = self._send(messages)
        if not writer.by_row:
            # Every message would fare alike. Where a row's value is the address, this one is at fault.
            outcomes = [
                Outcome("misconfigured", outcome.text) if outcome.kind == "unroutable" else outcome
                for outcome in outcomes
            ]
        sent = [item for item, message in zip(job.handed, written, strict=True) if message is not None]
        job.end(_divide(sent, outcomes))
        self._heed(outcomes)

    def _send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        if not self.outage.trying:
            return self._hand_over(messages, relay=self.relay)
        with self._lock:
            if self.outage.trying:
                # Not always the first: it may be what the receiver cannot answer.
                chosen = secrets.randbelow(len(messages))
                (first,) = self._hand_over([messages[chosen]], relay=self._trial)
                self._heed([first])
                rest = [*messages[:chosen], *messages[chosen + 1 :]]
                if first.kind in ("unavailable", "misconfigured"):
                    outcomes = [Outcome("unavailable", first.text)] * len(rest)
                else:
                    outcomes = self._hand_over(rest, relay=self.relay) if rest else []
                return [*outcomes[:chosen], first, *outcomes[chosen:]]
        return (
            [Outcome("unavailable")] * len(messages)
            if self.held_until
            else self._hand_over(messages, relay=self.relay)
        )

    def _hand_over(self, messages: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        began = time.monotonic()
        outcomes = self._engine.publish(messages, relay=relay)
        self.relay_state.count([outcome.kind for outcome in outcomes], seconds=time.monotonic() - began)
        return outcomes

    def _heed(self, outcomes: Sequence[Outcome]) -> None:
        """Pause or stop where the engine's answers say so, and go on where it answers again."""
        for outcome in outcomes:
            if outcome.kind == "misconfigured":
                self._stop(outcome.text)
                return
        silent = next((outcome for outcome in outcomes if outcome.kind == "unavailable"), None)
        if silent is not None:
            waits = [outcome.after or 0.0 for outcome in outcomes if outcome.kind == "unavailable"]
            self._pause(silent.text, at_least=max(waits))
        elif self.outage.since is not None and not self.held_until:
            seconds = self.outage.end()
            if seconds is not None:
                self._log.info("destination stores again", after=round(seconds, 1))

    def _pause(self, text: str, *, at_least: float) -> None:
        if self.held_until or self.failure or self._ending.is_set():
            return
        self.held_until = inf
        pause = self._begin_outage(text)
        name = f"reach-{self._host.queue.name}"
        pause = max(pause, at_least)
        threading.Thread(target=self._reach, args=[pause], name=name, daemon=True).start()
        self._host.wake()

    def _begin_outage(self, text: str) -> float:
        """Note that the engine does not answer; returns the seconds until the next try."""
        pause, new = self.outage.begin()
        self.relay_state.become("paused", error=text, since=self.outage.began_at)
        if new:
            self._log.warning("destination is unavailable; paused, no attempt is spent", error=text)
        return pause

    def _stop(self, text: str, fix: str = "") -> None:
        if self.failure is None and not self._ending.is_set():
            self.failure = DestinationError(
                f"destination {self.relay.to} of queue {self._host.queue.name}: {text}",
                fix=fix or "change the engine or the spec, then start the worker again",
            )
            self.relay_state.become("stopped", error=text)
            self._log.error("relay stopped; its messages stay in the queue", error=text, fix=fix)
            self._host.wake()

    def _reach(self, pause: float) -> None:
        """Try to reach the engine until it is there, then let the loop claim."""
        while not self._ending.wait(pause):
            try:
                self._engine.connect(timeout=self.relay.timeout)
                findings = self._engine.check(self.relay, lease=self._lease, timeout=self.relay.timeout)
            except Misconfigured as error:
                self._stop(str(error), error.fix)
                return
            except Unavailable as error:
                pause = self._begin_outage(str(error))
                continue
            except Exception as error:  # noqa: BLE001 - a client may raise anything
                self._stop(f"{type(error).__name__}: {error}")
                return
            for finding in findings:
                if finding.severity == "error":
                    self._stop(finding.text, finding.fix)
                    return
                if self.outage.since is None:
                    self._log.warning(finding.text, fix=finding.fix)
            self.outage.trying = self.outage.since is not None
            self.held_until = 0.0
            self.relay_state.become("running")
            self._host.wake()
            return


def replace_timeout(relay: Relay, timeout: float) -> Relay:
    return relay.model_copy(update={"timeout": min(timeout, relay.timeout)})


def _divide(handed: Sequence[Delivery], outcomes: Sequence[Outcome]) -> Fault | None:
    """The fault of a job whose messages ended differently; None where all were stored."""
    parts = {
        delivery.name: Fault(_FATES[outcome.kind], text=outcome.text, after=outcome.after)
        for delivery, outcome in zip(handed, outcomes, strict=True)
        if outcome.kind in _FATES
    }
    return Fault("divided", parts=parts) if parts else None
