"""The dashboard's page of workers, its destinations, and which queues it takes for consumed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow
from support.dashboard import Panel, open_panel
from support.workers import Bench

from changelane.contract.schema import SCHEMA_SQL

Connection = psycopg.Connection[TupleRow]
EVIL = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def bench(conn: Connection, database: str, tmp_path: Path) -> Bench:
    conn.execute(SCHEMA_SQL.encode())
    return Bench(conn=conn, url=database, folder=tmp_path)


@pytest.fixture
def panel(bench: Bench, database: str, tmp_path: Path) -> Iterator[Panel]:
    bench.declare(
        """
        def handle(change):
            if change.new["value"] == 1:
                raise ValueError("<b>an order that nobody can pay</b>")
            while not Path("go").exists():
                time.sleep(0.05)
        """
    )
    with open_panel(tmp_path, database) as panel:
        yield panel


def test_workers_are_shown_with_what_they_run_and_one_is_stopped(panel: Panel, bench: Bench) -> None:
    assert "No worker runs" in panel.open("/workers").words
    bench.send("1", "2")
    with bench.worker() as process:
        page = panel.wait("/workers", lambda page: "jobs: 2" in page.words and "nobody can pay" in page.words)
        assert f"pid {process.pid}, version " in page.words
        assert "ValueError: <b>an order that nobody can pay</b>" in page.words, "text stays text"
        (told,) = json.loads(panel.open("/workers.json").text)["workers"]
        assert (told["pid"], told["state"], told["queues"]) == (process.pid, "working", ["jobs"])
        assert [call["ids"] for call in told["running"]] == [[2]]
        path = next(part for part in page.text.split('"') if part.endswith("/stop"))
        asked = panel.open(path)
        assert "Stop worker" in asked.words
        assert "claims nothing more" in asked.words
        assert panel.open("/workers.json").text.count('"asked":null'), "a question asks nothing yet"
        assert "was asked to stop" in panel.confirm(asked).words
        panel.wait("/workers", lambda page: "stopping" in page.words)
        (bench.folder / "go").touch()
        assert process.wait(60) == 0
    panel.wait("/workers", lambda page: "No worker runs" in page.words)
    assert "stop worker" in panel.open("/audit").words
    assert panel.confirm(asked).status == 409, "it is gone"


def test_a_worker_that_stands_still_is_stale_and_cannot_be_asked(panel: Panel, bench: Bench) -> None:
    with bench.worker() as process:
        panel.wait("/workers", lambda page: f"pid {process.pid}" in page.words)
        process.send_signal(signal.SIGSTOP)
        bench.conn.execute("UPDATE changelane.workers SET told_at = told_at - interval '61 seconds'")
        page = panel.wait("/workers", lambda page: "stale" in page.words)
        assert "silent for 1 min" in page.words
        assert "/stop" not in page.text
        assert "1 worker process has sessions and tells nothing" in page.words
        os.kill(process.pid, signal.SIGCONT)


def test_what_a_worker_tells_stays_text_and_breaks_nothing(panel: Panel, bench: Bench) -> None:
    told = {
        "host": EVIL, "pid": 7, "version": EVIL, "since": "2026-11-29T10:00:00Z", "queues": [EVIL, "jobs"],
        "state": EVIL, "error": EVIL * 50, "error_at": "2026-11-29T10:00:00Z",
        "running": [7, {"queue": EVIL, "ids": ["x", 3], "messages": 2, "seconds": 1e300}, {"ids": [1]}],
    }  # fmt: skip
    bench.conn.execute("SELECT changelane.tell_worker(%s, %s)", [f"{EVIL}/../x", json.dumps(told)])
    page = panel.wait("/workers", lambda page: "onerror" in page.words)
    assert "<img" not in page.text
    path = next(part for part in page.text.split('"') if part.endswith("/drain"))
    asked = panel.open(path)
    assert "<img" not in asked.text
    assert "was asked to drain" in panel.confirm(asked).words
    assert bench.rows("SELECT wish FROM changelane.workers") == [("drain",)]
    bench.conn.execute(
        "INSERT INTO changelane.relays VALUES (%s, %s, %s, 'nats', 'stopped', '-infinity', %s, 'infinity', "
        "1, 1, 0, now())",
        ["jobs", EVIL, EVIL, EVIL],
    )
    page = panel.wait("/workers", lambda page: "stopped" in page.words)
    assert "<img" not in page.text
    assert "stopped" in panel.open("/queues/jobs").words
    panel.open("/workers.json")


@pytest.mark.parametrize("name", ["leases", "archives", "wake-up", "metrics"])
def test_no_session_of_a_worker_looks_like_a_consumer_of_a_queue(
    bench: Bench, database: str, tmp_path: Path, name: str
) -> None:
    bench.declare("def handle(change): time.sleep(20)", lease=2.0)
    bench.conn.execute("SELECT pgmq.create(%s)", [name])
    bench.send("1")
    with bench.worker("--metrics-port", "0"), open_panel(tmp_path, database) as panel:
        panel.wait("/workers", lambda page: "jobs: 1" in page.words)
        bench.conn.execute("SELECT pgmq.send(%s, '{}')", [name])
        bench.conn.execute(
            sql.SQL("UPDATE pgmq.{} SET vt = now() - interval '1 hour'").format(sql.Identifier(f"q_{name}"))
        )
        page = panel.wait(f"/queues/{name}", lambda page: "unconsumed" in page.words)
        assert "no consumer is declared" in page.words
