"""Schedules in doctor, metrics and dashboard, and the dashboard's actions on one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.dashboard import Panel, open_panel
from support.deployment import Declared, bring, declare
from support.workers import Bench
from test_work_metrics import find_names, find_url, scrape

from changelane.runner.doctor.examine import examine
from changelane.runner.doctor.finding import Finding

SPEC = """
version: 1
project: bench
queues: {beats: {}}
schedules:
  hourly: {every: 1h, queue: beats}
"""
GRAFANA = Path(__file__).parents[2] / "docs" / "grafana.json"
SHIFT = "UPDATE changelane.schedules SET next_at = now() - interval '5 min', since = now() - interval '1 day'"


@pytest.fixture
def declared(conn: psycopg.Connection[Any], tmp_path: Path) -> Declared:
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    return declared


@pytest.fixture
def find(conn: psycopg.Connection[Any], declared: Declared) -> Callable[[], dict[str, Finding]]:
    """The doctor's findings on schedules, by code."""
    return lambda: {
        finding.code: finding
        for finding in examine(conn, declared.manifest)
        if finding.code.startswith("schedule")
    }


@pytest.fixture
def panel(declared: Declared, database: str, tmp_path: Path) -> Iterator[Panel]:
    with open_panel(tmp_path, database) as panel:
        yield panel


def test_the_doctor_finds_late_runs_and_missing_workers(
    conn: psycopg.Connection[Any], database: str, find: Callable[[], dict[str, Finding]]
) -> None:
    assert find() == {}
    conn.execute(SHIFT)
    finding = find()["schedule-never-ran"]
    assert finding.what == "schedule hourly never ran, and was due 5 min ago; no worker is up"
    assert finding.fix == "changelane work"
    conn.execute("UPDATE changelane.schedules SET last_at = now() - interval '65 min'")
    with psycopg.connect(database, application_name="changelane work"):
        assert find()["schedule-late"].what == "schedule hourly is late by 5 min; workers are up"
    conn.execute("SELECT pgmq.drop_queue('beats')")
    assert "queue beats is gone" in find()["schedule-late"].what
    # A schedule whose first run no worker has set is late, too.
    conn.execute("UPDATE changelane.schedules SET next_at = NULL, last_at = NULL")
    assert "schedule-never-ran" in find()


def test_the_doctor_finds_a_clock_that_was_set_back_and_a_forgotten_pause(
    conn: psycopg.Connection[Any], find: Callable[[], dict[str, Finding]]
) -> None:
    conn.execute("UPDATE changelane.schedules SET next_at = date_trunc('hour', now()) + interval '3 days'")
    assert "pause hourly" in find()["schedule-ahead"].fix
    conn.execute("UPDATE changelane.schedules SET paused_at = now() - interval '1 hour'")
    assert find() == {}
    conn.execute("UPDATE changelane.schedules SET paused_at = now() - interval '2 days'")
    assert find()["schedule-paused"].fix == "changelane schedule resume hourly"


def test_the_dashboard_shows_pauses_resumes_and_runs(panel: Panel, conn: psycopg.Connection[Any]) -> None:
    assert "hourly every 3600 s beats never once a worker is up 0" in panel.open("/schedules").words
    page = panel.post("/schedules/hourly/pause", on="/schedules")
    assert "Schedule hourly is paused." in page.words
    assert "Resume" in page.words
    page = panel.post("/schedules/hourly/run", on="/schedules")
    assert "sent as message 1 to queue beats" in page.words
    page = panel.post("/schedules/hourly/resume", on="/schedules")
    assert "Schedule hourly is resumed." in page.words
    conn.execute(SHIFT)
    assert "late by 5 min" in panel.open("/schedules").words
    done = conn.execute("SELECT action, arguments, outcome FROM changelane.audit ORDER BY id").fetchall()
    assert done == [
        ("pause schedule", {"schedule": "hourly"}, "paused"),
        ("run schedule", {"schedule": "hourly"}, "sent as message 1 to queue beats"),
        ("resume schedule", {"schedule": "hourly"}, "resumed"),
    ]
    lost = panel.post("/schedules/daily/run", on="/schedules")
    assert lost.status == 409
    assert "has no schedule daily" in lost.words


def test_a_dashboard_that_only_shows_changes_no_schedule(
    declared: Declared, database: str, tmp_path: Path, conn: psycopg.Connection[Any]
) -> None:
    with open_panel(tmp_path, database, "--read-only") as panel:
        assert "Run now" not in panel.open("/schedules").words
        csrf = panel.open("/schedules").csrf
        assert panel.send("/schedules/hourly/run", {"csrf": csrf}).status == 403
    assert conn.execute("SELECT runs FROM changelane.schedules").fetchone() == (0,)


def test_a_workers_metrics_tell_of_the_projects_schedules(
    conn: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    bring(conn, declare(conn, tmp_path, SPEC))
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    bench.declare("def handle(change: Change) -> None: ...")

    def tell(name: str) -> float | None:
        return scrape(url).get((f"changelane_schedule_{name}", (("schedule", "hourly"),)))

    with bench.worker("--metrics-port", "0"):
        url = find_url(bench)
        bench.wait(lambda: (tell("next_run_timestamp_seconds") or 0) > 0)
        assert tell("last_run_timestamp_seconds") is None
        assert (tell("runs_total"), tell("passed_over_total"), tell("late_seconds")) == (0, 0, 0)
        conn.execute("SELECT changelane.run_schedule('bench', 'hourly')")
        bench.wait(lambda: tell("runs_total") == 1)
        assert (tell("last_run_timestamp_seconds") or 0) > 0
        assert tell("paused") == 0
        shown = {name for name in find_names(GRAFANA) if name.startswith("changelane_schedule")}
        assert len(shown) == 5
        assert shown <= {name for name, _ in scrape(url)}
        conn.execute("SELECT changelane.pause_schedule('bench', 'hourly')")
        bench.wait(lambda: tell("paused") == 1)
