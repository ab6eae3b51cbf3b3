"""One rival, in a process of its own: works off a queue, and prints the seconds that it took.

    python rivals.py NAME CONNINFO COUNT

raw, the floors, singles and the loops that take find their messages in queue ``bench``; pgqueuer and
procrastinate first send themselves COUNT jobs. All of them do nothing with what they get.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg

BATCH = 100
CONNECTIONS = 8
FOUR = 4
PAYLOAD = "x" * 280


def work_raw(conninfo: str) -> float:
    """The simplest consumer: read a batch, archive it."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        began = time.perf_counter()
        while rows := conn.execute(
            "SELECT msg_id, read_ct, message FROM pgmq.read('bench', 60, %s)", [BATCH]
        ).fetchall():
            conn.execute("SELECT pgmq.archive('bench', %s::bigint[])", [[row[0] for row in rows]]).fetchall()
        return time.perf_counter() - began


def work_claimed(conninfo: str) -> float:
    """Two statements a batch: pgmq's read, then one that deletes and archives, fenced."""
    remove = read_sql("floor_claimed")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        began = time.perf_counter()
        while rows := conn.execute(
            "SELECT msg_id, read_ct, message FROM pgmq.read('bench', 60, %s)", [BATCH]
        ).fetchall():
            conn.execute(remove, [[row[0] for row in rows], [row[1] for row in rows]])
        return time.perf_counter() - began


def work_floor(conninfo: str) -> float:
    """One statement a batch, with nothing between claim and ack: no lease, no handler, no retry."""
    remove = read_sql("floor")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        began = time.perf_counter()
        while conn.execute(remove, [BATCH]).fetchall():
            pass
        return time.perf_counter() - began


def work_taking(conninfo: str, *, batch: int) -> float:
    """One statement a batch that takes the messages away: no archive, no lease, no handler, no retry."""
    take = read_sql("taking")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        began = time.perf_counter()
        while conn.execute(take, [batch]).fetchall():
            pass
        return time.perf_counter() - began


def work_four(conninfo: str) -> float:
    """Four processes, each the loop that takes messages away, from their common start to the last end."""
    ready = multiprocessing.Barrier(FOUR + 1)
    processes = [multiprocessing.Process(target=take_together, args=[conninfo, ready]) for _ in range(FOUR)]
    for process in processes:
        process.start()
    ready.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
    assert not any(process.exitcode for process in processes)
    return time.perf_counter() - began


def take_together(conninfo: str, ready: Barrier) -> None:
    take = read_sql("taking")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("SELECT")
        ready.wait()
        while conn.execute(take, [BATCH]).fetchall():
            pass


def work_singles(conninfo: str) -> float:
    """A transaction for each message by eight threads, each with a connection and its share of the ids."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        ids = [row[0] for row in conn.execute("SELECT msg_id FROM pgmq.q_bench ORDER BY msg_id")]
    ready = threading.Barrier(CONNECTIONS + 1)

    def remove(share: list[int]) -> None:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            ready.wait()
            for msg_id in share:
                conn.execute("BEGIN")
                conn.execute("DELETE FROM pgmq.q_bench WHERE msg_id = %s AND read_ct = 0", [msg_id])
                conn.execute("COMMIT")

    threads = [
        threading.Thread(target=remove, args=[ids[first::CONNECTIONS]]) for first in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def read_sql(name: str) -> bytes:
    return (Path(__file__).parent / f"{name}.sql").read_bytes()


async def work_pgqueuer(conninfo: str, *, count: int, batch: int) -> float:
    import asyncpg
    from pgqueuer import PgQueuer
    from pgqueuer.db import AsyncpgDriver
    from pgqueuer.queries import Queries
    from pgqueuer.types import QueueExecutionMode

    connection = await asyncpg.connect(conninfo)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    try:
        await queries.enqueue(["bench"] * count, [PAYLOAD.encode()] * count, [0] * count)
        await connection.execute("VACUUM ANALYZE pgqueuer")
        worker = PgQueuer.from_asyncpg_connection(connection)

        @worker.entrypoint("bench")
        async def handle(job: Any) -> None: ...

        began = time.perf_counter()
        await worker.run(batch_size=batch, mode=QueueExecutionMode.drain)
        return time.perf_counter() - began
    finally:
        await queries.uninstall()


async def work_procrastinate(conninfo: str, *, count: int) -> float:
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=conninfo))

    @app.task(name="bench")
    async def handle(pad: str) -> None: ...

    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await handle.batch_defer_async(*[{"pad": PAYLOAD}] * count)
        began = time.perf_counter()
        await app.run_worker_async(wait=False, concurrency=8, install_signal_handlers=False)
        return time.perf_counter() - began


def main() -> None:
    name, conninfo, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if name == "raw":
        took = work_raw(conninfo)
    elif name == "claimed":
        took = work_claimed(conninfo)
    elif name == "floor":
        took = work_floor(conninfo)
    elif name == "taking":
        took = work_taking(conninfo, batch=BATCH)
    elif name == "taking1000":
        took = work_taking(conninfo, batch=10 * BATCH)
    elif name == "four taking":
        took = work_four(conninfo)
    elif name == "singles":
        took = work_singles(conninfo)
    elif name == "pgqueuer":
        took = asyncio.run(work_pgqueuer(conninfo, count=count, batch=10))
    elif name == "pgqueuer100":
        took = asyncio.run(work_pgqueuer(conninfo, count=count, batch=BATCH))
    else:
        took = asyncio.run(work_procrastinate(conninfo, count=count))
    print(took)


if __name__ == "__main__":
    main()
