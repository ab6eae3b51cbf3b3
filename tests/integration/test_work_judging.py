"""How failures are judged: no message loops for ever, and no exception of a handler ends the worker."""

from __future__ import annotations

import json

import pytest
from psycopg import sql
from support.workers import Bench

from changelane.contract.manifest import Retry


def set_for_all(bench: Bench, setting: str) -> None:
    name = sql.Identifier(bench.conn.info.dbname)
    bench.conn.execute(sql.SQL("ALTER DATABASE {} SET ").format(name) + sql.SQL(setting))


def kinds(kind: str) -> dict[str, str]:
    """The keywords of a plain or an async handler."""
    if kind == "async":
        return {"def": "async def", "wait": "await ", "sleep": "await asyncio.sleep"}
    return {"def": "def", "wait": "", "sleep": "time.sleep"}


@pytest.mark.parametrize(
    ("kind", "end", "ordering"),
    [
        ("plain", "{sleep}(0.8)", "key"),
        ("async", "{sleep}(0.8)", "none"),
        ("plain", '{wait}tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")', "none"),
        ("async", '{wait}tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")', "key"),
    ],
)
def test_a_handler_that_always_loses_its_session_fails_in_the_end(
    bench: Bench, kind: str, end: str, ordering: str
) -> None:
    set_for_all(bench, "idle_in_transaction_session_timeout = '300ms'")
    bench.conn.execute(
        "CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id)"
    )
    words = kinds(kind)
    bench.declare(
        f"""
        {words["def"]} handle(change: Change, tx) -> None:
            {words["wait"]}tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            if change.new["value"] == 1:
                note(change.attempt)
                {end.format(**words)}
        """,
        mode="transactional",
        ordering=ordering,
        retry=Retry(attempts=2, first=0.1),
    )
    first, second = bench.send("1", "2", headers={"x-pgmq-group": "a"})
    bench.drain()
    assert bench.rows("SELECT msg_id FROM effects") == [(second,)]
    (letter,) = bench.dead
    assert letter["dead_letter"]["msg_id"] == first
    assert "connection was lost while the handler ran" in letter["dead_letter"]["error"]
    assert bench.notes == ["1", "1", "1", "2"]


def test_a_lack_of_resources_and_errors_of_other_connections_are_the_handlers(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            if change.new["value"] == 1:
                tx.execute("DO $$ BEGIN RAISE SQLSTATE '53400'; END $$")
            with psycopg.connect(os.environ["DATABASE_URL"]) as conn:
                if change.new["value"] == 2:
                    conn.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
                conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        """,
        mode="transactional",
        retry=Retry(attempts=2, first=0.1),
    )
    bench.send("1", "2", "3")
    bench.drain()
    assert bench.count("effects") == 0
    assert [letter["dead_letter"]["attempts"] for letter in bench.dead] == [2, 2, 2]


def test_a_transient_error_that_never_ends_is_a_failure_in_the_end(bench: Bench) -> None:
    bench.declare(
        """
        from changelane.runner.work.outcome import verdict
        verdict.FIRST_RELEASE = verdict.LAST_RELEASE = 0.001

        def handle(change: Change, tx: psycopg.Connection) -> None:
            note(change.attempt)
            tx.execute("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")
        """,
        mode="transactional",
        retry=Retry(attempts=2, first=0.1),
    )
    bench.send("1")
    bench.drain()
    assert bench.notes == ["1"] * 21 + ["2"]
    assert '"returned": 20' in bench.log
    assert len(bench.dead) == 1


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_stale_plan_spends_no_attempt(bench: Bench, kind: str) -> None:
    words = kinds(kind)
    bench.declare(
        f"""
        {words["def"]} handle(change: Change, tx) -> None:
            value = change.new["value"]
            if value == 2:
                with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
                    conn.execute("ALTER TABLE things ADD COLUMN IF NOT EXISTS more int")
            {words["wait"]}tx.execute("SELECT * FROM things", prepare=True)
            {words["wait"]}tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.attempt])
        """,
        mode="transactional",
        concurrency=1,
        retry=Retry(attempts=1),
    )
    bench.conn.execute("CREATE TABLE things (id int)")
    bench.send("1", "1", "2", "3")
    bench.drain()
    assert bench.rows("SELECT value FROM effects") == [(1,)] * 4
    assert bench.dead == []


def branch(ways: dict[str, str]) -> str:
    """Lines of a handler that goes one way for each value."""
    return "\n".join(
        f"            if value == {number}:\n                {line}"
        for number, line in enumerate(ways.values())
    )


EXITS = {
    "a child task": "await asyncio.create_task(leave())",
    "a child task that nobody awaits": "asyncio.create_task(leave()); await asyncio.sleep(5)",
    "a group of tasks": "async with asyncio.TaskGroup() as group: group.create_task(leave())",
    "a callback": "asyncio.get_running_loop().call_soon(stop); await asyncio.sleep(5)",
    "a timer": "asyncio.get_running_loop().call_later(0.1, stop); await asyncio.sleep(5)",
    "a callback, and an end before it": "asyncio.get_running_loop().call_soon(stop); await asyncio.sleep(0)",
    "itself": "stop()",
}


@pytest.mark.parametrize("mode", ["at_least_once", "transactional"])
@pytest.mark.parametrize("error", ["sys.exit(3)", "raise KeyboardInterrupt"])
def test_an_exit_within_an_async_handler_is_a_failed_attempt(bench: Bench, error: str, mode: str) -> None:
    lines = branch(EXITS)
    parameters = (
        "change: Change, tx: psycopg.AsyncConnection" if mode == "transactional" else "change: Change"
    )
    bench.declare(
        f"""
        import sys

        def stop():
            {error}

        async def leave():
            await asyncio.sleep(0)
            stop()

        async def handle({parameters}) -> None:
            value = change.new["value"]
{lines}
            note(value)
        """,
        mode=mode,
        concurrency=3,
        retry=Retry(attempts=2, first=0.1),
    )
    bench.send(*map(str, range(len(EXITS))), "100", "101", "102")
    bench.drain()
    assert sorted(bench.notes) == ["100", "101", "102"]
    assert [letter["dead_letter"]["attempts"] for letter in bench.dead] == [2] * len(EXITS)
    name = "SystemExit" if "exit" in error else "KeyboardInterrupt"
    assert {letter["dead_letter"]["error"].partition(":")[0] for letter in bench.dead} == {name}


def test_a_handler_that_cancels_itself_harms_no_other(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(change: Change) -> None:
            if change.new["value"] == 1:
                asyncio.current_task().cancel()
                return
            async with asyncio.timeout(5), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
            note(change.new["value"])
        """,
        concurrency=1,
        retry=Retry(attempts=1),
    )
    bench.send("1", "2", "3")
    bench.drain()
    assert bench.notes == ["2", "3"]
    assert bench.dead == []


def test_a_cancellation_that_comes_after_its_handler_ended_ends_no_task(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(change: Change, tx: psycopg.AsyncConnection) -> None:
            value = change.new["value"]
            await tx.execute("INSERT INTO effects VALUES (%s, 1)", [value])
            if change.attempt == 1:
                loop, task = asyncio.get_running_loop(), asyncio.current_task()
                loop.call_later(value % 20 / 5000, task.cancel)
        """,
        mode="transactional",
        concurrency=2,
        retry=Retry(attempts=100, first=0.001),
    )
    bench.send(*map(str, range(50)))
    bench.drain()
    assert bench.rows("SELECT count(*), count(DISTINCT msg_id) FROM effects") == [(50, 50)]


UNAWAITED = {
    "execute": 'tx.execute("INSERT INTO effects VALUES (1, 1)")',
    "executemany": 'tx.cursor().executemany("INSERT INTO effects VALUES (%s, 1)", [[1]])',
    "a cursor's": 'cursor = tx.cursor(); cursor.execute("INSERT INTO effects VALUES (1, 1)")',
    "a task's": 'asyncio.create_task(tx.execute("INSERT INTO effects VALUES (1, 1)"))',
    "one of two": 'await tx.execute("SELECT 1"); tx.execute("INSERT INTO effects VALUES (1, 1)")',
}


def test_a_call_that_was_never_awaited_is_a_failed_attempt_that_says_so(bench: Bench) -> None:
    lines = branch(UNAWAITED)
    bench.declare(
        f"""
        async def handle(change: Change, tx: psycopg.AsyncConnection) -> None:
            value = change.new["value"]
{lines}
            if value == 100:
                insert = "INSERT INTO effects VALUES (%s, 1)"
                await asyncio.gather(*[tx.execute(insert, [number]) for number in range(3)])
                async with tx.pipeline():
                    await tx.execute("INSERT INTO effects VALUES (3, 1)")
                async with tx.cursor() as cursor:
                    await cursor.executemany("INSERT INTO effects VALUES (%s, 1)", [[4], [5]])
        """,
        mode="transactional",
        retry=Retry(attempts=1),
    )
    bench.send(*map(str, range(len(UNAWAITED))), "100")
    bench.drain()
    assert bench.count("effects") == 6
    errors = [letter["dead_letter"]["error"] for letter in bench.dead]
    assert ["never awaited its `execute" in error for error in errors] == [True] * len(UNAWAITED)


def test_a_transactional_consumer_whose_handler_takes_no_connection_is_warned_of(bench: Bench) -> None:
    bench.declare("def handle(change: Change) -> None: pass", mode="transactional")
    bench.send("1")
    bench.drain()
    assert "takes no connection" in bench.log


def test_the_log_of_a_failure_says_where_and_the_first_one_how(bench: Bench) -> None:
    bench.declare(
        """
        def reindex(tx):
            tx.execute("INSERT INTO pairs VALUES (1)")

        def handle(change: Change, tx: psycopg.Connection) -> None:
            reindex(tx)
        """,
        mode="transactional",
        retry=Retry(attempts=2, first=0.1),
    )
    bench.conn.execute("CREATE TABLE pairs (id int PRIMARY KEY); INSERT INTO pairs VALUES (1)")
    bench.send("1")
    bench.drain()
    line = 1 + (bench.folder / "handlers.py").read_text().splitlines().index(
        '    tx.execute("INSERT INTO pairs VALUES (1)")'
    )
    assert bench.log.count(f'"where": "handlers.py:{line} in reindex"') == 2
    assert bench.log.count("Traceback") == 1
    assert "already exists" not in bench.log


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_records_of_the_handlers_own_logging_join_the_log(bench: Bench, kind: str) -> None:
    words = kinds(kind)
    bench.declare(
        f"""
        import logging
        logging.basicConfig(level=logging.DEBUG, format="unread %(message)s")
        log = logging.getLogger("shop.orders")

        {words["def"]} handle(change: Change) -> None:
            {words["sleep"]}(0)
            log.info("handling %s", change.new["value"])
            log.debug("too much")
            log.warning("%d is no number", "seven")
            logging.getLogger("other").log(25, "between")
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("divided")
        """,
    )
    (msg_id,) = bench.send("9")
    bench.drain()
    lines = [json.loads(line) for line in bench.log.splitlines()]
    mine = {line["event"]: line for line in lines if "logger" in line}
    assert mine["handling 9"]["level"] == "info"
    assert {line["logger"] for line in mine.values()} == {"shop.orders", "other"}
    for line in mine.values():
        assert (line["queue"], line["msg_id"], line["attempt"]) == ("jobs", msg_id, 1)
    assert "ZeroDivisionError" in mine["divided"]["exception"]
    assert len(mine) == 4
    bench.send("9")
    bench.drain("--log-level", "error")
    assert bench.log.count("handling 9") == 1
    assert bench.log.count('"divided"') == 2
