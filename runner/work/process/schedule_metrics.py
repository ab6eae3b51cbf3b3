"""What the database knows of a project's schedules, as metrics."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from changelane.runner.live.schedule_runs import ScheduleStatus

_LABELS = ("schedule",)


def measure_schedules(schedules: Sequence[ScheduleStatus]) -> list[Metric]:
    """A family for each fact; times are seconds since 1970, and absent where there is none."""
    last = GaugeMetricFamily(
        "changelane_schedule_last_run_timestamp_seconds", "Time of the last run.", labels=_LABELS
    )
    following = GaugeMetricFamily(
        "changelane_schedule_next_run_timestamp_seconds", "Time of the next run.", labels=_LABELS
    )
    late = GaugeMetricFamily(
        "changelane_schedule_late_seconds", "By how much the next run is overdue; 0 in time.", labels=_LABELS
    )
    paused = GaugeMetricFamily("changelane_schedule_paused", "1 while it is paused, else 0.", labels=_LABELS)
    runs = CounterMetricFamily("changelane_schedule_runs", "Runs that were sent.", labels=_LABELS)
    passed_over = CounterMetricFamily(
        "changelane_schedule_passed_over", "Runs that were missed and are not sent.", labels=_LABELS
    )
    for schedule in schedules:
        name = [schedule.name]
        if schedule.last_at:
            last.add_metric(name, schedule.last_at.timestamp())
        if schedule.next_at:
            following.add_metric(name, schedule.next_at.timestamp())
        late.add_metric(name, schedule.late)
        paused.add_metric(name, schedule.paused_at is not None)
        runs.add_metric(name, schedule.runs)
        passed_over.add_metric(name, schedule.passed_over)
    return [last, following, late, paused, runs, passed_over]
