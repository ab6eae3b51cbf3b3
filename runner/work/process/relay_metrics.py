"""Metrics of relays, in addition to those of every consumer."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from changelane.runner.work.sinks.relay_state import STATES, RelayState

_LABELS = ("queue", "destination")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
OUTCOMES = ("confirmed", "duplicate", "refused", "unroutable", "failed", "unavailable", "misconfigured")


def time_relays(relays: Mapping[str, RelayState], *, registry: CollectorRegistry) -> None:
    """Let each relay fill the histogram of its calls."""
    if not relays:
        return
    seconds = Histogram(
        "changelane_relay_seconds", "Seconds from handing a batch to the engine until all was answered.",
        _LABELS, buckets=_BUCKETS, registry=registry,
    )  # fmt: skip
    for queue, relay in relays.items():
        relay.observe = seconds.labels(queue, relay.destination).observe


def measure_relays(relays: Mapping[str, RelayState]) -> list[Metric]:
    """A family for each fact; none where nothing is relayed."""
    if not relays:
        return []
    state = GaugeMetricFamily(
        "changelane_relay_state", "1 for the state that the relay is in, else 0.", labels=[*_LABELS, "state"]
    )
    paused = GaugeMetricFamily(
        "changelane_relay_paused_seconds",
        "Seconds since the relay paused because its engine did not answer; 0 while it is not paused.",
        labels=_LABELS,
    )
    published = CounterMetricFamily(
        "changelane_relay_published", "Messages handed to the engine.", labels=_LABELS
    )
    answered = CounterMetricFamily(
        "changelane_relay_messages", "Messages by the engine's answer.", labels=[*_LABELS, "outcome"]
    )
    for queue, relay in relays.items():
        names = [queue, relay.destination]
        for one in STATES:
            state.add_metric([*names, one], relay.state == one)
        pause = max(0.0, time.time() - relay.since) if relay.state == "paused" else 0.0
        paused.add_metric(names, pause)
        published.add_metric(names, relay.published)
        for outcome in OUTCOMES:
            answered.add_metric([*names, outcome], relay.outcomes[outcome])
    return [state, paused, published, answered]
