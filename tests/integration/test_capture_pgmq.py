"""Capture with versions of pgmq other than the default one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from support.captures import WAYS, Rig
from support.shadow_table import LEDGER, check_shadow, drain, keep

from changelane.change import Change
from changelane.contract.manifest import Retry
from changelane.runner.apply.plan import plan
from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.live.observe import observe

OLD = (Path(__file__).parent.parent / "support" / "pgmq_1_5.sql").read_text()


def test_the_whole_way_works_on_queues_of_the_shape_of_1_5(bare_database: str) -> None:
    with connect(bare_database) as conn:
        conn.execute(OLD.encode())
        found = pgmq.detect(conn)
        assert found is not None
        assert (found.headers, found.last_read_at) == (True, False)
        rig = Rig(conn, bare_database)
        rig.clear()
        rig.run(LEDGER, "CREATE TABLE t (id int PRIMARY KEY, a text)")
        queues = [f"w{number}" for number in range(len(WAYS))]
        manifest = rig.capture(
            *({**way, "queue": queue} for way, queue in zip(WAYS, queues, strict=True)),
            *({**way, "queues": ["one", "two"], "delay": "0s"} for way in WAYS),
        )
        rig.run(
            "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')",
            "INSERT INTO t VALUES (4, 'fails')",
            "INSERT INTO t SELECT n, 'many' FROM generate_series(10, 2500) AS n",
            "UPDATE t SET a = a || '!' WHERE id <> 4",
            "UPDATE t SET id = id + 10000 WHERE id = 1",
            "DELETE FROM t WHERE id BETWEEN 100 AND 200",
        )
        assert plan(manifest, observe(conn, manifest)).differences == ()
        sent = 4 + 2491 + 2494 + 1 + 101
        assert len(rig.changes("one")) == len(rig.changes("two")) == 4 * sent

        def handle(changes: list[Change], tx: psycopg.Connection[Any]) -> None:
            if any(change.new and change.new["a"] == "fails" for change in changes):
                raise ValueError("fails")
            keep(changes, tx)

        drain(rig, queues, handler=handle, retry=Retry(attempts=1))
        for number, queue in enumerate(queues):
            dead = rig.messages(f"{queue}_dlq")
            assert {headers["route"] for _, headers in dead} == {f"route{number}"}
            # What failed in one batch with it is sent again.
            again = [Jsonb(message) for message, _ in dead if (message["new"] or {}).get("a") != "fails"]
            assert len(again) == len(dead) - 1
            for message in again:
                conn.execute("SELECT pgmq.send(%s, %s)", [queue, message])
        drain(rig, queues)
        rig.run("DELETE FROM t WHERE id = 4")
        for queue in queues:
            rig.changes(queue)
            check_shadow(rig, queue, "app.t")


def test_pgmq_comes_as_the_extension_where_the_server_offers_it(database: str) -> None:
    with connect(database) as conn:
        offered = conn.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pgmq'").fetchone()
        found = pgmq.detect(conn)
        assert found is not None
        assert found.installed_as == ("sql" if offered is None else "extension")
        conn.execute("SELECT pgmq.create('events')")
        assert conn.execute("SELECT pgmq.send('events', '{}')").fetchone() == (1,)
