"""Batches that fail in part, by real worker processes."""

from __future__ import annotations

import signal

import pytest
from support.workers import Bench

from changelane.contract.manifest import Retry

POISON = """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        note(len(changes))
        for change in changes:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            if change.new["value"] in (3, 7):
                raise ValueError("poison")
"""

NAMED = """
    def handle(changes: list[Change], tx: psycopg.Connection) -> None:
        errors = {}
        for change in changes:
            tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            if change.new["value"] in (3, 7):
                errors[change] = ValueError("poison")
        note(len(changes))
        if errors:
            raise Failed(errors)
"""


@pytest.mark.parametrize("source", [POISON, NAMED], ids=["unnamed", "named"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_in_a_transaction_only_the_poison_is_charged_and_all_else_is_done_once(
    bench: Bench, source: str, concurrency: int
) -> None:
    bench.declare(
        source,
        mode="transactional",
        batch=10,
        concurrency=concurrency,
        retry=Retry(attempts=2, first=0.05),
    )
    ids = bench.send(*map(str, range(40)))
    bench.drain()
    good = [msg_id for value, msg_id in enumerate(ids) if value not in (3, 7)]
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in good]
    assert [(head["dead_letter"]["error"], head["dead_letter"]["attempts"]) for head in bench.dead] == [
        ("ValueError: poison", 2),
        ("ValueError: poison", 2),
    ]
    assert '"handled": 38' in bench.log


def test_halves_shrink_until_the_poison_is_alone(bench: Bench) -> None:
    bench.declare(POISON, mode="transactional", batch=8, concurrency=1, retry=Retry(attempts=1))
    bench.send(*map(str, range(8)))
    bench.drain()
    # 0-7; 0-3: 0-1, 2-3: 2, 3; 4-7: 4-5, 6-7: 6, 7.
    assert bench.notes == ["8", "4", "2", "2", "1", "1", "4", "2", "2", "1", "1"]


def test_an_async_batch_at_least_once_acks_what_is_not_named(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(changes: list[Change]) -> None:
            note([int(change.new["value"]) for change in changes])
            named = {change: "not now" for change in changes if change.new["value"] == 1}
            if named and changes[0].attempt == 1:
                raise Failed(named)
        """,
        batch=4,
        concurrency=1,
    )
    bench.send("0", "1", "2", "3")
    bench.drain()
    assert bench.notes == ["[0, 1, 2, 3]", "[1]"]
    assert bench.dead == []
    assert '"error": "not now"' in bench.log


def test_a_killed_worker_amid_halves_loses_and_doubles_nothing(bench: Bench) -> None:
    bench.declare(
        """
        def handle(changes: list[Change], tx: psycopg.Connection) -> None:
            for change in changes:
                tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
            if len(changes) == 2 and not Path("killed").exists():
                Path("killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if any(change.new["value"] == 5 for change in changes):
                raise ValueError("poison")
        """,
        mode="transactional",
        batch=8,
        concurrency=1,
        lease=1,
        retry=Retry(attempts=2, first=0.05),
    )
    ids = bench.send(*map(str, range(8)))
    with bench.worker("--drain") as process:
        assert process.wait(20) == -signal.SIGKILL
    bench.drain()
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [
        (msg_id,) for value, msg_id in enumerate(ids) if value != 5
    ]
    assert [head["dead_letter"]["msg_id"] for head in bench.dead] == [ids[5]]


def test_a_stop_amid_halves_gives_the_rest_back_and_charges_nobody(bench: Bench) -> None:
    bench.declare(
        """
        def handle(changes: list[Change], tx: psycopg.Connection) -> None:
            note(len(changes))
            time.sleep(0.5)
            raise ValueError("all bad")
        """,
        mode="transactional",
        batch=4,
        concurrency=1,
        lease=3600,
    )
    bench.send("1", "2", "3", "4")
    with bench.worker() as process:
        bench.wait(lambda: bench.notes)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert bench.notes == ["4"]
    query = "SELECT vt <= now(), headers->'changelane'->'attempts' FROM pgmq.q_jobs"
    assert bench.rows(query) == [(True, 0)] * 4


def test_a_batch_past_its_timeout_is_halved(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(changes: list[Change]) -> None:
            note([int(change.new["value"]) for change in changes])
            if any(change.new["value"] == 1 for change in changes):
                await asyncio.sleep(60)
        """,
        batch=2,
        concurrency=1,
        timeout=0.3,
        retry=Retry(attempts=1),
    )
    bench.send("0", "1")
    bench.drain()
    assert bench.notes == ["[0, 1]", "[0]", "[1]"]
    assert [head["dead_letter"]["attempts"] for head in bench.dead] == [1]
