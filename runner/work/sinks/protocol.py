"""The seam between the worker's loop and what takes the messages: batches in, fates out.

The loop claims, renews leases, judges and settles. It knows a sink by this protocol alone. A sink takes jobs,
runs them in any order and at its own pace, and ends and reports each. The way a job ends decides the outcome
of its messages:

====================================  ==================================================================
``job.end()``                         acked, grouped with others
``job.end(acked=True)``               already acked, in the sink's own transaction
``job.end(Fault("failed", ...))``     a failed attempt: retried by the consumer's policy, or exhausted
``job.end(Fault("divided", ...))``    ``parts`` names the messages that failed, the others are acked
``job.end(Released())``               back in the queue at once, without a charged attempt
====================================  ==================================================================

``Fault`` and the exceptions in ``fault.py`` list the other ways to end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from changelane.runner.live.connection_watchdog import WatchedConnection
from changelane.runner.queue.fenced import FencedQueue
from changelane.runner.work.sinks.connection_shares import ConnectionShares
from changelane.runner.work.sinks.job import Job
from changelane.runner.work.sinks.relay_state import RelayState

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the worker gives to a sink.

    The sink calls ``report`` once for each job that has ended, from any thread. It calls ``wake`` after it
    changed ``held_until`` or ``failure``. A sink with connections to the database joins ``shares``.
    """

    queue: FencedQueue
    conninfo: str
    shares: ConnectionShares
    log: FilteringBoundLogger
    report: Callable[[Job], None]
    wake: Callable[[], None]


class Sink(Protocol):
    """Takes the messages of one consumer. The loop calls its methods from several threads."""

    @property
    def batch(self) -> bool:
        """Whether a job holds all messages of a claim. Otherwise each message is a job."""

    @property
    def size(self) -> int:
        """How many jobs run at once, at most."""

    @property
    def transaction(self) -> bool:
        """Whether it acks in a transaction of its own, which is rolled back when a part of a job fails."""

    @property
    def lends(self) -> type[WatchedConnection] | None:
        """The kind of connection in whose transaction a job can run, if that transaction took its messages.

        None: with ``transaction``, its messages must be leased.
        """

    @property
    def cancels(self) -> bool:
        """Whether it ends jobs that run past the consumer's timeout by itself. The loop ends those that it
        could not end, too, a little later.
        """

    @property
    def overrun(self) -> str:
        """The log line for a job that the loop ended because it ran past its timeout."""

    @property
    def running(self) -> Collection[Job]:
        """The jobs that run: a set or dictionary, which ``list`` copies in one step."""

    @property
    def waiting(self) -> int:
        """How many submitted jobs do not run yet."""

    @property
    def held_until(self) -> float:
        """Until then, on the monotonic clock, nothing is claimed, and the loop gives the waiting jobs back;
        0 for never held, infinite until further notice. No attempt is charged for a pause.
        """

    @property
    def failure(self) -> Exception | None:
        """Why this consumer must stop, for example a mistake in its configuration. Its messages stay in the
        queue, other consumers go on, and the worker exits with this error when it ends.
        """

    @property
    def relay_state(self) -> RelayState | None:
        """How the relay is; None where the sink is no relay."""

    def start(self) -> None:
        """Begin to take jobs. Called once, before the first ``submit``."""

    def submit(self, jobs: list[Job]) -> None:
        """Take jobs over. Returns at once."""

    def withdraw(self) -> list[Job]:
        """Give back the jobs that have not begun to run. The sink does not report them."""

    def cancel(self) -> None:
        """Stop running jobs as far as possible, and report them as released."""

    def close(self) -> None:
        """End when idle, and close connections."""


class SinkPlan(Protocol):
    """A sink as a consumer of the manifest declares it, checked before anything connects."""

    @property
    def dated(self) -> bool:
        """Whether claims must read when each message was sent."""

    @property
    def warning(self) -> str:
        """What the person who starts the worker should know; empty for nothing."""

    def open(self, host: Host) -> Sink:
        """The sink. It starts later, by ``start``."""
