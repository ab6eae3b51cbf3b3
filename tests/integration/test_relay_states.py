"""The reports of workers on their relays: in the database for dashboard and doctor, and as metrics."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from support.nats_server import NatsServer, run_nats
from support.relays import declare_relay, send_changes
from support.workers import Bench

from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.live.relay_states import RelayState, list_relay_states

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 90.0


@pytest.fixture
def bench(conn: psycopg.Connection[Any], database: str, tmp_path: Path) -> Bench:
    conn.execute(SCHEMA_SQL.encode())
    return Bench(conn=conn, url=database, folder=tmp_path)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with run_nats(tmp_path / "nats") as server:
        yield server


def declare(bench: Bench, nats: NatsServer) -> None:
    relay = {"subject": "shop.{schema}.{table}.{op}", "deduplicate": True, "timeout": 2.0}
    declare_relay(bench, {"nats": {"servers": [nats.url]}}, relay)


def scrape(bench: Bench) -> dict[str, float]:
    """Samples by name, followed by the values of all labels but queue and destination."""
    found = re.search(r'"url": "(http://127\.0\.0\.1:\d+/metrics)"', bench.log)
    assert found, bench.log
    with urllib.request.urlopen(found[1], timeout=20) as response:
        text = response.read().decode()
    return {
        f"{sample.name} {sample.labels.get('state', sample.labels.get('outcome', ''))}".rstrip(): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "destination" in sample.labels
    }


def read_state(bench: Bench) -> RelayState | None:
    states = list_relay_states(bench.conn)
    assert len(states) <= 1
    return states[0] if states else None


def wait_for_state(bench: Bench, wanted: str) -> RelayState:
    bench.wait(lambda: (state := read_state(bench)) and state.state == wanted, seconds=PATIENCE)
    state = read_state(bench)
    assert state is not None
    return state


def test_a_relay_runs_pauses_and_runs_again(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    nats.add_stream("SHOP", "shop.>", max_msg_size=2000)
    send_changes(bench, 5)
    bench.conn.execute(
        "UPDATE pgmq.q_jobs SET message = jsonb_set(message, '{new,fill}', to_jsonb(repeat('x', 5000))) "
        "WHERE message->>'id' = 'id-1'"
    )
    with bench.worker("--metrics-port", "0") as process:
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        bench.wait(lambda: (state := read_state(bench)) and state.published == 5, seconds=PATIENCE)
        state = read_state(bench)
        assert state is not None
        assert (state.queue, state.destination, state.engine, state.state) == (
            "jobs", "there", "nats", "running",
        )  # fmt: skip
        assert (state.confirmed, state.refused, state.error) == (4, 1, None)
        assert state.process.endswith(f":{process.pid}")
        samples = scrape(bench)
        assert samples["changelane_relay_published_total"] == 5
        assert samples["changelane_relay_messages_total confirmed"] == 4
        assert samples["changelane_relay_messages_total refused"] == 1
        assert samples["changelane_relay_seconds_count"] >= 1
        assert samples["changelane_relay_state running"] == 1
        assert samples["changelane_relay_state paused"] == samples["changelane_relay_paused_seconds"] == 0
        shown = {name.partition(" ")[0] for name in samples}
        for page in ("grafana.json", "operations.md"):
            told = set(re.findall(r"changelane_relay_(?:[a-z]+_)*[a-z]+", (ROOT / "docs" / page).read_text()))
            assert told
            assert told <= shown | {"changelane_relay_seconds"}
        nats.kill()
        send_changes(bench, 10, first=10)
        paused = wait_for_state(bench, "paused")
        assert paused.error
        assert paused.error_at is not None
        assert time.time() - PATIENCE < paused.since.timestamp() < time.time()
        samples = scrape(bench)
        assert samples["changelane_relay_state paused"] == 1
        assert samples["changelane_relay_paused_seconds"] > 0
        nats.start()
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        again = wait_for_state(bench, "running")
        assert again.since > paused.since
        assert again.error, "the last error stays"
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert read_state(bench) is None, "what ended in order is gone"


def test_a_stopped_relay_is_shown_until_another_runs(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    send_changes(bench, 3)
    with bench.worker() as process:
        assert process.wait(PATIENCE) == 1
    stopped = wait_for_state(bench, "stopped")
    assert stopped.error
    assert "no stream of JetStream takes the subject" in stopped.error
    bench.conn.execute("UPDATE changelane.relays SET told_at = told_at - interval '1 hour'")
    assert wait_for_state(bench, "stopped").since == stopped.since
    nats.add_stream("SHOP", "shop.>")
    with bench.worker():
        bench.wait(
            lambda: [state.state for state in list_relay_states(bench.conn)] == ["running"], seconds=PATIENCE
        )


def test_a_process_that_was_killed_is_not_shown_as_running(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    nats.add_stream("SHOP", "shop.>")
    with bench.worker():
        wait_for_state(bench, "running")
    bench.conn.execute("UPDATE changelane.relays SET told_at = told_at - interval '61 seconds'")
    assert list_relay_states(bench.conn) == []


def test_a_relay_works_without_a_function_for_its_state(bench: Bench, nats: NatsServer) -> None:
    declare(bench, nats)
    nats.add_stream("SHOP", "shop.>")
    bench.conn.execute("DROP FUNCTION changelane.tell_relays(text, jsonb)")
    send_changes(bench, 3)
    with bench.worker():
        bench.wait(lambda: not bench.queued, seconds=PATIENCE)
        bench.wait(lambda: "no state of relays in the database" in bench.log, seconds=PATIENCE)
    assert nats.count("SHOP") == 3
    assert bench.log.count("no state of relays in the database") == 1
    bench.conn.execute("DROP TABLE changelane.relays")
    assert list_relay_states(bench.conn) == []


def test_a_role_tells_no_state_of_queues_that_are_not_there(bench: Bench) -> None:
    told = """[{"queue": "nothing", "destination": "there", "engine": "nats", "state": "running",
        "since": "2026-11-22", "published": 0, "confirmed": 0, "refused": 0},
        {"queue": "jobs", "destination": "there", "engine": "nats", "state": "running", "error": "%s",
        "since": "2026-11-22", "published": 0, "confirmed": 0, "refused": 0}]"""
    role = sql.Identifier(f"teller_{bench.conn.info.dbname}")
    bench.conn.execute(sql.SQL("CREATE ROLE {}").format(role))
    try:
        bench.conn.execute(sql.SQL("GRANT USAGE ON SCHEMA changelane TO {0}; SET ROLE {0}").format(role))
        bench.conn.execute("SELECT changelane.tell_relays('me:1', %s)", [told % ("x" * 5000)])
        (state,) = list_relay_states(bench.conn)
        assert state.queue == "jobs"
        assert state.error == "x" * 500
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            bench.conn.execute("DELETE FROM changelane.relays")
    finally:
        bench.conn.execute("RESET ROLE")
        bench.conn.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))
