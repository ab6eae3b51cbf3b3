"""Calls on a lent connection: their round trips, and the connection's state after a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from changelane.runner.live.database import connect, connect_async
from changelane.runner.queue.delivery import Delivery
from changelane.runner.queue.fenced import FencedQueue, open_queues
from changelane.runner.work.handlers import exchange
from changelane.runner.work.handlers.lent_connection import LentAsyncConnection, LentConnection
from changelane.runner.work.sinks.fault import LeaseLost

FILL = "INSERT INTO pgmq.q_jobs (vt, message) SELECT clock_timestamp(), '{}' FROM generate_series(1, 6)"


@pytest.fixture
def queue(conn: psycopg.Connection[Any]) -> FencedQueue:
    conn.execute("SELECT pgmq.create('jobs'), pgmq.create('jobs_dlq')")
    conn.execute(FILL)
    conn.execute("CREATE TABLE effects (id bigint)")
    (queue,) = open_queues(conn, [("jobs", "jobs_dlq")])
    return queue


@pytest.fixture
def tx(database: str) -> Iterator[LentConnection]:
    connection = connect(database, application_name="test", kind=LentConnection)
    assert isinstance(connection, LentConnection)
    yield connection
    connection.close()


def count(conn: psycopg.Connection[Any], table: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def run(tx: LentConnection, queue: FencedQueue, claimed: list[Delivery], *writes: str, follow: bool) -> None:
    with tx.hold():
        for statement in writes:
            tx.execute(statement.encode())
        tx.acknowledge(queue.spell_ack(claimed), count=len(claimed), follow=follow)


def count_trips(tx: LentConnection, folder: Path, call: Callable[[], None]) -> int:
    """The round trips of a call, counted in libpq's trace."""
    trace = folder / "trace"
    with trace.open("w") as file:
        tx.pgconn.trace(file.fileno())
        call()
        tx.pgconn.untrace()
    return trace.read_text().count("ReadyForQuery")


def test_a_call_that_follows_another_takes_one_round_trip_and_with_a_statement_three(
    conn: psycopg.Connection[Any], queue: FencedQueue, tx: LentConnection, tmp_path: Path
) -> None:
    trips = []
    for delivery, writes in zip(queue.claim(conn, limit=6, lease=60), (0, 0, 1, 1, 0, 0), strict=True):
        statements = ["INSERT INTO effects VALUES (1)"] * writes
        call = partial(run, tx, queue, [delivery], *statements, follow=True)
        trips.append(count_trips(tx, tmp_path, call))
        assert tx.info.transaction_status == TransactionStatus.INTRANS
    assert trips == [2, 1, 3, 3, 1, 1]
    assert (count(conn, "pgmq.q_jobs"), count(conn, "effects")) == (0, 2)
    tx.rest()
    assert tx.info.transaction_status == TransactionStatus.IDLE


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("few", [1, 3])
@pytest.mark.parametrize("writes", [False, True])
def test_a_lost_lease_undoes_what_the_handler_wrote(
    conn: psycopg.Connection[Any],
    queue: FencedQueue,
    tx: LentConnection,
    follow: bool,
    few: int,
    writes: bool,
) -> None:
    stale = queue.claim(conn, limit=few, lease=0)
    assert len(queue.claim(conn, limit=6, lease=60)) == 6
    for _ in range(2):
        with pytest.raises(LeaseLost):
            run(tx, queue, stale, *["INSERT INTO effects VALUES (1)"] * writes, follow=follow)
        assert tx.info.transaction_status == TransactionStatus.IDLE
    assert (count(conn, "pgmq.q_jobs"), count(conn, "effects")) == (6, 0)


@pytest.mark.parametrize("follow", [False, True])
def test_a_commit_that_fails_undoes_the_ack(
    conn: psycopg.Connection[Any], queue: FencedQueue, tx: LentConnection, follow: bool
) -> None:
    conn.execute("ALTER TABLE effects ADD CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
    first, second = queue.claim(conn, limit=2, lease=60)
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(tx, queue, [first], "INSERT INTO effects VALUES (1), (1)", follow=follow)
    assert (count(conn, "pgmq.q_jobs"), count(conn, "effects")) == (6, 0)
    run(tx, queue, [second], follow=follow)
    assert count(conn, "pgmq.q_jobs") == 5


@pytest.mark.parametrize(("few", "writes"), [(1, 1), (3, 0), (3, 1)])
def test_a_worker_that_falls_silent_between_ack_and_commit_frees_its_messages(
    conn: psycopg.Connection[Any],
    queue: FencedQueue,
    tx: LentConnection,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    writes: int,
) -> None:
    monkeypatch.setattr(exchange, "_BOUND", exchange._BOUND.replace(b"10000", b"100"))
    claimed = queue.claim(conn, limit=few, lease=0)
    free = "SELECT count(*) FROM (SELECT FROM pgmq.q_jobs FOR UPDATE SKIP LOCKED) AS free"
    check = exchange._check_ack

    def fall_silent(result: Any, count: int) -> None:
        check(result, count)
        with psycopg.connect(conn.info.dsn, autocommit=True) as other:
            deadline = time.monotonic() + 30
            while other.execute(free.encode()).fetchone() != (6,):
                assert time.monotonic() < deadline
                time.sleep(0.05)

    monkeypatch.setattr(exchange, "_check_ack", fall_silent)
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        run(tx, queue, claimed, *["INSERT INTO effects VALUES (1)"] * writes, follow=True)
    assert (count(conn, "pgmq.q_jobs"), count(conn, "effects")) == (6, 0)


def test_a_session_that_must_be_discarded_keeps_no_transaction_and_no_statement_of_the_driver(
    conn: psycopg.Connection[Any], queue: FencedQueue, tx: LentConnection
) -> None:
    tx.prepare_threshold = 0
    for delivery in queue.claim(conn, limit=3, lease=60):
        with tx.hold():
            tx.execute("CREATE TEMP TABLE kept (id int)")
            tx.execute("INSERT INTO kept SELECT %s", [delivery.msg_id])
            tx.acknowledge(queue.spell_ack([delivery]), count=1, follow=True)
        assert tx.info.transaction_status == TransactionStatus.IDLE
    assert tx.execute("SELECT to_regclass('pg_temp.kept')").fetchone() == (None,)


NO_ACK = b"SELECT WHERE false"


def test_statements_that_the_driver_prepares_outlive_a_call_that_failed(tx: LentConnection) -> None:
    for failing in (True, False, False) * 3:
        with suppress(ZeroDivisionError), tx.hold():
            # It prepares its statement at once.
            tx.cursor().executemany("SELECT %s::int", [(1,), (2,)])
            if failing:
                raise ZeroDivisionError
            tx.acknowledge(NO_ACK, count=0, follow=True)
    assert tx.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (1,)


def test_statements_that_the_driver_prepares_outlive_an_async_call_that_failed(database: str) -> None:
    async def call() -> None:
        tx = await connect_async(database, application_name="test", kind=LentAsyncConnection)
        assert isinstance(tx, LentAsyncConnection)
        for failing in (True, False, False) * 3:
            with suppress(ZeroDivisionError):
                async with tx.hold():
                    await tx.cursor().executemany("SELECT %s::int", [(1,), (2,)])
                    if failing:
                        raise ZeroDivisionError
                    await tx.acknowledge(NO_ACK, count=0, follow=True)
        await tx.close()

    asyncio.run(call())


def test_an_unused_transaction_serves_the_next_call(
    conn: psycopg.Connection[Any], queue: FencedQueue, tx: LentConnection, tmp_path: Path
) -> None:
    (delivery,) = queue.claim(conn, limit=1, lease=60)
    with tx.hold():
        pass
    assert count_trips(tx, tmp_path, lambda: run(tx, queue, [delivery], follow=False)) == 1
    assert count(conn, "pgmq.q_jobs") == 5
