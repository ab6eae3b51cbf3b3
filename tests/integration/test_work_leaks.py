"""No state of one message reaches the next: context, role, settings, and other state of sessions."""

from __future__ import annotations

import pytest
from psycopg import sql
from support.workers import Bench

from changelane.contract.manifest import Archive, Retry

LEAKS = {
    "role": "SET ROLE pg_monitor",
    "local role": "SET LOCAL ROLE pg_monitor",
    "authorization": "SET SESSION AUTHORIZATION pg_monitor",
    "setting": "SET work_mem = '77kB'",
    "path": "SET LOCAL search_path = nowhere",
    "custom": "SET app.tenant = '7'",
    "timeout": "SET statement_timeout = '1ms'",
    "temporary table": "CREATE TEMP TABLE kept AS SELECT 1 AS id",
    "lock": "SELECT pg_advisory_lock(42)",
    "prepared": "PREPARE kept AS SELECT 1",
    "listen": "LISTEN kept",
    "cursor": "DECLARE kept CURSOR WITH HOLD FOR SELECT 1",
}
"""The message with this number runs each statement, and the message after it looks for its effect."""

LOOK = """
    SELECT concat_ws(' ', 'pg_monitor' NOT IN (current_user, session_user),
        current_setting('work_mem') = '77kB',
        current_setting('search_path') = 'nowhere', nullif(current_setting('app.tenant', true), ''),
        current_setting('statement_timeout'), to_regclass('pg_temp.kept'),
        (SELECT count(*) FROM pg_locks WHERE objid = 42 AND pid = pg_backend_pid()),
        (SELECT count(*) FROM pg_prepared_statements WHERE name = 'kept'),
        (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors WHERE name = 'kept'))
"""
CLEAN = "t f f 0 0 0 0 0"


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("ends", ["return", "raise ValueError"])
def test_session_state_is_reset_before_the_next_message(bench: Bench, kind: str, ends: str) -> None:
    wait = "await " if kind == "async" else ""
    bench.declare(
        f"""
        from contextvars import ContextVar
        from psycopg.rows import dict_row
        LEAKS, LOOK = {list(LEAKS.values())!r}, {LOOK!r}
        kept = ContextVar("kept", default=0)

        {"async def" if wait else "def"} handle(change: Change, tx) -> None:
            value = int(change.new["value"])
            if value % 2:
                found = {wait}({wait}tx.execute(LOOK)).fetchone()
                {wait}tx.execute("SELECT set_config('app.other', '', true)")
                note(f"{{found[0]}} {{kept.get()}}")
                return
            kept.set(value + 1)
            tx.row_factory = dict_row
            {wait}tx.execute(LEAKS[value // 2])
            {ends}
        """,
        mode="transactional",
        concurrency=1,
        archive=Archive(keep=60),
        retry=Retry(attempts=1),
    )
    bench.send(*map(str, range(2 * len(LEAKS))))
    bench.drain()
    assert bench.notes == [f"{CLEAN} 0"] * len(LEAKS)
    assert len(bench.dead) == (0 if ends == "return" else len(LEAKS)), bench.dead


def test_a_handler_may_take_a_role_for_row_security_and_its_ack_works(bench: Bench) -> None:
    role = f"tenant_{bench.conn.info.backend_pid}"
    name = sql.Identifier(role)
    bench.conn.execute(sql.SQL("CREATE ROLE {}; GRANT INSERT ON effects TO {}").format(name, name))
    try:
        bench.declare(
            f"""
            def handle(changes: list[Change], tx: psycopg.Connection) -> None:
                tx.execute("SET LOCAL ROLE {role}")
                for change in changes:
                    tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            """,
            mode="transactional",
            retry=Retry(attempts=1),
        )
        bench.send("1", "2", "3")
        bench.drain()
        assert bench.count("effects") == 3
        assert bench.dead == []
    finally:
        bench.conn.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(name, name))


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_the_transaction_is_the_workers_to_end(bench: Bench, kind: str) -> None:
    wait = "await " if kind == "async" else ""
    bench.declare(
        f"""
        {"async def" if wait else "def"} handle(change: Change, tx) -> None:
            {wait}tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])
            if change.new["value"] == 1:
                {wait}tx.commit()
            elif change.new["value"] == 2:
                {wait}tx.rollback()
            elif change.new["value"] == 3:
                raise psycopg.Rollback
            {"async with" if wait else "with"} tx.transaction():
                {wait}tx.execute("INSERT INTO effects VALUES (%s, 2)", [change.msg_id])
        """,
        mode="transactional",
        concurrency=1,
        retry=Retry(attempts=1),
    )
    *_, last = bench.send("1", "2", "3", "4")
    bench.drain()
    assert bench.rows("SELECT msg_id, value FROM effects") == [(last, 1), (last, 2)]
    assert len(bench.dead) == 3


def test_contexts_are_apart_in_handlers_without_a_transaction(bench: Bench) -> None:
    bench.declare(
        """
        from contextvars import ContextVar
        kept = ContextVar("kept", default=0)

        async def handle(change: Change) -> None:
            note(kept.get())
            kept.set(1)
            await asyncio.sleep(0)
            async with asyncio.timeout(5):
                assert await asyncio.create_task(look()) == kept.get() == 1

        async def look():
            return kept.get()
        """,
        concurrency=1,
        retry=Retry(attempts=1),
    )
    bench.send("1", "2", "3")
    bench.drain()
    assert bench.notes == ["0", "0", "0"]
    assert bench.dead == []


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_transaction_begun_with_the_commit_before_is_a_new_one(bench: Bench, kind: str) -> None:
    wait = "await " if kind == "async" else ""
    bench.declare(
        f"""
        {"async def" if wait else "def"} handle(change: Change, tx) -> None:
            value = change.new["value"]
            if value % 3 == 0:
                {wait}tx.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE")
            elif value % 3 == 1:
                return
            found = {wait}({wait}tx.execute(
                "SELECT current_setting('transaction_isolation'), now() >= last_read_at, pg_backend_pid()"
                " FROM pgmq.q_jobs WHERE msg_id = %s", [change.msg_id])).fetchone()
            note(f"{{found[0]}} {{found[1]}} {{found[2]}}")
        """,
        mode="transactional",
        concurrency=2,
        retry=Retry(attempts=1),
    )
    bench.send(*map(str, range(60)))
    with bench.worker() as process:
        bench.wait(lambda: bench.queued == 0)
        assert bench.dead == []
        seen = [line.rsplit(" ", 1) for line in bench.notes]
        assert sorted(line for line, _ in seen) == ["read committed True"] * 20 + ["serializable True"] * 20
        pids = sorted({int(pid) for _, pid in seen})
        # The worker has nothing to do, so none of its transactions is open.
        bench.wait(
            lambda: (
                set(bench.rows(f"SELECT state FROM pg_stat_activity WHERE pid = ANY (ARRAY{pids})"))
                == {("idle",)}
            )
        )
        process.terminate()
        assert process.wait(30) == 0, bench.log
