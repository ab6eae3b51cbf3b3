"""Metrics, health and traces of real worker processes."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from support.workers import Bench

from changelane.contract.manifest import DeadLetters, Retry

ROOT = Path(__file__).parent.parent.parent
ELSEWHERE = ("changelane_schedule", "changelane_relay", "changelane_dead_letters_alarm")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


HANDLE = """
    def handle(change: Change, tx: psycopg.Connection) -> None:
        if change.new["value"] == 0:
            raise ValueError("no")
        if change.new["value"] == 9:
            note("holds")
            while not Path("go").exists():
                time.sleep(0.05)
"""


def find_url(bench: Bench) -> str:
    bench.wait(lambda: '"working"' in bench.log)
    found = re.search(r'"url": "(http://127\.0\.0\.1:\d+)/metrics"', bench.log)
    assert found, bench.log
    return found[1]


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(url: str) -> Samples:
    status, text = fetch(f"{url}/metrics")
    assert status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of_jobs(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"changelane_{name}", tuple(sorted({"queue": "jobs", **labels}.items()))


def test_a_gauge_says_that_dead_letters_are_as_many_as_their_alarm_says(bench: Bench) -> None:
    bench.declare(HANDLE, mode="transactional", retry=Retry(attempts=1), dead_letters=DeadLetters(alarm=2))
    alarm, letters = of_jobs("dead_letters_alarm"), of_jobs("dead_letters")
    with bench.worker("--metrics-port", "0"):
        url = find_url(bench)
        bench.send("0")
        bench.wait(lambda: scrape(url).get(letters) == 1)
        assert scrape(url)[alarm] == 0
        bench.send("0")
        bench.wait(lambda: scrape(url).get(alarm) == 1)


def test_metrics_report_outcomes_and_the_state_of_queues(bench: Bench) -> None:
    bench.declare(HANDLE, mode="transactional", batch=10, concurrency=1, retry=Retry(attempts=2, first=0.05))
    bench.send("0", "1", "2", "3")
    with bench.worker("--metrics-port", "0") as process:
        url = find_url(bench)
        bench.wait(lambda: not bench.queued)
        bench.send("9", "4", "5")
        bench.wait(lambda: bench.notes)
        bench.conn.execute("UPDATE pgmq.q_jobs SET headers = headers")

        def settled() -> bool:
            # The database is asked every few seconds only, and a session counts what died once a second.
            samples = scrape(url)
            return (
                bench.queued == 3
                and samples.get(of_jobs("dead_letters")) == 1
                and samples[of_jobs("queue_depth")] == 3
                and samples[of_jobs("dead_tuples")] > 0
            )

        bench.wait(settled, seconds=60)
        samples = scrape(url)
        assert samples[of_jobs("messages_total", outcome="handled")] == 3
        assert samples[of_jobs("messages_total", outcome="failed")] == 1
        assert samples[of_jobs("messages_total", outcome="dead")] == 1
        assert samples[of_jobs("messages_total", outcome="lost")] == 0
        assert samples[of_jobs("handler_seconds_count")] == 5
        assert samples[of_jobs("lag_seconds_count")] == 3
        assert samples[of_jobs("attempts_sum")] == 3
        assert samples[of_jobs("in_flight")] == 3
        assert samples[of_jobs("queue_oldest_seconds")] > 0
        assert fetch(f"{url}/healthz") == (200, "ok\n")
        assert fetch(f"{url}/readyz") == (200, "ok\n")
        assert fetch(f"{url}/")[0] == 404
        names = {name for name, _ in samples}
        shown = find_names(ROOT / "docs" / "grafana.json")
        assert {name for name in shown if not name.startswith(ELSEWHERE)} <= names
        told = {
            name
            for name in find_names(ROOT / "docs" / "operations.md")
            # Those are there with a schedule, a relay or an alarm; other tests look at them.
            if not name.startswith(ELSEWHERE)
        }
        assert told <= names | {name.removesuffix("_count") for name in names}
        (bench.folder / "go").touch()
        process.terminate()
        assert process.wait(20) == 0


def find_names(path: Path) -> set[str]:
    """Metrics that the file names; there are some."""
    names = set(re.findall(r"changelane_(?:[a-z]+_)*[a-z]+", path.read_text()))
    assert len(names) >= 9
    return names


def test_ready_is_who_reaches_the_database_and_healthy_who_works(bench: Bench, server: str) -> None:
    bench.declare(HANDLE, mode="transactional")
    name = sql.Identifier(bench.conn.info.dbname)
    with bench.worker("--metrics-port", "0"), psycopg.connect(server, autocommit=True) as admin:
        url = find_url(bench)
        assert fetch(f"{url}/readyz")[0] == 200
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
            [bench.conn.info.dbname, bench.conn.info.backend_pid],
        )
        bench.wait(lambda: fetch(f"{url}/readyz")[0] == 503)
        assert fetch(f"{url}/healthz")[0] == 200
        assert of_jobs("in_flight") in scrape(url)
        assert of_jobs("queue_depth") not in scrape(url)
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        bench.wait(lambda: fetch(f"{url}/readyz")[0] == 200)


def test_a_worker_whose_slots_are_all_taken_by_hanging_handlers_is_not_healthy(bench: Bench) -> None:
    bench.declare(HANDLE, mode="transactional", concurrency=2, timeout=1, retry=Retry(attempts=1))
    with bench.worker("--metrics-port", "0"):
        url = find_url(bench)
        bench.send("9")
        bench.wait(lambda: len(bench.dead) == 1)
        bench.send("1")
        bench.wait(lambda: not bench.queued)
        assert fetch(f"{url}/healthz")[0] == 200
        bench.send("9")
        bench.wait(lambda: fetch(f"{url}/healthz")[0] == 503)
        (bench.folder / "go").touch()
        bench.wait(lambda: fetch(f"{url}/healthz")[0] == 200)


def test_a_snapshot_that_is_held_shows(bench: Bench, database: str) -> None:
    bench.declare(HANDLE, mode="transactional")
    with bench.worker("--metrics-port", "0"), psycopg.connect(database) as holder:
        url = find_url(bench)
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 1")
        for _ in range(30):
            bench.conn.execute("SELECT pg_current_xact_id()")
        age = "changelane_oldest_xmin_age"
        bench.wait(lambda: scrape(url).get((age, (("holder", "backend"),)), 0) >= 30)
        assert scrape(url)[age, (("holder", "prepared"),)] == 0


def test_each_process_has_a_port_of_its_own(bench: Bench) -> None:
    bench.declare(HANDLE, mode="transactional")
    first = find_ports(2)
    with bench.worker("--processes", "2", "--metrics-port", str(first)):
        for port in (first, first + 1):
            bench.wait(lambda port=port: f'"http://127.0.0.1:{port}/metrics"' in bench.log)
            bench.wait(lambda port=port: fetch(f"http://127.0.0.1:{port}/healthz")[0] == 200)


def find_ports(count: int) -> int:
    """The first of so many neighbouring ports that are free."""
    for first in range(20_000 + int(time.time() * 1000) % 10_000, 60_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_port_that_is_taken_is_said(bench: Bench, processes: str) -> None:
    bench.declare(HANDLE, mode="transactional")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with bench.worker("--metrics-port", str(port), "--processes", processes) as process:
            assert process.wait(20) == 1
    assert f"error: cannot listen on 127.0.0.1 port {port}: " in bench.log
    assert "choose another --metrics-port" in bench.log
    assert "Traceback" not in bench.log


RECORDER = """
    import json
    from contextlib import contextmanager
    from opentelemetry import trace

    class Span(trace.NonRecordingSpan):
        def set_attribute(self, key, value):
            note(f"{key}={value}")
        def record_exception(self, exception, *_, **__):
            note(repr(exception))
        def set_status(self, status, description=None):
            note(f"{status.name} {description}")

    class Tracer(trace.Tracer):
        def start_span(self, name, *, kind, links, attributes, **_):
            linked = [f"{link.context.trace_id:032x}" for link in links]
            note(json.dumps([name, kind.name, linked, attributes]))
            return Span(trace.SpanContext(1, 2, is_remote=False))

        @contextmanager
        def start_as_current_span(self, name, **options):
            with trace.use_span(self.start_span(name, **options), False, False, False) as span:
                yield span

    class Provider(trace.TracerProvider):
        def get_tracer(self, *_, **__):
            return Tracer()

    trace.set_tracer_provider(Provider())
"""


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_span_links_to_the_writers_trace_and_tells_how_the_handler_ended(bench: Bench, kind: str) -> None:
    bench.declare(
        RECORDER
        + f"""
    {kind} handle(change: Change) -> None:
        note(f"within {{trace.get_current_span().get_span_context().span_id}}")
        if change.new["value"] == 2:
            raise Discard
        if change.new["value"] == 3:
            raise ValueError("no")
        """,
        concurrency=1,
        retry=Retry(attempts=1),
    )
    bench.send("1", headers={"route": "things", "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    bench.send("2", headers={"route": "things", "traceparent": "nonsense"})
    bench.send("3", headers={"route": "things", "traceparent": 7})
    bench.drain()
    assert bench.notes[1::2][:1] == ["within 2"]
    name, kind_, links, attributes = json.loads(bench.notes[0])
    assert (name, kind_, links) == ("process jobs", "CONSUMER", ["ab" * 16])
    assert attributes == {
        "messaging.system": "pgmq",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "jobs",
        "messaging.message.id": "jobs:1",
        "changelane.route": "things",
        "changelane.attempt": 1,
    }
    assert json.loads(bench.notes[2])[2] == []
    assert bench.notes[3:5] == ["within 2", "changelane.outcome=Discard"]
    assert bench.notes[6:] == ["within 2", "ValueError('no')", "ERROR ValueError"]


def test_a_batch_is_one_span_with_a_link_for_each_trace(bench: Bench) -> None:
    bench.declare(RECORDER + "\n    def handle(changes: list[Change]) -> None: ...\n", concurrency=1)
    for trace in ("ab", "12"):
        bench.send("1", headers={"route": "things", "traceparent": f"00-{trace * 16}-{'cd' * 8}-01"})
    bench.send("1")
    bench.drain()
    ((_, _, links, attributes),) = map(json.loads, bench.notes)
    assert links == ["ab" * 16, "12" * 16]
    assert attributes["messaging.batch.message_count"] == 3
