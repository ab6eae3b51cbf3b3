"""Messages that are sent by a pipeline, SQLAlchemy, Django, async connections and handlers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.workers import Bench
from test_producing import read

import changelane
from changelane.contract.manifest import Retry

Connection = psycopg.Connection[Any]


@pytest.fixture
def queue(conn: Connection) -> str:
    conn.execute("SELECT pgmq.create('mails')")
    return "mails"


def test_async_connections_are_awaited(conn: Connection, queue: str, database: str) -> None:
    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(database) as writer:
            assert await changelane.send(writer, queue, {"n": 1}, key=7) == 1
            assert await changelane.send_batch(writer, queue, [2, 3], delay=60) == [2, 3]
            assert await changelane.send_batch(writer, queue, []) == []
            await writer.commit()
            with pytest.raises(ValueError, match="NUL"):
                await changelane.send(writer, queue, "\0")

    asyncio.run(run())
    assert [body for _, body, _ in read(conn)] == [{"n": 1}, 2, 3]


def test_a_pipeline_and_a_cursor_send_too(conn: Connection, queue: str) -> None:
    with conn.pipeline():
        changelane.send(conn, queue, 1)
    changelane.send(conn.cursor(), queue, 2)
    assert len(read(conn)) == 2


def test_sqlalchemys_sessions_and_connections_send_in_their_transaction(
    conn: Connection, queue: str, database: str
) -> None:
    from sqlalchemy import create_engine, text
    from sqlalchemy.orm import Session

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database))
    try:
        with Session(engine) as session:
            changelane.send(session, queue, 1)
            session.rollback()
            session.execute(text("CREATE TABLE public.beside ()"))
            changelane.send(session, queue, 2)
            assert read(conn) == []
            session.commit()
        with engine.begin() as connection:
            changelane.send_batch(connection, queue, [3, 4])
        with engine.connect() as connection:
            changelane.send(connection, queue, 5)
        raw = engine.raw_connection()
        changelane.send(raw, queue, 6)
        raw.commit()
        raw.close()
    finally:
        engine.dispose()
    assert [body for _, body, _ in read(conn)] == [2, 3, 4, 6]


def test_sqlalchemys_async_sessions_send_in_their_transaction(
    conn: Connection, queue: str, database: str
) -> None:
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    async def run() -> None:
        engine = create_async_engine(
            "postgresql+psycopg://", async_creator=lambda: psycopg.AsyncConnection.connect(database)
        )
        async with AsyncSession(engine) as session:
            assert await changelane.send(session, queue, 1) == 1
            await session.rollback()
            await changelane.send(session, queue, 2)
            await session.commit()
        async with engine.begin() as connection:
            await changelane.send_batch(connection, queue, [3])
        await engine.dispose()

    asyncio.run(run())
    assert [body for _, body, _ in read(conn)] == [2, 3]


def test_djangos_connection_sends_in_its_transaction(conn: Connection, queue: str, database: str) -> None:
    from django.conf import settings

    default = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": conn.info.dbname,
        "HOST": conn.info.host,
        "PORT": str(conn.info.port),
        "USER": conn.info.user,
    }
    settings.configure(DATABASES={"default": default}, USE_TZ=True)
    from django.db import connection, transaction

    try:
        with transaction.atomic():
            changelane.send(connection, queue, 1)
            transaction.set_rollback(True)
        with transaction.atomic():
            changelane.send(connection, queue, 2)
            assert read(conn) == []
        changelane.send(connection, queue, 3)
    finally:
        connection.close()
    assert [body for _, body, _ in read(conn)] == [2, 3]


@pytest.mark.parametrize("given", [None, "postgresql://", object()])
def test_objects_that_are_no_connection_are_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot send by a .*: give a psycopg\.Connection"):
        changelane.send(given, "mails", 1)


def test_handlers_send_with_what_they_are_lent(conn: Connection, database: str, tmp_path: Path) -> None:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    conn.execute("SELECT pgmq.create('mails')")
    bench.declare(
        """
        import changelane

        def handle(message: Message, tx: psycopg.Connection) -> None:
            changelane.send(tx, "mails", message.body)
            if message.body == 2:
                raise DeadLetter("no")
        """,
        mode="transactional",
    )
    changelane.send_batch(conn, "jobs", [1, 2])
    bench.drain()
    assert [body for _, body, _ in read(conn)] == [1]


def test_a_message_that_an_async_handler_never_sent_is_noticed(
    conn: Connection, database: str, tmp_path: Path
) -> None:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    bench.declare(
        """
        import changelane

        async def handle(message: Message, tx: psycopg.AsyncConnection) -> None:
            changelane.send(tx, "jobs_dlq", message.body)
        """,
        mode="transactional",
        retry=Retry(attempts=1),
    )
    changelane.send(conn, "jobs", 1)
    bench.drain()
    (letter,) = bench.dead
    assert "never awaited" in letter["dead_letter"]["error"]
