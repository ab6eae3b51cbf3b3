"""What a worker process tells Prometheus.

It keeps its own counts and times as they happen. Facts that only the database knows are queried at a scrape,
at most every few seconds, and left out while the database is away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import psycopg
from prometheus_client import REGISTRY, CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from psycopg import sql

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live.history import WAITED
from changelane.runner.live.queue_tables import name_queue
from changelane.runner.live.reconnecting import ReconnectingConnection
from changelane.runner.live.schedule_runs import list_schedules
from changelane.runner.live.schedules import can_read_schedules
from changelane.runner.queue.worker_notes import LOOK, STATE, compose_returning
from changelane.runner.work.outcome.meter import Meter
from changelane.runner.work.process.consumer import Consumer, list_relays
from changelane.runner.work.process.relay_metrics import measure_relays, time_relays
from changelane.runner.work.process.schedule_metrics import measure_schedules

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

DEPTH_CAP = 10_000
"""Messages of a queue that are counted, at most."""

KEPT = 2.0
"""Seconds for which the database's answers are reused, so that scrapes in a row ask once."""

TIMEOUT = 5000
"""Milliseconds that a query for metrics may take."""

PATIENCE = 0.5
"""Seconds that a scrape waits for the answer. After that it serves the last one, unless that is older than
STALE.
"""

STALE = 15.0

OUTCOMES = ("handled", "failed", "dead", "archived", "blocked", "released", "lost")

TRIES = (1, 2, 3, 5, 8, 13, 21)


class Metrics(Collector):
    """The metrics of one process, in ``registry`` together with its handlers' own. Each consumer gets a
    meter.
    """

    def __init__(
        self,
        *,
        project: str,
        consumers: Sequence[Consumer],
        conninfo: str,
        log: FilteringBoundLogger,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._project = project
        self._consumers = consumers
        self._reconnecting = ReconnectingConnection(
            conninfo, name="changelane worker metrics", limit=TIMEOUT / 1000
        )
        self._changed = threading.Condition()
        self._asking = False
        self._log = log
        self._gauges = _compose(consumers)
        self._alarms = {
            consumer.spec.queue: alarm for consumer in consumers if (alarm := _find_alarm(consumer))
        }
        self._horizon = sql.SQL(load_sql(__name__, "horizon"))
        self._answer: list[Metric] = []
        self._answered_at = -STALE
        self._said = ""
        label = ("queue",)
        lag = Histogram(
            "changelane_lag_seconds", "Seconds from capture, or from sending, until it was handled.", label,
            buckets=WAITED, registry=registry,
        )  # fmt: skip
        attempts = Histogram(
            "changelane_attempts", "Attempts that a handled change or message took.", label,
            buckets=TRIES, registry=registry,
        )  # fmt: skip
        for consumer in consumers:
            name = consumer.spec.queue
            consumer.settler.meter = Meter(lag.labels(name), attempts.labels(name))
        self._relays = list_relays(consumers)
        time_relays(self._relays, registry=registry)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        counts = CounterMetricFamily(
            "changelane_messages", "Messages by what became of them.", labels=["queue", "outcome"]
        )
        flying = GaugeMetricFamily(
            "changelane_in_flight", "Messages claimed and not settled yet.", labels=["queue"]
        )
        claim = GaugeMetricFamily(
            "changelane_last_claim_seconds", "Seconds since the last claim that succeeded.", labels=["queue"]
        )
        stopped = GaugeMetricFamily(
            "changelane_consumer_stopped",
            "1 when the consumer stopped because of its configuration, and its messages wait, else 0.",
            labels=["queue"],
        )
        now = time.monotonic()
        for consumer in self._consumers:
            name = consumer.spec.queue
            stopped.add_metric([name], consumer.stopped)
            for outcome in OUTCOMES:
                counts.add_metric([name, outcome], consumer.counts[outcome])
            flying.add_metric([name], len(consumer.held))
            claim.add_metric([name], max(0.0, now - consumer.claimed_at))
        yield from _measure_times(self._consumers)
        yield counts
        yield flying
        yield claim
        yield stopped
        yield from measure_relays(self._relays)
        yield from self.ask()

    def describe(self) -> Iterable[Metric]:
        """Describes nothing, so that registration does not query the database."""
        return ()

    @property
    def alive(self) -> bool:
        """Whether every consumer works, is in touch with the database, and has a slot that can become
        free. A consumer that stopped because its sink failed is not counted: a restart would not help it.
        """
        return all(
            consumer.stopped or (consumer.alive and not consumer.jammed and not consumer.silent)
            for consumer in self._consumers
        )

    @property
    def ready(self) -> bool:
        """Whether the process is healthy and the database answers now."""
        return self.alive and bool(self.ask())

    def ask(self) -> list[Metric]:
        """The database's facts, after a wait of at most PATIENCE; empty while it does not answer."""
        with self._changed:
            asked_at = time.monotonic()
            if asked_at - self._answered_at > KEPT:
                if not self._asking:
                    self._asking = True
                    threading.Thread(target=self._refresh, name="metrics-ask", daemon=True).start()
                self._changed.wait_for(lambda: self._answered_at >= asked_at, PATIENCE)
            fresh = time.monotonic() - self._answered_at < STALE
            return self._answer if fresh else []

    def _refresh(self) -> None:
        answer: list[Metric] = []
        try:
            answer = self._query()
        finally:
            with self._changed:
                self._answer, self._answered_at = answer, time.monotonic()
                self._asking = False
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._asking, PATIENCE)
            if not self._asking:
                self._reconnecting.close()

    def _query(self) -> list[Metric]:
        try:
            connection = self._reconnecting.open()
            with connection.transaction():
                # For this transaction only: a pooler would pass a session setting on to others.
                connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(TIMEOUT)])
                rows = connection.execute(self._gauges).fetchall()
                horizon = connection.execute(self._horizon).fetchall()
                seen = can_read_schedules(connection)
                schedules = list_schedules(connection, self._project) if seen else []
        except (psycopg.Error, DatabaseError) as error:
            self._reconnecting.close()
            said = str(error).partition("\n")[0]
            if said != self._said:
                self._log.warning("metrics of the queues are left out", error=said)
            self._said = said
            return []
        self._said = ""
        families = [
            GaugeMetricFamily(name, text, labels=["queue"])
            for name, text in (
                ("changelane_queue_depth", f"Messages in the queue, counted up to {DEPTH_CAP}."),
                (
                    "changelane_queue_oldest_seconds",
                    "Age of the oldest message that is due; 0 without one.",
                ),
                ("changelane_delayed", f"Messages sent with a delay, or to be retried, up to {DEPTH_CAP}."),
                ("changelane_blocked", f"Messages that hold back their keys, counted up to {DEPTH_CAP}."),
                ("changelane_returning", "Messages that came back several times and spent no attempt."),
                ("changelane_dead_letters", f"Messages in the dead-letter queue, counted up to {DEPTH_CAP}."),
                ("changelane_dead_tuples", "Dead rows of the queue's table that vacuum has not removed."),
            )
        ]
        alarm = GaugeMetricFamily(
            "changelane_dead_letters_alarm",
            "1 while there are as many dead letters as the queue's alarm says, else 0.",
            labels=["queue"],
        )
        for name, *values in rows:
            for family, value in zip(families, values, strict=True):
                family.add_metric([name], value)
                if family.name == "changelane_dead_letters" and name in self._alarms:
                    alarm.add_metric([name], value >= self._alarms[name])
        xmin = GaugeMetricFamily(
            "changelane_oldest_xmin_age",
            "Transactions since the oldest snapshot that keeps dead rows from removal, by who holds it.",
            labels=["holder"],
        )
        for holder, age in horizon:
            xmin.add_metric([holder], age)
        return [*families, alarm, xmin, *measure_schedules(schedules)]


def _measure_times(consumers: Sequence[Consumer]) -> Iterator[Metric]:
    """The histograms that the history holds, too, since the process began."""
    waited = HistogramMetricFamily(
        "changelane_wait_seconds", "Seconds from when a message was due to the call of its handler.",
        labels=["queue"],
    )  # fmt: skip
    worked = HistogramMetricFamily(
        "changelane_handler_seconds", "Seconds that one call of a handler took.", labels=["queue"]
    )
    for consumer in consumers:
        timings = consumer.settler.timings
        for family, times in ((waited, timings.waited), (worked, timings.worked)):
            counts, seconds = times.read()
            bounds = [*map(floatToGoString, times.bounds), "+Inf"]
            family.add_metric(
                [consumer.spec.queue], list(zip(bounds, accumulate(counts), strict=True)), seconds
            )
    yield waited
    yield worked


def _find_alarm(consumer: Consumer) -> int | None:
    letters = consumer.spec.dead_letters
    return letters.alarm if letters else None


def _compose(consumers: Sequence[Consumer]) -> sql.Composed:
    template = sql.SQL(load_sql(__name__, "gauges"))
    return sql.SQL(" UNION ALL ").join(
        template.format(
            name=sql.Literal(consumer.queue.name),
            queue=consumer.queue.table,
            letters=name_queue(consumer.queue.dead_letter),
            table=sql.Literal(consumer.queue.table.as_string()),
            cap=sql.Literal(DEPTH_CAP),
            letters_cap=sql.Literal(max(DEPTH_CAP, _find_alarm(consumer) or 0)),
            look=sql.Literal(LOOK),
            state=STATE,
            returning=compose_returning(consumer.queue.table),
        )
        for consumer in consumers
    )
